"""The measures of a round by name, and how many jobs each is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from penstock.bench import draining, requests
from penstock.bench.arena import Arena
from penstock.bench.book import Book
from penstock.bench.draining import Load
from penstock.bench.plan import MIDDLE, Plan
from penstock.bench.systems import System

if TYPE_CHECKING:
    from penstock.bench.suite import Results

Measure: TypeAlias = Callable[[System], Awaitable[None]]

_OF_PENSTOCK = ("drain_recorded",)


class Measures:
    """Runs one measure of one system and writes the figures into the book."""

    def __init__(self, arena: Arena, plan: Plan, book: Book) -> None:
        """All on one ground."""
        self.arena = arena
        self._plan = plan
        self._book = book
        self._best: dict[str, dict[str, object]] = {}

    def of_a_round(self) -> dict[str, Measure]:
        """In the order they are taken."""
        drains: dict[str, Measure] = {
            f"drain.{at}": partial(self._drain, measure=f"drain.{at}", concurrency=at)
            for at in self._plan.concurrencies
        }
        return {
            "enqueue": self._enqueue,
            **drains,
            "drain_recorded": partial(self._drain, measure="drain_recorded", options={"record": True}),
            "drain_two_workers": partial(self._drain, measure="drain_two_workers", workers=2),
            "drain_best": self._drain_best,
            "pickup": self._pickup,
        }

    def concerns(self, system: System, measure: str, results: Results) -> bool:
        """Whether the system has what is measured."""
        if measure == "drain_best":
            best = results.descriptions[system.name]["best"]
            self._best[system.name] = best or {}
            return bool(best)
        return measure not in _OF_PENSTOCK or not (system.is_peer or system.name == "raw")

    async def _enqueue(self, system: System) -> None:
        plan, name = self._plan, system.name
        bulk_rate = self._book.last(name, "enqueue_bulk") or system.rates[2]
        rates = await requests.enqueue(self.arena, system, plan.enqueue_s, plan.singles, plan.bulk, bulk_rate)
        self._book.write(name, "enqueue_one", rates.one)
        self._book.write(name, "enqueue_bulk", rates.bulk)

    async def _pickup(self, system: System) -> None:
        took = await requests.pickup(self.arena, system, self._plan.pickups, self._plan.pickup_s)
        self._book.write(system.name, "pickup_p50_ms", took.p50_ms)
        self._book.write(system.name, "pickup_p99_ms", took.p99_ms)

    async def _drain_best(self, system: System) -> None:
        options = dict(self._best[system.name])
        concurrency = int(str(options.pop("concurrency")))
        await self._drain(system, measure="drain_best", concurrency=concurrency, options=options)

    async def _drain(
        self,
        system: System,
        *,
        measure: str,
        concurrency: int = MIDDLE,
        workers: int = 1,
        options: dict[str, object] | None = None,
    ) -> None:
        plan, name = self._plan, system.name
        rate = self._book.last(name, measure) or system.rates[0 if concurrency == 1 else 1]
        # A tenth goes by before the clock starts.
        wanted = int(rate * plan.drain_s / (1 - draining.WARM_SHARE))
        how_many = min(max(wanted, plan.least_jobs), plan.most_jobs)
        load = Load(how_many, concurrency, workers, options or {}, plan.window_s)
        drain = await draining.measure(self.arena, system, load)
        self._book.write(name, measure, drain.rate)
        # A system that runs one job at a time shows at 1 what the others show in the middle.
        middle = f"drain.{MIDDLE}"
        if measure == middle or (measure == "drain.1" and (name, middle) in self._book.ruled_out):
            self._book.write(name, "worker_cpu_us_per_job", drain.worker_cpu_us)
            self._book.write(name, "server_cpu_us_per_job", drain.server_cpu_us)
            self._book.write(name, "worker_rss_mb", drain.worker_rss_mb)
            if not system.is_peer:
                self._book.write(name, "round_trips_per_job", drain.round_trips_per_job)
