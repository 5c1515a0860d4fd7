"""All measurements in turn: every system meets each measure before the next begins, in every round."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.bench import backlog, machine, memory, recovery, strain
from penstock.bench.arena import Arena, ground
from penstock.bench.backlog import Backlog
from penstock.bench.book import Book
from penstock.bench.measures import Measures
from penstock.bench.plan import MIDDLE, Plan
from penstock.bench.processes import MeasureFailedError, ask
from penstock.bench.strain import Strain
from penstock.bench.systems import System

Report = Callable[[str], None]

_DESCRIBE_SECONDS = 20.0


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    machine: dict[str, Any]
    plan: Plan
    book: Book = field(default_factory=Book)
    descriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    rounds_done: int = 0
    backlog: Backlog | None = None
    strain: Strain | None = None


async def run_suite(plan: Plan, systems: Sequence[System], redis_url: str | None, report: Report) -> Results:
    """Measure as planned on an embedded server, or on the one at ``redis_url``.

    ``report`` is told what is being measured. Memory is always measured
    on an embedded server with default settings. A server that is given keeps everything that was on
    it. A measure that fails is written down as such, and the run goes on.

    Raises ``EmbeddedServerError`` or ``QueueUnavailableError`` when there is no server to measure on.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
        async with ground(redis_url, Path(directory) / "main") as arena:
            async with arena.client() as client:
                results = Results(await machine.describe(client, embedded=arena.is_ours), plan)
            results.machine["load_before"] = machine.load()
            present = await _describe(arena, systems, results, report)
            measures = Measures(arena, plan, results.book)
            until = started + plan.limit_s - _tail_seconds(plan, present)
            for number in range(1, plan.rounds + 1):
                results.rounds_done += await _round(
                    measures, present, results, number, until=until, report=report
                )
            await _once(arena, plan, present, results, report)
        async with ground(None, Path(directory) / "defaults", memory.SERVER_DEFAULTS) as arena:
            await _memory(arena, plan, present, results, report)
    results.machine["load_after"] = machine.load()
    results.machine["took_s"] = round(time.monotonic() - started)
    return results


def _tail_seconds(plan: Plan, present: Sequence[System]) -> float:
    """What is left to do after the rounds, roughly."""
    recovering = plan.recovery_s + 2 * len(present) if plan.recovery_s else 0
    return recovering + plan.waiting / 25_000 + 2 * plan.idle_s + 6 * len(present)


async def _describe(
    arena: Arena, systems: Sequence[System], results: Results, report: Report
) -> list[System]:
    """Ask every system what it is; one that cannot even say that is left out, and the reason kept."""
    present = []
    for system in systems:
        report(f"{system.name}: versions")
        options = {"queue": arena.new_queue(), "concurrency": 1}
        try:
            described = await ask(arena, system, "describe", options, _DESCRIBE_SECONDS)
        except (MeasureFailedError, OSError) as error:
            results.book.fail(system.name, "all", f"could not be started: {error}")
            continue
        results.descriptions[system.name] = described
        for measure, reason in described["unable"].items():
            results.book.rule_out(system.name, measure, reason)
        present.append(system)
    return present


async def _round(
    measures: Measures,
    present: Sequence[System],
    results: Results,
    number: int,
    *,
    until: float,
    report: Report,
) -> int:
    """Each thing on all systems at once, so that a slow minute meets them all; whose turn is first changes.

    Returns 1 if there was time for all of it.
    """
    for name, measure in measures.of_a_round().items():
        for at in range(len(present)):
            system = present[(at + number) % len(present)]
            if time.monotonic() > until:
                return 0
            if not _is_worth_trying(measures, system, name, results):
                continue
            report(f"round {number} of {results.plan.rounds}: {name}, {system.name}")
            try:
                async with asyncio.timeout(results.plan.measure_limit_s):
                    await measure(system)
                results.book.succeed(system.name, name)
            except MeasureFailedError as error:
                results.book.fail(system.name, name, str(error))
            except TimeoutError:
                results.book.fail(system.name, name, f"not done within {results.plan.measure_limit_s:.0f} s")
            await measures.arena.clear()
    return 1


def _is_worth_trying(measures: Measures, system: System, name: str, results: Results) -> bool:
    book = results.book
    if book.is_given_up(system.name, name) or book.is_hopeless(system.name):
        return False
    return measures.concerns(system, name, results)


async def _once(
    arena: Arena, plan: Plan, present: Sequence[System], results: Results, report: Report
) -> None:
    """What takes no rounds: the long backlog, and recovery, side by side."""
    ours = [system for system in present if system.name == "penstock"]
    if plan.waiting and ours:
        report(f"claims with {plan.waiting:,} jobs waiting")
        try:
            results.backlog = await backlog.measure(arena, ours[0], plan.waiting, plan.claims)
        except MeasureFailedError as error:
            results.book.fail(ours[0].name, "backlog", str(error))
        await arena.clear()
    if plan.idle_s and ours:
        report("a worker at rest and under load")
        try:
            results.strain = await strain.measure(arena, ours[0], MIDDLE, plan.bulk, plan.idle_s)
        except MeasureFailedError as error:
            results.book.fail(ours[0].name, "strain", str(error))
        await arena.clear()
    able = [system for system in present if not results.book.is_given_up(system.name, "recovery")]
    able = [system for system in able if not results.book.is_hopeless(system.name)]
    if plan.recovery_s:
        report(f"recovery after SIGKILL, all side by side, up to {plan.recovery_s:.0f} s")
        recovering = (_recovery(arena, system, len(able), results) for system in able)
        await asyncio.gather(*recovering)
        await arena.clear()


async def _recovery(arena: Arena, system: System, beside: int, results: Results) -> None:
    try:
        took = await recovery.measure(arena, system, beside, results.plan.recovery_s)
    except MeasureFailedError as error:
        results.book.fail(system.name, "recovery", str(error))
    else:
        results.book.write(system.name, "recovery_s", took)


async def _memory(
    arena: Arena, plan: Plan, present: Sequence[System], results: Results, report: Report
) -> None:
    for system in present:
        if results.book.is_hopeless(system.name):
            continue
        report(f"memory a job, {system.name}")
        try:
            held = await memory.measure(arena, system, plan.held)
            results.book.write(system.name, "bytes_per_job", held)
            if system.name == "penstock":
                tuned = await memory.measure_tuned(arena, system, plan.held)
                results.book.write(system.name, "bytes_per_job_tuned", tuned)
        except MeasureFailedError as error:
            results.book.fail(system.name, "bytes_per_job", str(error))
