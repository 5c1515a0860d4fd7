"""How fast waiting jobs are worked off, by real worker processes on a queue that was filled before.

Time runs from the moment at which a tenth of the jobs has begun (start-up and warm-up are over) to
that at which the last one began, by the tally that every system's handlers write; a slow system is
stopped when the time for a measure is up, and what it did until then counts. At the end of the
window the last few jobs of every system are begun and not yet settled, at most ``concurrency`` of
them, which is why a measure takes at least thousands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.bench.arena import Arena
from penstock.bench.players.player import read_tally
from penstock.bench.processes import (
    MeasureFailedError,
    WorkerProcess,
    ask,
    resident_mb,
    ticks_of,
    worker,
)
from penstock.bench.systems import System

WARM_SHARE = 0.1
LOOK_SECONDS = 0.002
FILL_SECONDS = 40.0
STUCK_SECONDS = 12.0
# What a worker sends by itself; scripts do not call these, so their calls are round trips.
_ROUND_TRIPS = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_blpop", "cmdstat_script|load")


@dataclass(frozen=True, slots=True)
class Load:
    """What is drained: so many jobs, by so many worker processes, each with ``concurrency``."""

    how_many: int
    concurrency: int
    workers: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    window_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Drain:
    """Jobs a second, CPU time a job on both sides, memory of one worker's processes, EVALSHA calls a job."""

    rate: float
    worker_cpu_us: float | None
    server_cpu_us: float | None
    worker_rss_mb: float | None
    round_trips_per_job: float


@dataclass(frozen=True, slots=True)
class _Reading:
    begun: int
    at: float
    round_trips: int
    worker_ticks: int
    server_ticks: int


async def measure(arena: Arena, system: System, load: Load) -> Drain:
    """Fill a new queue, start the workers, watch. Raises ``MeasureFailedError``."""
    tally = arena.new_tally()
    options = {"queue": arena.new_queue(), "tally": str(tally), "concurrency": load.concurrency}
    options |= load.options
    await ask(arena, system, "fill", options | {"how_many": load.how_many}, FILL_SECONDS)
    async with AsyncExitStack() as stack, arena.client() as client:
        server = int((await client.info("server"))["process_id"])
        crew = [await stack.enter_async_context(worker(arena, system, options)) for _ in range(load.workers)]
        await begun(tally, crew, int(load.how_many * WARM_SHARE), time.monotonic() + FILL_SECONDS)
        first = await _read(client, tally, server, crew)
        await begun(tally, crew, load.how_many, time.monotonic() + load.window_s, may_stop=True)
        last = await _read(client, tally, server, crew)
        done = last.begun - first.begun
        if done <= 0 or last.at <= first.at:
            raise MeasureFailedError(f"{load.how_many} jobs were over too soon to be timed")
        if last.begun > load.how_many:
            raise MeasureFailedError(f"{load.how_many} jobs were begun {last.begun} times")
        return Drain(
            rate=done / (last.at - first.at),
            worker_cpu_us=_microseconds(last.worker_ticks - first.worker_ticks, done),
            server_cpu_us=_microseconds(last.server_ticks - first.server_ticks, done),
            worker_rss_mb=resident_mb(crew[0].pid),
            round_trips_per_job=(last.round_trips - first.round_trips) / done,
        )


async def begun(
    tally: Path, crew: Sequence[WorkerProcess], how_many: int, until: float, *, may_stop: bool = False
) -> None:
    """Wait until so many jobs have begun, or time is up; a standstill is a failure."""
    before, moved = -1, time.monotonic()
    while (jobs := read_tally(tally)[0]) < how_many:
        now = time.monotonic()
        for process in crew:
            process.check_alive()
        if jobs != before:
            before, moved = jobs, now
        if now - moved > STUCK_SECONDS:
            raise MeasureFailedError(f"stood still for {STUCK_SECONDS:.0f} s after {jobs} jobs")
        if now > until:
            if may_stop:
                return
            raise MeasureFailedError(f"took too long to begin {how_many} jobs")
        await asyncio.sleep(LOOK_SECONDS)


async def _read(client: Any, tally: Path, server: int, crew: Sequence[WorkerProcess]) -> _Reading:
    calls = await round_trips(client)
    ticks = sum(ticks_of(process.pid) for process in crew)
    server_ticks = ticks_of(server)
    jobs, at = read_tally(tally)
    return _Reading(jobs, at, calls, ticks, server_ticks)


async def round_trips(client: Any) -> int:
    """How often Penstock's clients have called the server since it started."""
    calls = await client.info("commandstats")
    return sum(calls.get(name, {}).get("calls", 0) for name in _ROUND_TRIPS)


def _microseconds(ticks: int, jobs: int) -> float | None:
    return ticks * 10_000 / jobs if ticks else None
