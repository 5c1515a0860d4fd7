"""Running what is ready, then returning: a worker for the length of one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.store.streams import RedisStreamsQueue
from penstock.testing.clock import MovableClock
from penstock.testing.failures import Failures
from penstock.worker.handlers import Handlers, WorkerTask
from penstock.worker.worker import Worker

MOST_MOVES = 10_000


async def run_until_idle(
    queue: RedisStreamsQueue,
    handlers: Handlers | None = None,
    *,
    tasks: Iterable[WorkerTask] = (),
    up_to_seconds: float = 0.0,
    middleware: Sequence[Any] = (),
    **options: Any,
) -> int:
    """Run the queue's jobs until nothing is ready and nothing runs; returns how many attempts were settled.

    A real worker does it, with ``handlers`` and ``tasks`` as for ``Worker``, which also gets ``options``.
    Jobs that wait for a later time are left, unless ``up_to_seconds`` says how far the queue's
    ``MovableClock`` may be moved for them in all: then it is moved from one due job to the next.

    Raises ``ConfigurationError`` when it is to move a clock that the queue does not have.
    """
    around = list(middleware)
    failures = Failures.of(queue.client)
    if failures is not None:
        # Innermost, so that the handler dies and not what is put around it.
        around.append(failures.middleware(queue.engine))
    listed = list(tasks)
    settled, moved_ms = 0, 0
    for _ in range(MOST_MOVES):
        worker = Worker(queue, handlers, tasks=listed, middleware=around, **options)
        await worker.run_until_idle()
        settled += int(worker.get_stats()["jobs_processed"])
        due_ms = (await queue.engine.promote()).due_in_ms
        if due_ms == 0:
            continue
        if due_ms is None or moved_ms + due_ms > up_to_seconds * 1000:
            return settled
        if not isinstance(queue.clock, MovableClock):
            raise ConfigurationError("up_to_seconds moves the clock: make the queue with a MovableClock")
        await queue.clock.advance(due_ms / 1000)
        moved_ms += due_ms
    raise ConfigurationError(f"the queue was not idle after the clock was moved {MOST_MOVES} times")
