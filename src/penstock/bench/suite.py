"""All measurements in turn: Penstock and the baseline side by side in every round."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.bench import draining, enqueueing, machine, memory, pickup, recovery
from penstock.bench.arena import Arena
from penstock.bench.draining import Drain
from penstock.bench.enqueueing import Rates
from penstock.bench.memory import Memory
from penstock.bench.pickup import Pickup
from penstock.store.embedded import EmbeddedValkey

CONCURRENCIES = (1, 16, 100, 500)
MIDDLE = 100

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. The raw baseline drains faster and gets ``raw_factor`` times the jobs."""

    rounds: int = 3
    singles: int = 2000
    bulk: int = 20_000
    drains: dict[int, int] = field(default_factory=lambda: {1: 3000, 16: 10_000, 100: 20_000, 500: 20_000})
    raw_factor: int = 3
    pickups: int = 150
    held: int = 20_000
    with_recovery: bool = True

    @classmethod
    def quick(cls, rounds: int = 1) -> Plan:
        """A look within about twenty seconds: too short for figures to be quoted."""
        drains = {1: 600, 16: 2000, 100: 4000, 500: 4000}
        return cls(rounds, 500, 5000, drains, 2, 60, 5000, with_recovery=False)


@dataclass(slots=True)
class Rounds:
    """What one system showed, one entry a round."""

    enqueueing: list[Rates] = field(default_factory=list)
    drains: dict[int, list[Drain]] = field(default_factory=lambda: {at: [] for at in CONCURRENCIES})
    recorded: list[Drain] = field(default_factory=list)
    two_workers: list[Drain] = field(default_factory=list)
    pickups: list[Pickup] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    machine: dict[str, Any]
    penstock: Rounds = field(default_factory=Rounds)
    raw: Rounds = field(default_factory=Rounds)
    memory: Memory | None = None
    recovery_s: float | None = None


async def run_suite(plan: Plan, redis_url: str | None, report: Report) -> Results:
    """Measure as planned on an embedded server, or on the one at ``redis_url``.

    ``report`` is told what is being measured. Memory is always measured on an embedded server with
    default settings. A server that is given keeps everything that was on it.

    Raises ``EmbeddedServerError`` or ``QueueUnavailableError`` when there is no server to measure on,
    ``WorkerError`` when a worker ends too soon.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
        async with _ground(redis_url, Path(directory) / "server") as arena:
            async with arena.raw() as client:
                results = Results(await machine.describe(client, embedded=redis_url is None))
            results.machine["load_before"] = machine.load()
            for number in range(1, plan.rounds + 1):
                await _round(arena, plan, results, _numbered(report, number, plan.rounds))
            if plan.with_recovery:
                report("recovery after SIGKILL, about 16 seconds")
                results.recovery_s = await recovery.measure(arena)
        report("memory a job")
        async with _ground(None, Path(directory) / "defaults", memory.SERVER_DEFAULTS) as arena:
            results.memory = await memory.measure(arena, plan.held)
    results.machine["load_after"] = machine.load()
    return results


@asynccontextmanager
async def _ground(
    redis_url: str | None, directory: Path, settings: dict[str, str] | None = None
) -> AsyncIterator[Arena]:
    if redis_url is not None:
        arena = Arena(redis_url)
        try:
            yield arena
        finally:
            await arena.clear()
        return
    async with EmbeddedValkey(directory, settings=settings) as server:
        yield Arena(server.url)


async def _round(arena: Arena, plan: Plan, results: Results, report: Report) -> None:
    """Each thing on one system and at once on the other, so that a slow minute meets both."""
    ours, bare = results.penstock, results.raw
    report("enqueue")
    ours.enqueueing.append(await enqueueing.measure_penstock(arena, plan.singles, plan.bulk))
    bare.enqueueing.append(await enqueueing.measure_raw(arena, plan.singles, plan.bulk))
    await arena.clear()
    for concurrency, how_many in plan.drains.items():
        report(f"drain at concurrency {concurrency}")
        many = how_many if concurrency == 1 else how_many * plan.raw_factor
        ours.drains[concurrency].append(await draining.measure_penstock(arena, how_many, concurrency))
        bare.drains[concurrency].append(await draining.measure_raw(arena, many, concurrency))
        await arena.clear()
    many = plan.drains[MIDDLE]
    report("drain, recorded")
    ours.recorded.append(await draining.measure_penstock(arena, many, MIDDLE, record=True))
    await arena.clear()
    report("drain, two workers")
    ours.two_workers.append(await draining.measure_penstock(arena, 2 * many, MIDDLE, workers=2))
    bare.two_workers.append(await draining.measure_raw(arena, plan.raw_factor * many, MIDDLE, workers=2))
    await arena.clear()
    report("pickup")
    ours.pickups.append(await pickup.measure_penstock(arena, plan.pickups))
    bare.pickups.append(await pickup.measure_raw(arena, plan.pickups))
    await arena.clear()


def _numbered(report: Report, number: int, rounds: int) -> Report:
    def tell(what: str) -> None:
        report(what if rounds == 1 else f"round {number} of {rounds}: {what}")

    return tell
