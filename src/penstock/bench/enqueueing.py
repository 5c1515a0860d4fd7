"""How fast jobs are accepted: one at a time, each answered before the next, and in bulk.

Time runs from the first call to the last answer. Jobs are made before; encoding and checking them
is part of the call. The baseline calls a script of one XADD, a bare XADD, and XADDs in pipelines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from penstock.bench import raw
from penstock.bench.arena import Arena, new_jobs


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs a second."""

    one: float
    bulk: float
    one_by_xadd: float | None = None


async def measure_penstock(arena: Arena, singles: int, bulk: int) -> Rates:
    """``enqueue`` and ``enqueue_many``."""
    name = arena.new_name()
    async with arena.queue(name) as queue:
        # Loads the script and opens the connection.
        await queue.enqueue_many(new_jobs(64))
        jobs = new_jobs(singles)
        started = time.perf_counter()
        for job in jobs:
            await queue.enqueue(job)
        one = singles / (time.perf_counter() - started)
        jobs = new_jobs(bulk)
        started = time.perf_counter()
        await queue.enqueue_many(jobs)
        return Rates(one, bulk / (time.perf_counter() - started))


async def measure_raw(arena: Arena, singles: int, bulk: int) -> Rates:
    """EVALSHA of a script of one XADD, XADD, and XADD in pipelines of 500."""
    stream = arena.stream_of(arena.new_name())
    async with arena.raw() as client:
        script = client.register_script(raw.SCRIPT)
        await script(keys=[stream], args=[raw.ENTRY["payload"]])
        started = time.perf_counter()
        for _ in range(singles):
            await client.evalsha(script.sha, 1, stream, raw.ENTRY["payload"])
        one = singles / (time.perf_counter() - started)
        started = time.perf_counter()
        for _ in range(singles):
            await client.xadd(stream, raw.ENTRY)
        one_by_xadd = singles / (time.perf_counter() - started)
        started = time.perf_counter()
        await raw.fill(client, stream, bulk)
        return Rates(one, bulk / (time.perf_counter() - started), one_by_xadd)
