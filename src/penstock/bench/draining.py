"""How fast waiting jobs are worked off, by real worker processes on a queue that was filled before.

The clock is the stream itself: both systems delete an entry when its job is settled, so its length
is what is left to do. It is read every few milliseconds over a connection of its own. Time runs from
the first reading with at most 90 % left (start-up and warm-up are over) to the first that finds it
empty (the last job is settled).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.bench import raw
from penstock.bench.arena import Arena, new_jobs
from penstock.bench.processes import check_alive, penstock_worker, raw_worker

WARM_SHARE = 0.9
LOOK_SECONDS = 0.004
# What a worker sends by itself; scripts do not call these, so their calls are round trips.
_ROUND_TRIPS = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_blpop", "cmdstat_script|load")


@dataclass(frozen=True, slots=True)
class Drain:
    """Jobs a second; for Penstock also round trips a job, CPU time a job, and resident memory."""

    rate: float
    round_trips_per_job: float | None = None
    worker_cpu_us: float | None = None
    server_cpu_us: float | None = None
    worker_rss_mb: float | None = None
    heartbeat_rss_mb: float | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    seconds: float
    left: int
    round_trips: int
    worker_ticks: int
    server_ticks: int


async def measure_penstock(
    arena: Arena, how_many: int, concurrency: int, *, record: bool = False, workers: int = 1
) -> Drain:
    """``penstock worker`` with no-op jobs of 150 bytes and everything on that is on by default."""
    name = arena.new_name()
    async with arena.queue(name) as queue, AsyncExitStack() as stack:
        await queue.enqueue_many(new_jobs(how_many, record=record))
        pids = [
            await stack.enter_async_context(penstock_worker(arena, name, concurrency)) for _ in range(workers)
        ]
        started, ended = await _watch(arena, arena.stream_of(name), how_many, pids)
        done = started.left - ended.left
        return Drain(
            rate=done / (ended.seconds - started.seconds),
            round_trips_per_job=(ended.round_trips - started.round_trips) / done,
            worker_cpu_us=_microseconds(ended.worker_ticks - started.worker_ticks, done),
            server_cpu_us=_microseconds(ended.server_ticks - started.server_ticks, done),
            worker_rss_mb=resident_mb(pids[0].pid),
            heartbeat_rss_mb=sum(resident_mb(child) or 0.0 for child in children_of(pids[0].pid)) or None,
        )


async def measure_raw(arena: Arena, how_many: int, at_once: int, *, workers: int = 1) -> Drain:
    """The bare loop: XREADGROUP COUNT ``at_once``, then XACK and XDEL of all of them in one pipeline."""
    stream = arena.stream_of(arena.new_name())
    async with arena.raw() as client, AsyncExitStack() as stack:
        await raw.fill(client, stream, how_many)
        processes = [
            await stack.enter_async_context(raw_worker(arena, "drain", stream, at_once))
            for _ in range(workers)
        ]
        started, ended = await _watch(arena, stream, how_many, processes)
        await client.delete(stream)
        return Drain((started.left - ended.left) / (ended.seconds - started.seconds))


async def _watch(
    arena: Arena, stream: str, how_many: int, workers: Sequence[asyncio.subprocess.Process]
) -> tuple[_Reading, _Reading]:
    async with arena.raw() as client:
        server_pid = int((await client.info("server"))["process_id"])
        await _depth_at_most(client, stream, int(how_many * WARM_SHARE), workers)
        started = await _read(client, stream, server_pid, workers)
        await _depth_at_most(client, stream, 0, workers)
        return started, await _read(client, stream, server_pid, workers)


async def _depth_at_most(
    client: Any, stream: str, depth: int, workers: Sequence[asyncio.subprocess.Process]
) -> None:
    while await client.xlen(stream) > depth:
        check_alive(workers)
        await asyncio.sleep(LOOK_SECONDS)


async def _read(
    client: Any, stream: str, server_pid: int, workers: Sequence[asyncio.subprocess.Process]
) -> _Reading:
    left, seconds = await client.xlen(stream), time.perf_counter()
    calls = await client.info("commandstats")
    round_trips = sum(calls.get(name, {}).get("calls", 0) for name in _ROUND_TRIPS)
    ticks = sum(_ticks(worker.pid) for worker in workers)
    return _Reading(seconds, left, round_trips, ticks, _ticks(server_pid))


def resident_mb(pid: int) -> float | None:
    """VmRSS of a process in MiB; ``None`` where the system has no ``/proc``."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started; empty where the system has no ``/proc``."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _ticks(pid: int) -> int:
    try:
        # After the name, which may hold blanks: state is field 3, user and system time 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _microseconds(ticks: int, jobs: int) -> float | None:
    # The kernel reports process times in hundredths of a second, whatever it counts in itself.
    return ticks * 10_000 / jobs if ticks else None
