"""What came of the demo: numbers counted from the ledger, and whether they are good enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from penstock.cli.demo.ledger import Fact

LONGEST_RECOVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker that was killed, and when by the machine's monotonic clock."""

    worker: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of one run. `recovery_seconds` is None when nothing was reclaimed."""

    jobs: int
    completed: int
    failed: int
    workers_killed: int
    reclaimed: int
    steps_repeated: int
    recovery_seconds: float | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The numbers under the names that `--json` promises."""
        return asdict(self)

    def shortcomings(self) -> list[str]:
        """Why this run is no success; empty when it is one."""
        found = []
        if self.failed:
            found.append(f"{self.failed} jobs failed")
        if self.completed + self.failed < self.jobs:
            found.append(f"{self.jobs - self.completed - self.failed} jobs did not end")
        if self.steps_repeated:
            found.append(f"{self.steps_repeated} finished steps were repeated")
        if not self.workers_killed:
            found.append("no step over the large file was seen running, so no worker was killed")
        elif not self.reclaimed or self.recovery_seconds is None:
            found.append("no job of the killed worker was started again elsewhere")
        elif self.recovery_seconds > LONGEST_RECOVERY_SECONDS:
            found.append(f"recovery took {self.recovery_seconds:.1f} s, above {LONGEST_RECOVERY_SECONDS:g} s")
        return found


def reclaimed_starts(facts: Iterable[Fact], kill: Kill) -> dict[str, float]:
    """Jobs of the killed worker and when each first started again on another worker."""
    held: set[str] = set()
    again: dict[str, float] = {}
    for fact in facts:
        if fact.name != "job started":
            continue
        if fact.worker == kill.worker:
            held.add(fact.job)
        elif fact.job in held and fact.at_seconds > kill.at_seconds:
            again.setdefault(fact.job, fact.at_seconds)
    return again


def repeated_steps(facts: Iterable[Fact]) -> int:
    """How often a step was started that had been finished before."""
    finished: set[tuple[str, str | None]] = set()
    repeated = 0
    for fact in facts:
        step = (fact.job, fact.step)
        if fact.name == "step finished":
            finished.add(step)
        elif fact.name == "step started" and step in finished:
            repeated += 1
    return repeated


def judge(
    facts: Sequence[Fact],
    kill: Kill | None,
    *,
    counts: tuple[int, int, int],
    seconds: float,
) -> Outcome:
    """Count the run from its ledger; `counts` are jobs, completed and failed, as Redis has them."""
    again = {} if kill is None else reclaimed_starts(facts, kill)
    recovery = max(again.values()) - kill.at_seconds if kill is not None and again else None
    return Outcome(
        *counts,
        workers_killed=0 if kill is None else 1,
        reclaimed=len(again),
        steps_repeated=repeated_steps(facts),
        recovery_seconds=None if recovery is None else round(recovery, 2),
        seconds=round(seconds, 2),
    )
