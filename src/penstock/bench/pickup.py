"""How soon an idle worker begins: from the call that enqueues to the first line of the handler.

One job at a time, on a worker that has nothing else to do. Both ends read the monotonic clock, which
all processes of a machine share. The baseline's worker waits in a blocking XREADGROUP.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from penstock import JobStatus, RedisStreamsQueue
from penstock.bench import raw
from penstock.bench.arena import Arena, new_jobs
from penstock.bench.processes import check_alive, penstock_worker, raw_worker

WARM_UP = 20
LOOK_SECONDS = 0.002
ANSWER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Pickup:
    """Milliseconds."""

    p50_ms: float
    p99_ms: float


async def measure_penstock(arena: Arena, how_many: int) -> Pickup:
    """``enqueue`` to handler, over the bell."""
    name = arena.new_name()
    async with arena.queue(name) as queue, penstock_worker(arena, name, 10) as worker:
        waits = []
        for _ in range(WARM_UP + how_many):
            check_alive([worker])
            waits.append(await _wait_once(queue))
        return _summed_up(waits[WARM_UP:])


async def measure_raw(arena: Arena, how_many: int) -> Pickup:
    """XADD to XREADGROUP."""
    stream = arena.stream_of(arena.new_name())
    async with arena.raw() as client, raw_worker(arena, "stamp", stream) as worker:
        waits = []
        for _ in range(WARM_UP + how_many):
            check_alive([worker])
            called = time.monotonic()
            await client.xadd(stream, raw.ENTRY)
            _, came = await client.blpop([raw.stamps_of(stream)], ANSWER_SECONDS)
            waits.append(float(came) - called)
            await asyncio.sleep(LOOK_SECONDS)
        return _summed_up(waits[WARM_UP:])


async def _wait_once(queue: RedisStreamsQueue) -> float:
    [job] = new_jobs(1, kind="stamp")
    called = time.monotonic()
    await queue.enqueue(job)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        stored = await queue.get_status(job.id)
        if stored is not None and stored.status is JobStatus.COMPLETED:
            return float(stored.result["started"]) - called


def _summed_up(waits: Sequence[float]) -> Pickup:
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    return Pickup(percentiles[49] * 1000, percentiles[98] * 1000)
