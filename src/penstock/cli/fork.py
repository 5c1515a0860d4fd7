"""`penstock fork`: a new job that begins with what another one has finished."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run


def fork(  # noqa: PLR0917 - each argument is an option
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job to fork.", show_default=False)],
    from_step: Annotated[
        str | None,
        typer.Option(
            "--from-step",
            metavar="NAME",
            help="The first step that runs again; without it every finished step is kept.",
            show_default=False,
        ),
    ] = None,
    payload: Annotated[
        str | None,
        typer.Option("--payload", metavar="JSON", help="Another payload than the old job's."),
    ] = None,
    new_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The new job's id; by default a random one.")
    ] = None,
    queue: QueueOption = "default",
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Enqueue a copy of a job that keeps the steps before one of them, and print its id.

    The old job is left as it is. Steps called before --from-step return what they
    returned then; it and all after it run.

    [bold]Examples[/]

      penstock fork report-7 --from-step summary
      penstock fork report-7 --from-step summary --payload '{"style": "short"}'
    """
    changed = None if payload is None else _parsed(payload)
    forked = run(_fork(job_id, from_step, changed, new_id, queue, redis_url))
    typer.echo(json.dumps({"id": forked, "forked_from": job_id}) if as_json else forked)


def _parsed(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        stop(f"--payload is not JSON: {error}", ExitCode.USAGE)


async def _fork(
    job_id: str,
    from_step: str | None,
    payload: Any,
    new_id: str | None,
    queue_name: str,
    redis_url: str | None,
) -> str:
    from penstock import create_redis_queue
    from penstock.core.errors import JobNotFoundError

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        return await queue.fork(job_id, from_step, payload, new_id)
    except JobNotFoundError as error:
        stop(str(error), ExitCode.NOT_FOUND)
    finally:
        await queue.close()
