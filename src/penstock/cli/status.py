"""`penstock status`: one job, or a queue's counts and workers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import JsonOption, QueueOption, RedisUrlOption, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock import Job, RedisStreamsQueue
    from penstock.store.workers import RegisteredWorker

_COLOURS = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "retrying": "yellow",
    "suspended": "yellow",
    "processing": "cyan",
    "dead_letters": "red",
}


def status(
    job_id: Annotated[
        str | None,
        typer.Argument(metavar="JOB_ID", help="The job to show.", show_default=False),
    ] = None,
    queue: QueueOption = "default",
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Show one job, or the counts and the workers of a queue.

    A job is looked up in the given queue first and then in all others. A job
    that is not kept ends with exit code 4.

    [bold]Examples[/]

      penstock status
      penstock status --queue mail --json
      penstock status order-17
    """
    if job_id is None:
        run(_show_queue(queue, redis_url, as_json=as_json))
    elif not run(_show_job(job_id, queue, redis_url, as_json=as_json)):
        stop(
            f"No queue keeps a job {job_id!r}: it was never enqueued, or its time to be kept is over.",
            ExitCode.NOT_FOUND,
        )


async def _show_job(job_id: str, queue_name: str, redis_url: str | None, *, as_json: bool) -> bool:
    queue = await _open(queue_name, redis_url)
    try:
        job = await queue.get_status(job_id)
    finally:
        await queue.close()
    if job is None:
        return False
    if as_json:
        typer.echo(json.dumps(job.to_dict(), ensure_ascii=False))
    else:
        _print_job(job)
    return True


async def _show_queue(queue_name: str, redis_url: str | None, *, as_json: bool) -> None:
    from penstock.store.workers import list_workers

    queue = await _open(queue_name, redis_url)
    try:
        counts = await queue.get_queue_stats()
        workers = await list_workers(queue)
    finally:
        await queue.close()
    if as_json:
        typer.echo(json.dumps({"queue": queue_name, "counts": counts, "workers": _plain(workers)}))
    else:
        _print_queue(queue_name, counts, workers, queue.timings.presumed_dead_seconds)


async def _open(queue_name: str, redis_url: str | None) -> RedisStreamsQueue:
    from penstock import create_redis_queue

    return await create_redis_queue(redis_url, queue_name=queue_name)


def _plain(workers: Sequence[RegisteredWorker]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(worker) for worker in workers]


def _print_job(job: Job) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _job_rows(job):
        style = _COLOURS.get(value, "") if name == "status" else ""
        table.add_row(name, Text(value, style=style))
    Console().print(table)


def _job_rows(job: Job) -> list[tuple[str, str]]:
    rows: list[tuple[str, Any]] = [
        ("job", job.id),
        ("type", job.type),
        ("queue", job.queue_name),
        ("status", job.status.value),
        ("attempts", f"{job.attempts} of {job.max_attempts}"),
        ("crashes", job.crashes or None),
        ("progress", f"{job.progress:g} %" if job.started_at else None),
        ("step", job.current_step),
        ("suspended for", job.suspended_for),
        ("worker", job.worker_id),
        ("created", _moment(job.created_at)),
        ("started", _moment(job.started_at)),
        ("completed", _moment(job.completed_at)),
        ("error", job.error),
        ("payload", json.dumps(job.payload, ensure_ascii=False)),
        ("result", None if job.result is None else json.dumps(job.result, ensure_ascii=False)),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def _print_queue(
    queue_name: str,
    counts: dict[str, int],
    workers: Sequence[RegisteredWorker],
    presumed_dead_seconds: float,
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"Queue {queue_name}", title_justify="left", box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.items():
        style = _COLOURS.get(name, "") if count else "dim"
        table.add_row(name.replace("_", " "), f"{count:,}", style=style)
    console.print(table)
    if not workers:
        console.print("No worker has been seen here in the last minutes.", style="yellow")
        return
    table = Table(title="Workers", title_justify="left", box=None)
    for heading in ("worker", "host", "pid", "concurrency", "last seen"):
        table.add_column(heading, justify="left" if heading in {"worker", "host"} else "right")
    for one in workers:
        style = "red" if one.silent_seconds > presumed_dead_seconds else ""
        table.add_row(
            *(one.worker_id, one.host, str(one.pid), str(one.concurrency)),
            f"{one.silent_seconds:.0f} s ago",
            style=style,
        )
    console.print(table)
