"""Watching the runs: the ledger for what agents do, the API for where their runs stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.cli.demo.api_client import ApiClient, RunStatus
from penstock.cli.demo.goals import Goal
from penstock.cli.demo.ledger import Fact


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step that has started and not finished; `at_seconds` is the machine's monotonic clock."""

    run_id: str
    name: str
    worker: str
    at_seconds: float


def step_in_the_middle(facts: Iterable[Fact], runs: Iterable[str]) -> OpenStep | None:
    """The innermost step that is open now in the first of `runs` that has finished another one before."""
    wanted = list(runs)
    finished: dict[str, int] = {}
    opened: dict[str, list[OpenStep]] = {}
    for fact in facts:
        if fact.job not in wanted:
            continue
        steps = opened.setdefault(fact.job, [])
        if fact.name in {"job started", "job finished"}:
            steps.clear()
        elif fact.name == "step started":
            steps.append(OpenStep(fact.job, str(fact.step), fact.worker, fact.at_seconds))
        elif fact.name == "step finished":
            finished[fact.job] = finished.get(fact.job, 0) + 1
            opened[fact.job] = [one for one in steps if one.name != fact.step]
    return next((opened[run][-1] for run in wanted if opened.get(run) and finished.get(run)), None)


class Watch:
    """How all runs stand, asked of the API in one go; ended runs are not asked again."""

    def __init__(self, client: ApiClient, goals: Mapping[str, Goal]) -> None:
        """`goals` are the runs by id, in the order of submission."""
        self._client = client
        self.goals = goals
        self.statuses: dict[str, RunStatus] = {}
        self.looked_at = float("-inf")

    async def look(self) -> None:
        """Ask anew."""
        asked = [run for run in self.goals if run not in self.statuses or not self.statuses[run].is_final]
        for status in await asyncio.gather(*(self._client.status(run) for run in asked)):
            self.statuses[status.run_id] = status
        self.looked_at = time.monotonic()

    def count(self, status: str) -> int:
        """How many runs have this status."""
        return sum(one.status == status for one in self.statuses.values())

    @property
    def all_ended(self) -> bool:
        """Whether no run is left."""
        return len(self.statuses) == len(self.goals) and all(one.is_final for one in self.statuses.values())
