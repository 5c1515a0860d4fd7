"""Workers in this process: one for each queue, stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.core.schedule import Schedule
from penstock.store.streams import create_redis_queue
from penstock.tasks.task import Task
from penstock.worker.stop_signals import StopSignals
from penstock.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """What `penstock worker` was told about each worker."""

    queue: str | None
    worker_id: str | None
    concurrency: int
    grace_seconds: float
    redis_url: str | None
    max_jobs: int | None = None
    max_rss_mb: float | None = None


async def work(
    handlers: Any,
    tasks: Sequence[Task[..., Any]],
    options: WorkOptions,
    schedules: Sequence[Schedule] = (),
) -> None:
    """Run handlers and tasks, each task on its own queue, until a signal; puts ``schedules`` at first.

    Raises ``ConfigurationError`` when none of the tasks is on the queue that was asked for.
    """
    by_queue = _by_queue(handlers, tasks, options.queue)
    first, *_ = by_queue
    queue = await create_redis_queue(options.redis_url, queue_name=first)
    try:
        workers = [
            Worker(
                queue if name == first else queue.on_queue(name),
                own_handlers,
                options.worker_id,
                options.concurrency,
                None,
                options.grace_seconds,
                tasks=own_tasks,
                max_jobs=options.max_jobs,
                max_rss_mb=options.max_rss_mb,
                schedules=schedules if name == first else (),
            )
            for name, (own_handlers, own_tasks) in by_queue.items()
        ]
        await run_together(workers)
    finally:
        await queue.close()


async def run_together(workers: Sequence[Worker]) -> None:
    """Run all until a signal. When one ends by itself the others stop too: a fresh process follows."""
    with StopSignals(workers):
        running = [asyncio.create_task(worker.run()) for worker in workers]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        # Not those that are stopping: asked twice, a worker would not let its jobs finish.
        await asyncio.gather(*(worker.stop() for worker in workers if not worker.is_stopping))
        await asyncio.gather(*running)


def _by_queue(
    handlers: Any, tasks: Sequence[Task[..., Any]], queue: str | None
) -> dict[str, tuple[Any, list[Task[..., Any]]]]:
    found: dict[str, tuple[Any, list[Task[..., Any]]]] = {}
    if handlers is not None:
        found[queue or "default"] = (handlers, [])
    for task in tasks:
        if queue in (None, task.queue):
            found.setdefault(task.queue, (None, []))[1].append(task)
    if not found:
        known = ", ".join(sorted({repr(task.queue) for task in tasks}))
        raise ConfigurationError(f"none of the tasks is on queue {queue!r}; they are on {known}")
    return found
