"""`penstock schedule`: look at a queue's schedules and change them at run time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from penstock.cli.enqueue import parsed_payload
from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run
from penstock.core.errors import ScheduleNotFoundError

if TYPE_CHECKING:
    from penstock.core.schedule import ScheduleState
    from penstock.store.schedules import Schedules

Value = TypeVar("Value")

schedule = typer.Typer(
    name="schedule",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Look at a queue's schedules and change them at run time.",
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


@schedule.command("list")
def list_schedules(
    queue: QueueOption = "default", as_json: JsonOption = False, redis_url: RedisUrlOption = None
) -> None:
    """Show all schedules of a queue, with their next and last slots."""
    states = run(_with_schedules(queue, redis_url, lambda schedules: schedules.list()))
    if as_json:
        typer.echo(json.dumps([_plain(state) for state in states], ensure_ascii=False))
    elif not states:
        typer.echo(f"Queue {queue} has no schedules.")
    else:
        _print(states)


@schedule.command()
def put(  # noqa: PLR0913, PLR0917 - each argument is an option
    name: NameArgument,
    cron: Annotated[
        str,
        typer.Option("--cron", metavar="EXPR", help="When: 5 fields, or 6 with the second in front."),
    ],
    job_type: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="Which handler is to run it.")
    ],
    queue: QueueOption = "default",
    payload: Annotated[
        str, typer.Option("--payload", "-p", metavar="JSON", help="The jobs' payload.")
    ] = "{}",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="IANA time zone.")] = "UTC",
    catch_up: Annotated[
        str,
        typer.Option("--catch-up", metavar="HOW", help="Slots missed in a downtime: latest, all or skip."),
    ] = "latest",
    paused: Annotated[bool, typer.Option("--paused", help="Begin paused.")] = False,
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Above 0 is high, below 0 is low.")
    ] = 0,
    max_attempts: Annotated[
        int | None,
        typer.Option("--max-attempts", min=1, metavar="N", help="Tries before it fails.", show_default=False),
    ] = None,
    redis_url: RedisUrlOption = None,
) -> None:
    """Keep a schedule under a name, in place of an older one.

    [bold]Examples[/]

      penstock schedule put report --cron '0 8 * * MON-FRI' --zone Europe/Berlin --type report
      penstock schedule put pulse --cron '*/10 * * * * *' --type pulse --catch-up skip
    """
    from penstock.core.schedule import Schedule

    wanted = Schedule(
        name=name,
        cron=cron,
        type=job_type,
        payload=parsed_payload(payload),
        zone=zone,
        catch_up=cast("Any", catch_up),
        paused=paused,
        priority=priority,
        max_attempts=max_attempts,
    )

    async def keep(schedules: Schedules) -> tuple[bool, ScheduleState | None]:
        return await schedules.put(wanted), await schedules.get(name)

    is_new, state = run(_with_schedules(queue, redis_url, keep))
    coming = "paused" if state is None or state.next_at is None else f"next {_moment(state.next_at)}"
    typer.echo(f"{name}: {'put' if is_new else 'unchanged'}, {coming}")


@schedule.command()
def pause(name: NameArgument, queue: QueueOption = "default", redis_url: RedisUrlOption = None) -> None:
    """Make no jobs of a schedule until it is resumed."""
    _change(queue, redis_url, lambda schedules: schedules.pause(name))
    typer.echo(f"{name}: paused")


@schedule.command()
def resume(name: NameArgument, queue: QueueOption = "default", redis_url: RedisUrlOption = None) -> None:
    """Go on with a paused schedule, from its first slot to come."""
    _change(queue, redis_url, lambda schedules: schedules.resume(name))
    typer.echo(f"{name}: resumed")


@schedule.command("run")
def run_now(
    name: NameArgument,
    queue: QueueOption = "default",
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Enqueue a job of a schedule now, beside its slots, and print the job's id."""
    job_id = _change(queue, redis_url, lambda schedules: schedules.run_now(name))
    typer.echo(json.dumps({"id": job_id, "queue": queue}) if as_json else job_id)


@schedule.command()
def remove(name: NameArgument, queue: QueueOption = "default", redis_url: RedisUrlOption = None) -> None:
    """Forget a schedule; the jobs it made stay."""
    _change(queue, redis_url, lambda schedules: schedules.remove(name))
    typer.echo(f"{name}: removed")


def _change(queue_name: str, redis_url: str | None, verb: Callable[[Schedules], Awaitable[Value]]) -> Value:
    try:
        return run(_with_schedules(queue_name, redis_url, verb))
    except ScheduleNotFoundError as error:
        stop(str(error), ExitCode.NOT_FOUND)


async def _with_schedules(
    queue_name: str, redis_url: str | None, verb: Callable[[Schedules], Awaitable[Value]]
) -> Value:
    from penstock import create_redis_queue

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        return await verb(queue.schedules)
    finally:
        await queue.close()


def _plain(state: ScheduleState) -> dict[str, Any]:
    from penstock.core.schedule import encode_schedule

    told: dict[str, Any] = json.loads(encode_schedule(state.schedule))
    del told["format"], told["queue_name"]
    return told | {
        "paused": state.paused,
        "next_at": _moment(state.next_at),
        "last_at": _moment(state.last_at),
    }


def _print(states: list[ScheduleState]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("schedule", "cron", "zone", "type", "next", "last", "catch up"):
        table.add_column(heading, overflow="fold")
    for state in states:
        kept = state.schedule
        coming = "paused" if state.paused else _moment(state.next_at) or "unknown"
        table.add_row(
            *(kept.name, kept.cron, kept.zone, kept.type),
            *(coming, _moment(state.last_at) or "never", kept.catch_up),
            style="yellow" if state.paused else "",
        )
    Console().print(table)


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
