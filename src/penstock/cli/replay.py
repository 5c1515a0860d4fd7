"""`penstock replay`: run a job's handler again, offline, and say where that leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run

if TYPE_CHECKING:
    from penstock.worker.replay import ReplayReport


def replay(  # noqa: PLR0917 - each argument is an option
    job_id: Annotated[
        str | None,
        typer.Argument(metavar="JOB_ID", help="The job; not needed with --from.", show_default=False),
    ] = None,
    handlers: Annotated[
        str | None,
        typer.Option(
            "--handlers",
            metavar="MODULE:NAME",
            help="The handlers, as penstock worker takes them.",
            show_default=False,
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--tasks", metavar="MODULE", help="A module of tasks; may be repeated."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write what is stored of the job to FILE."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Replay what --export wrote, without a server."),
    ] = None,
    queue: QueueOption = "default",
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Run a job's handler again, offline, from its stored steps.

    Nothing is written and no step function is called. The handler is followed to
    its end or to the first step that the job has not finished. Exit code 1 says that
    it takes another way than the job did: changed code, a StepMismatch to come.

    [bold]Examples[/]

      penstock replay order-17 --handlers shop.jobs:HANDLERS
      penstock replay order-17 --export order-17.json
      penstock replay --from order-17.json --tasks shop.jobs
    """
    if (job_id is None) == (source is None):
        stop("Give either a job or --from FILE.", ExitCode.USAGE)
    if handlers is None and not tasks and export is None:
        stop("Give the handlers to replay with (--handlers or --tasks), or --export FILE.", ExitCode.USAGE)
    stored = _read(source) if source is not None else run(_export(str(job_id), queue, redis_url))
    if export is not None:
        export.write_text(json.dumps(stored, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        if handlers is None and not tasks:
            typer.echo(f"Wrote {export}.")
            return
    report = _replay(stored, handlers, tasks or [])
    if as_json:
        typer.echo(json.dumps(report._asdict() | {"agrees": report.agrees}, ensure_ascii=False))
    else:
        typer.echo(f"{stored['job']['id']}: {report.text}")
    if not report.agrees:
        raise typer.Exit(ExitCode.FAILED)


def _read(source: Path) -> dict[str, Any]:
    try:
        stored = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{source} cannot be read: {error}", ExitCode.USAGE)
    if not isinstance(stored, dict):
        stop(f"{source} is not what --export wrote: expected a JSON object", ExitCode.USAGE)
    return stored


async def _export(job_id: str, queue_name: str, redis_url: str | None) -> dict[str, Any]:
    from penstock import create_redis_queue
    from penstock.core.errors import JobNotFoundError

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        return await queue.export_job(job_id)
    except JobNotFoundError as error:
        stop(str(error), ExitCode.NOT_FOUND)
    finally:
        await queue.close()


def _replay(stored: dict[str, Any], handlers: str | None, tasks: list[str]) -> ReplayReport:
    from penstock.cli.handlers import load_handlers, load_tasks
    from penstock.worker.replay import replay as follow

    loaded = None if handlers is None else load_handlers(handlers)
    return run(follow(loaded, stored, tasks=load_tasks(tasks)))
