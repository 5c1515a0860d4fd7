"""`penstock enqueue`: put one job on a queue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run

if TYPE_CHECKING:
    from penstock import Job

_STDIN = "-"


def enqueue(  # noqa: PLR0913, PLR0917 - each argument is an option
    source: Annotated[
        str | None,
        typer.Argument(metavar="-", help="Read the payload from stdin.", show_default=False),
    ] = None,
    queue: QueueOption = "default",
    job_type: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="Which handler is to run it.")
    ] = "default",
    payload: Annotated[
        str | None,
        typer.Option("--payload", "-p", metavar="JSON", help="The payload.", show_default=False),
    ] = None,
    payload_file: Annotated[
        str | None,
        typer.Option(
            "--payload-file",
            metavar="FILE",
            help="Read the payload from a file; - is stdin.",
            show_default=False,
        ),
    ] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="A job id of your own: enqueueing it again does nothing.",
            show_default=False,
        ),
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Above 0 is high, below 0 is low.")
    ] = 0,
    delay: Annotated[
        float, typer.Option("--delay", min=0, metavar="SECONDS", help="Not before this time.")
    ] = 0.0,
    max_attempts: Annotated[
        int, typer.Option("--max-attempts", min=1, metavar="N", help="Tries before it fails.")
    ] = 3,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Put one job on a queue and print its id.

    The payload is any JSON up to 1 MiB; without one it is {}. Enqueueing the
    same id again does nothing for as long as that job is kept.

    [bold]Examples[/]

      penstock enqueue --type greet --payload '{"name": "Ada"}'
      penstock enqueue --queue mail --type send --payload-file mail.json
      jq -c .order order.json | penstock enqueue --type ship --id order-17 -
    """
    from penstock import Job

    text = _payload_text(source, payload, payload_file)
    values: dict[str, Any] = {} if job_id is None else {"id": job_id}
    job = Job(
        payload=parsed_payload(text),
        type=job_type,
        max_attempts=max_attempts,
        priority=priority,
        **values,
    )
    accepted = run(_enqueue(job, queue, delay, redis_url))
    typer.echo(json.dumps({"id": accepted, "queue": queue}) if as_json else accepted)


async def _enqueue(job: Job, queue_name: str, delay_seconds: float, redis_url: str | None) -> str:
    from penstock import create_redis_queue

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        return await queue.enqueue(job, delay_seconds=delay_seconds)
    finally:
        await queue.close()


def _payload_text(source: str | None, payload: str | None, payload_file: str | None) -> str:
    given = [value for value in (source, payload, payload_file) if value is not None]
    if len(given) > 1:
        raise typer.BadParameter("give the payload once: --payload, --payload-file or -.")
    if source not in {None, _STDIN}:
        raise typer.BadParameter(f"{source!r} is not expected here; did you mean --payload {source!r}?")
    if source == _STDIN or _STDIN in {payload, payload_file}:
        return _decoded(sys.stdin.buffer.read(), "stdin")
    if payload_file is None:
        return "{}" if payload is None else payload
    try:
        return _decoded(Path(payload_file).read_bytes(), payload_file)
    except OSError as error:
        raise typer.BadParameter(
            f"cannot read {payload_file!r}: {error.strerror}.", param_hint="--payload-file"
        ) from None


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{where} is not UTF-8 text (byte {error.start}).") from None


def parsed_payload(text: str) -> Any:
    """The JSON value of ``text``; ends the command as wrongly used, with the place, otherwise."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        lines = text.splitlines()
        near = lines[error.lineno - 1][max(0, error.colno - 20) : error.colno + 20] if lines else ""
        raise typer.BadParameter(
            f"the payload is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
            f" near {near!r}. Strings take double quotes; in a shell, put '…' around the whole."
        ) from None
    except RecursionError:
        raise typer.BadParameter("the payload is nested too deeply.") from None


def _refuse_constant(name: str) -> None:
    raise typer.BadParameter(f"the payload is not JSON: {name} is not a JSON number.")
