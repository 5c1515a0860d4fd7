"""How long a dead worker's job waits: from SIGKILL to the first line of its handler elsewhere.

Default timings: a heartbeat every 5 s, presumed dead after 15 s. The other worker is idle and
running before the first is killed. A bare stream has no such thing as recovery.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from penstock import Job, JobStatus, RedisStreamsQueue
from penstock.bench.arena import Arena, new_jobs
from penstock.bench.processes import penstock_worker
from penstock.store.workers import list_workers

LOOK_SECONDS = 0.02
LONGEST_SECONDS = 90


async def measure(arena: Arena) -> float:
    """Seconds from the kill to the second attempt."""
    name = arena.new_name()
    [job] = new_jobs(1, kind="hang_once")
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        arena.queue(name) as queue,
        penstock_worker(arena, name, 1) as victim,
    ):
        await queue.enqueue(job)
        await _until(lambda: _is(queue, job, JobStatus.PROCESSING))
        async with penstock_worker(arena, name, 1):
            await _until(lambda: _has_two_workers(queue))
            killed = time.monotonic()
            victim.kill()
            await _until(lambda: _is(queue, job, JobStatus.COMPLETED))
        stored = await queue.get_status(job.id)
        assert stored is not None  # noqa: S101 - it was there a moment ago
        return float(stored.result["started"]) - killed


async def _is(queue: RedisStreamsQueue, job: Job, status: JobStatus) -> bool:
    stored = await queue.get_status(job.id)
    return stored is not None and stored.status is status


async def _has_two_workers(queue: RedisStreamsQueue) -> bool:
    return len(await list_workers(queue)) > 1


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(LOOK_SECONDS)
