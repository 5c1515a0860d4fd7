"""What is timed on the side that enqueues: jobs accepted a second, and how soon an idle worker begins.

The loops themselves stand in ``players.player``, the same for all systems; a blocking system's calls
block there too. An enqueue is over when the server has answered.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from penstock.bench.arena import Arena
from penstock.bench.processes import ask, worker
from penstock.bench.systems import System

START_SECONDS = 25.0
IDLE_CONCURRENCY = 10


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs a second."""

    one: float
    bulk: float


@dataclass(frozen=True, slots=True)
class Pickup:
    """Milliseconds."""

    p50_ms: float
    p99_ms: float


async def enqueue(
    arena: Arena, system: System, seconds: float, singles: int, bulk: int, bulk_rate: float
) -> Rates:
    """One at a time, each answered before the next, then in bulk: about ``seconds`` each.

    At most ``singles`` and ``bulk`` jobs; ``bulk_rate`` is what is expected, jobs a second.
    """
    options = {
        "queue": arena.new_queue(),
        "seconds": seconds,
        "how_many": singles,
        "bulk": bulk,
        "bulk_rate": bulk_rate,
    }
    answer = await ask(arena, system, "enqueue", options, START_SECONDS + 4 * seconds)
    return Rates(answer["one"], answer["bulk"])


async def pickup(arena: Arena, system: System, how_many: int, seconds: float) -> Pickup:
    """From the call that enqueues to the first line of the handler, one job at a time on an idle worker."""
    options = {
        "queue": arena.new_queue(),
        "tally": str(arena.new_tally()),
        "concurrency": IDLE_CONCURRENCY,
        "how_many": how_many,
        "seconds": seconds,
    }
    async with worker(arena, system, options):
        waits = await ask(arena, system, "pickup", options, START_SECONDS + seconds)
    if len(waits) == 1:
        waits *= 2
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    return Pickup(percentiles[49], percentiles[98])
