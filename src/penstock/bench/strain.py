"""What a worker asks of machine and server at both ends: with nothing to do, and with more than it can do.

Idle, its processor time and its calls are counted once it has run a job and come to rest. Under load, a
timer of five milliseconds on the worker's own event loop says how late it came at worst, and the server's
log of slow commands how long scripts took. Its clock runs on while the server waits for a processor, so on a
machine that has too few of them the longest says more of the machine than the 99th percentile does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from penstock.bench.arena import Arena
from penstock.bench.draining import FILL_SECONDS, LOOK_SECONDS, begun, round_trips
from penstock.bench.processes import ask, ticks_of, worker
from penstock.bench.systems import System

REST_SECONDS = 2.0
_TICKS_A_SECOND = 100
# Microseconds; what is quicker is not looked at, lest the log overflows.
_SLOW_US = 300
_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Strain:
    """Percent of one core, calls a second, milliseconds; ``None`` where it cannot be seen.

    Scripts are looked at from 0.3 ms on: that is the figure when none took longer.
    """

    idle_cpu_percent: float | None
    idle_calls_per_s: float
    loop_lag_ms: float | None
    script_p99_ms: float | None
    slowest_script_ms: float | None


async def measure(arena: Arena, system: System, concurrency: int, how_many: int, idle_s: float) -> Strain:
    """Watch one idle worker for ``idle_s``, then another that works off ``how_many`` jobs."""
    cpu, calls = await _idle(arena, system, concurrency, idle_s)
    return Strain(cpu, calls, *await _under_load(arena, system, concurrency, how_many))


async def _idle(arena: Arena, system: System, concurrency: int, idle_s: float) -> tuple[float | None, float]:
    tally = arena.new_tally()
    options = {"queue": arena.new_queue(), "tally": str(tally), "concurrency": concurrency}
    async with arena.client() as client, worker(arena, system, options) as process:
        await ask(arena, system, "fill", options | {"how_many": 1}, FILL_SECONDS)
        await begun(tally, [process], 1, time.monotonic() + FILL_SECONDS)
        await asyncio.sleep(REST_SECONDS)
        before, ticks = await round_trips(client), ticks_of(process.pid)
        await asyncio.sleep(idle_s)
        calls, spent = await round_trips(client) - before, ticks_of(process.pid) - ticks
    return (100 * spent / _TICKS_A_SECOND / idle_s if ticks else None), calls / idle_s


async def _under_load(
    arena: Arena, system: System, concurrency: int, how_many: int
) -> tuple[float | None, float | None, float | None]:
    tally, lag = arena.new_tally(), arena.directory / "lag"
    lag.unlink(missing_ok=True)
    options: dict[str, Any] = {"queue": arena.new_queue(), "tally": str(tally), "concurrency": concurrency}
    await ask(arena, system, "fill", options | {"how_many": how_many}, FILL_SECONDS)
    async with arena.client() as client:
        if arena.is_ours:
            await client.config_set("slowlog-log-slower-than", _SLOW_US)
            await client.config_set("slowlog-max-len", _ENTRIES)
            await client.slowlog_reset()
        before = await round_trips(client)
        async with worker(arena, system, options | {"lag": str(lag)}) as process:
            until = time.monotonic() + FILL_SECONDS
            await begun(tally, [process], how_many, until)
            # A few jobs may be over before the timer comes for the first time.
            while not lag.exists() and time.monotonic() < until:  # noqa: ASYNC110 - a process writes it
                await asyncio.sleep(LOOK_SECONDS)
        calls = await round_trips(client) - before
        entries = await client.slowlog_get(_ENTRIES) if arena.is_ours else None
    worst = float(lag.read_text()) if lag.exists() else None
    if entries is None:
        return worst, None, None
    slow = [entry["duration"] for entry in entries if entry["command"].startswith(b"EVALSHA")]
    return worst, *_p99_and_longest_ms(slow, calls)


def _p99_and_longest_ms(slow_us: list[int], calls: int) -> tuple[float, float]:
    """Of ``calls`` scripts, those noted took ``slow_us`` and the others less than that is looked at."""
    longest_first = [*sorted(slow_us, reverse=True), _SLOW_US]
    place = min(calls // 100, len(longest_first) - 1)
    return longest_first[place] / 1000, longest_first[0] / 1000
