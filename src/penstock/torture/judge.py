"""The verdict: what was sworn in the ledger and said by the server, held against the guarantees."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.torture.faults import Blow
from penstock.torture.ledger import Entry

SETTLED = ("completed", "failed", "cancelled", "retrying", "deferred", "released")
FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Fact:
    """One entry of the events stream; ``at`` in seconds since the epoch, ``worker`` of ``started`` ones."""

    event: str
    job: str
    attempt: int
    at: float
    worker: str = ""


def read_fact(fields: Mapping[str, str]) -> Fact:
    """A fact from an entry's fields."""
    worker = fields.get("worker", "").partition(":")[0]
    return Fact(fields["event"], fields["job"], int(fields["attempt"]), int(fields["at"]) / 1000, worker)


@dataclass(frozen=True)
class Evidence:
    """All there is to judge by. ``standing`` are the jobs that have not ended, by id."""

    acknowledged: frozenset[str]
    ledger: Sequence[Entry]
    facts: Sequence[Fact]
    blows: Sequence[Blow]
    standing: dict[str, str]
    missing: frozenset[str]
    keys_left: Sequence[str]
    unbalanced: bool


@dataclass(frozen=True)
class Verdict:
    """The figures of one scenario, and every guarantee that was broken, in words."""

    figures: dict[str, Any]
    violations: list[str] = field(default_factory=list)


def judge(name: str, seed: int, evidence: Evidence) -> Verdict:
    """Count, compare and say what was broken."""
    starts = Counter(entry.job for entry in evidence.ledger if entry.fact == "start")
    ends = Counter(fact.job for fact in evidence.facts if fact.event in FINAL)
    failed = sorted(fact.job for fact in evidence.facts if fact.event == "failed")
    in_flight = _in_flight(evidence)
    figures = {
        "scenario": name,
        "seed": seed,
        "jobs": len(evidence.acknowledged | starts.keys()),
        "acknowledged": len(evidence.acknowledged),
        "lost": len(evidence.missing) + len(_never_run(evidence, starts)),
        "settled_twice": sum(count - 1 for count in ends.values()),
        "extra_starts": sum(count - 1 for count in starts.values()),
        "in_flight_at_kills": len(in_flight),
        "zombies_refused": _refused(evidence.ledger),
        "stuck": len(evidence.standing),
        "recovery_p99_s": _p99(_recoveries(evidence, in_flight)),
        "keys_left": len(evidence.keys_left),
        "failed": len(failed),
        "faults": len(evidence.blows),
    }
    return Verdict(figures, _violations(figures, evidence, failed))


def _violations(figures: dict[str, Any], evidence: Evidence, failed: list[str]) -> list[str]:
    found = [
        f"{figures[name]} {text}"
        for name, text in (
            ("lost", "acknowledged jobs are gone, or are said to be completed and never ran to their end"),
            ("settled_twice", "jobs were settled more than once"),
            ("stuck", f"jobs have not ended: {dict(list(evidence.standing.items())[:5])}"),
            ("keys_left", f"keys are left after retention: {list(evidence.keys_left[:5])}"),
            ("failed", f"jobs failed, and none had a reason to: {failed[:5]}"),
        )
        if figures[name]
    ]
    if figures["extra_starts"] > figures["in_flight_at_kills"]:
        found.append(
            f"{figures['extra_starts']} extra starts, but only {figures['in_flight_at_kills']} attempts "
            "were in flight when their worker was killed or frozen"
        )
    if evidence.unbalanced:
        found.append("the auditor's books do not balance")
    return found


def _never_run(evidence: Evidence, starts: Counter[str]) -> list[str]:
    """Completed jobs whose handler did not come to its end in the attempt that was recorded."""
    sworn = {(entry.job, entry.attempt) for entry in evidence.ledger if entry.fact == "end"}
    completed = [fact for fact in evidence.facts if fact.event == "completed"]
    return [fact.job for fact in completed if (fact.job, fact.attempt) not in sworn or not starts[fact.job]]


def _in_flight(evidence: Evidence) -> list[tuple[str, Blow]]:
    """The attempts that a worker had claimed when it was struck, and not settled by then."""
    settled_at = {(fact.job, fact.attempt): fact.at for fact in evidence.facts if fact.event in SETTLED}
    claimed: dict[str, list[Fact]] = defaultdict(list)
    for fact in evidence.facts:
        if fact.event == "started":
            claimed[fact.worker].append(fact)
    return [
        (fact.job, blow)
        for blow in evidence.blows
        if blow.worker is not None
        for fact in claimed[blow.worker]
        if fact.at <= blow.ended_at and settled_at.get((fact.job, fact.attempt), math.inf) > blow.began_at
    ]


def _recoveries(evidence: Evidence, in_flight: Iterable[tuple[str, Blow]]) -> list[float]:
    """Seconds from the blow to a worker to the next start of each job that it held."""
    starts: dict[str, list[float]] = defaultdict(list)
    for entry in evidence.ledger:
        if entry.fact == "start":
            starts[entry.job].append(entry.at)
    found = []
    for job, blow in in_flight:
        again = [at for at in starts[job] if at > blow.began_at]
        if again:
            found.append(min(again) - blow.began_at)
    return found


def _refused(ledger: Sequence[Entry]) -> int:
    """Late writes that were refused: notes of progress, and outcomes of workers that ended in order."""
    return sum(entry.attempt if entry.fact == "late" else entry.fact == "refused" for entry in ledger)


def _p99(seconds: list[float]) -> float | None:
    if not seconds:
        return None
    return round(sorted(seconds)[max(math.ceil(len(seconds) * 0.99) - 1, 0)], 2)
