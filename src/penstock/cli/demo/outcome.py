"""What came of the demo: numbers counted outside Redis, and whether they are good enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from penstock.cli.demo.ledger import Fact

LONGEST_RECOVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker that was killed, inside which step of which run, and when by the monotonic clock."""

    worker: str
    run_id: str
    step: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of one demo. `recovery_seconds` is None when nothing was reclaimed.

    `workers_killed` counts kills in the middle of a step; `steps_repeated` finished steps that ran
    again; `webhooks_verified` runs whose webhook came with a good signature; `webhooks_refused` those that
    came with a bad one; `history_rows` ended runs in PostgreSQL.
    """

    runs: int
    completed: int
    failed: int
    workers_killed: int
    reclaimed: int
    steps_repeated: int
    webhooks_verified: int
    webhooks_refused: int
    history_rows: int
    recovery_seconds: float | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The numbers under the names that `--json` promises; jobs are the runs under their older name."""
        return {**asdict(self), "jobs": self.runs}

    def shortcomings(self) -> list[str]:
        """Why this demo is no success; empty when it is one."""
        unended = self.runs - self.completed - self.failed
        checks = {
            f"{self.failed} of {self.runs} runs failed": self.failed > 0,
            f"{unended} of {self.runs} runs did not end": unended > 0,
            f"{self.steps_repeated} finished steps were repeated": self.steps_repeated > 0,
            f"{self.webhooks_verified} webhooks were verified, {self.runs} were expected": (
                self.webhooks_verified != self.runs
            ),
            f"{self.webhooks_refused} webhooks had a bad signature": self.webhooks_refused > 0,
            f"the history has {self.history_rows} ended runs, {self.runs} were expected": (
                self.history_rows != self.runs
            ),
        }
        return [said for said, is_so in checks.items() if is_so] + self._recovery_shortcomings()

    def _recovery_shortcomings(self) -> list[str]:
        if not self.workers_killed:
            return ["no worker was killed in the middle of a step"]
        if not self.reclaimed or self.recovery_seconds is None:
            return ["no run of the killed worker was started again elsewhere"]
        if self.recovery_seconds > LONGEST_RECOVERY_SECONDS:
            return [f"recovery took {self.recovery_seconds:.1f} s, above {LONGEST_RECOVERY_SECONDS:g} s"]
        return []


def reclaimed_starts(facts: Iterable[Fact], kill: Kill) -> dict[str, float]:
    """Runs of the killed worker and when each first started again on another worker."""
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


def was_in_the_middle(facts: Iterable[Fact], kill: Kill) -> bool:
    """Whether the killed worker did not finish the step after all, in the moment before it died."""
    return not any(
        fact.name == "step finished"
        and (fact.job, fact.step, fact.worker) == (kill.run_id, kill.step, kill.worker)
        for fact in facts
    )
