"""`penstock dead`: the jobs that failed for good; look at them, put them back, discard them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from penstock.cli.enqueue import parsed_payload
from penstock.cli.exits import ExitCode, print_error, stop
from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run
from penstock.core.errors import JobNotFoundError

if TYPE_CHECKING:
    from penstock.store.dead_letters import DeadLetters
    from penstock.store.letters import DeadLetter, Swept

Value = TypeVar("Value")

dead = typer.Typer(
    name="dead",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Jobs that failed for good: look at them, put them back, discard them.",
)

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB_ID]...", help="The jobs.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters of the queue.")]
ErrorOption = Annotated[
    str, typer.Option("--error", metavar="TEXT", help="Those whose error contains this.", show_default=False)
]
TypeOption = Annotated[
    str | None, typer.Option("--type", "-t", metavar="TYPE", help="Those of this type.", show_default=False)
]


@dead.command("list")
def list_letters(
    queue: QueueOption = "default",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 20,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="LETTER", help="Only those before this letter.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Show dead letters, newest first.

    The next page is shown by --before with the last letter of this one.
    """
    letters = run(_with_letters(queue, redis_url, lambda kept: kept.list(limit, before=before)))
    if as_json:
        typer.echo(json.dumps([_plain(letter) for letter in letters], ensure_ascii=False))
    elif not letters:
        typer.echo(f"Queue {queue} has no dead letters.")
    else:
        _print_list(letters)


@dead.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job.")],
    queue: QueueOption = "default",
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Show one dead letter whole: error, traceback, attempts and payload."""
    letter = run(_with_letters(queue, redis_url, lambda kept: kept.get(job_id)))
    if letter is None:
        stop(f"queue {queue} has no dead letter of a job {job_id!r}", ExitCode.NOT_FOUND)
    if as_json:
        typer.echo(json.dumps(_plain(letter), ensure_ascii=False))
    else:
        _print_one(letter)


@dead.command()
def requeue(  # noqa: PLR0917 - each argument is an option
    job_ids: IdsArgument = None,
    queue: QueueOption = "default",
    payload: Annotated[
        str | None,
        typer.Option("--payload", "-p", metavar="JSON", help="In place of its payload.", show_default=False),
    ] = None,
    everything: AllOption = False,
    error: ErrorOption = "",
    job_type: TypeOption = None,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Put dead letters back: same id, finished steps kept, all attempts anew.

    [bold]Examples[/]

      penstock dead requeue order-17
      penstock dead requeue order-17 --payload '{"to": "ada@example.org"}'
      penstock dead requeue --error ConnectionError --type send
    """
    chosen = _chosen(job_ids, error, job_type, everything=everything)
    if payload is not None:
        if chosen is None or len(chosen) != 1:
            raise typer.BadParameter("--payload goes with one job id.")
        edited, (job_id,) = parsed_payload(payload), chosen
        _one(queue, redis_url, lambda kept: kept.requeue(job_id, edited))
        _tell("put back", {"done": [job_id], "refused": {}}, as_json=as_json)
        return

    async def sweep(kept: DeadLetters) -> Swept:
        return await kept.requeue_many(chosen, error_contains=error, type=job_type)

    _report("put back", run(_with_letters(queue, redis_url, sweep)), chosen, as_json=as_json)


@dead.command()
def discard(  # noqa: PLR0917 - each argument is an option
    job_ids: IdsArgument = None,
    queue: QueueOption = "default",
    everything: AllOption = False,
    error: ErrorOption = "",
    job_type: TypeOption = None,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Forget dead letters and their jobs, with all they have."""
    chosen = _chosen(job_ids, error, job_type, everything=everything)

    async def sweep(kept: DeadLetters) -> Swept:
        return await kept.discard_many(chosen, error_contains=error, type=job_type)

    _report("discarded", run(_with_letters(queue, redis_url, sweep)), chosen, as_json=as_json)


def _chosen(
    job_ids: list[str] | None, error: str, job_type: str | None, *, everything: bool
) -> list[str] | None:
    """The ids that were named, ``None`` for a choice by filters; exactly one way is allowed."""
    ways = [bool(job_ids), bool(error or job_type), everything]
    if sum(ways) != 1:
        raise typer.BadParameter("say which: job ids, or --error and --type, or --all.")
    return job_ids or None


def _report(what: str, swept: Swept, chosen: Sequence[str] | None, *, as_json: bool) -> None:
    """Tell what was done and why some was not; ids that were named and refused make the command fail."""
    _tell(what, swept._asdict(), as_json=as_json)
    if swept.refused and chosen is not None:
        missing = all("keeps no such job" in reason for reason in swept.refused.values())
        raise typer.Exit(ExitCode.NOT_FOUND if missing else ExitCode.FAILED)


def _tell(what: str, swept: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(swept, ensure_ascii=False))
        return
    for job_id, reason in swept["refused"].items():
        print_error(f"job {job_id} was not {what}: {reason}")
    count = len(swept["done"])
    typer.echo(f"{what}: {swept['done'][0] if count == 1 else f'{count} jobs'}")


def _one(queue_name: str, redis_url: str | None, verb: Callable[[DeadLetters], Awaitable[Value]]) -> Value:
    try:
        return run(_with_letters(queue_name, redis_url, verb))
    except JobNotFoundError as error:
        stop(str(error), ExitCode.NOT_FOUND)


async def _with_letters(
    queue_name: str, redis_url: str | None, verb: Callable[[DeadLetters], Awaitable[Value]]
) -> Value:
    from penstock import create_redis_queue

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        return await verb(queue.dead_letters)
    finally:
        await queue.close()


def _plain(letter: DeadLetter) -> dict[str, Any]:
    return asdict(letter) | {"failed_at": _moment(letter)}


def _print_list(letters: Sequence[DeadLetter]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for heading in ("letter", "job", "type", "failed", "attempts", "error"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "attempts" else "left")
    for letter in letters:
        first_line = letter.error.splitlines()[0] if letter.error else ""
        table.add_row(
            *(letter.letter_id, Text(letter.job_id), letter.type or "damaged", _moment(letter)),
            *(str(letter.attempts), Text(first_line, style="red")),
        )
    Console().print(table)


def _print_one(letter: DeadLetter) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "job": letter.job_id,
        "type": letter.type,
        "failed": _moment(letter),
        "attempts": str(letter.attempts),
        "crashes": str(letter.crashes) if letter.crashes else None,
        "error": letter.error,
        "payload": None if letter.damaged else json.dumps(letter.payload, ensure_ascii=False),
        "raw content": letter.raw,
        "traceback": letter.traceback or None,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, Text(value, style="red" if name == "error" else ""))
    Console().print(table)


def _moment(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.failed_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
