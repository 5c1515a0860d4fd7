"""The verdict: what was sworn in the ledger and said by the server, held against the guarantees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.core.job import Job, JobStatus
from penstock.torture.faults import Blow, Struck
from penstock.torture.history import Histories, p99
from penstock.torture.ledger import Entry
from penstock.torture.scenarios import Scenario
from penstock.torture.work import PLACES_OF_A_KEY, answer

FINAL = ("completed", "failed", "cancelled")
NAMED = 5


@dataclass(frozen=True)
class Evidence:
    """All there is to judge by: what was acknowledged when, and what the server says of each job at the end.

    ``facts`` are the entries ``(event, job)`` of the events stream, one for each settle of a recorded job
    that was accepted; the ledger holds the answers to settles of all jobs.
    """

    scenario: Scenario
    jobs: Mapping[str, Job]
    acknowledged: Mapping[str, float]
    found: Mapping[str, Job | None]
    ledger: Sequence[Entry]
    facts: Sequence[tuple[str, str]]
    blows: Sequence[Blow]
    keys_left: Sequence[str]
    unbalanced: bool
    workers_lost: int


@dataclass(frozen=True)
class Verdict:
    """The figures of one scenario, every guarantee that was broken, in words, and what else was seen."""

    figures: dict[str, Any]
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(name: str, seed: int, evidence: Evidence) -> Verdict:
    """Count, compare and say what was broken."""
    histories = Histories(evidence.ledger, evidence.blows)
    lost, twice = _lost(evidence, histories), _settled_twice(evidence, histories)
    standing = [
        f"{job_id} {job.status.value}"
        for job_id, job in evidence.found.items()
        if job and not job.status.is_final
    ]
    figures = {
        "scenario": name,
        "seed": seed,
        "jobs": len(evidence.jobs),
        "acknowledged": len(evidence.acknowledged),
        "lost": len(lost),
        "settled_twice": len(twice),
        "extra_starts": sum(len(history.extra_starts) for history in histories.by_job.values()),
        "in_flight_at_kills": len(histories.in_flight),
        "zombies_refused": sum(_is_refusal(entry) for entry in evidence.ledger),
        "stuck": len(standing),
        "recovery_p99_s": p99(histories.recoveries()),
        "keys_left": len(evidence.keys_left),
    }
    checks = [
        (lost, "acknowledged jobs are gone, or completed and never ran to their end"),
        (_unexcused_twice(twice, histories), "jobs were settled twice"),
        (standing, "jobs have not ended"),
        *_checks(evidence, histories),
    ]
    violations = [
        f"{len(found)} {text}: {', '.join(map(str, found[:NAMED]))}" for found, text in checks if found
    ]
    counted = Counter(blow.name for blow in evidence.blows)
    dealt = ", ".join(f"{count} {fault}" for fault, count in sorted(counted.items()))
    return Verdict(figures, violations, [f"dealt: {dealt or 'nothing'}"])


def _checks(evidence: Evidence, histories: Histories) -> list[tuple[Sequence[object], str]]:
    """What else may be broken: what was found of each kind, and how to say it."""
    scenario = evidence.scenario
    return [
        (_unexcused(histories), "starts that no fault explains"),
        (evidence.keys_left, "keys are left after the retention"),
        (_ended_badly(evidence), "jobs failed or were cancelled, and none had a reason to"),
        (_wrong_results(evidence), "jobs have a result that is not theirs"),
        (_paid_twice(histories), "steps were paid again though they were stored"),
        (_crowded(evidence, histories), "times a key had more jobs running than it has places"),
        (_before_parents(evidence, histories), "jobs started before their parent had ended"),
        (_late_recoveries(scenario, histories), f"recoveries took over {scenario.most_recovery_s} s"),
        (_long_pauses(evidence), f"times nothing was settled within {scenario.most_pause_s} s"),
        (["the books"] * evidence.unbalanced, "auditor found them not to balance"),
        (["worker"] * evidence.workers_lost, "workers ended by themselves"),
    ]


def _lost(evidence: Evidence, histories: Histories) -> list[str]:
    """Jobs that are gone, and completed ones whose handler never came to its end."""
    return [
        job_id
        for job_id, job in evidence.found.items()
        if job is None or (job.status is JobStatus.COMPLETED and not histories.of(job_id).has("end"))
    ]


def _settled_twice(evidence: Evidence, histories: Histories) -> list[str]:
    """Jobs with more than one final settle accepted, by what workers were answered or by the events."""
    told = Counter(job for event, job in evidence.facts if event in FINAL)
    return [
        job_id
        for job_id in evidence.jobs
        if told[job_id] > 1 or len(histories.of(job_id).accepted("complete", "fail", "cancel")) > 1
    ]


def _unexcused_twice(twice: Sequence[str], histories: Histories) -> list[str]:
    """Those of which no settle fell into what a power cut or a failover may take."""
    return [
        job_id
        for job_id in twice
        if not any(
            histories.is_in_lost_window(entry.at)
            for entry in histories.of(job_id).accepted("complete", "fail", "cancel")
        )
    ]


def _unexcused(histories: Histories) -> list[str]:
    return [
        f"{job_id} (pid {before.pid}, then {after.pid})"
        for job_id, history in histories.by_job.items()
        for before, after in history.extra_starts
        if not histories.is_excused(history, before, after)
    ]


def _is_refusal(entry: Entry) -> bool:
    kind, _, code = entry.detail.partition(" ")
    return entry.fact == "refused" or (
        entry.fact == "settled" and code in ("lost", "gone") and kind != "release"
    )


def _ended_badly(evidence: Evidence) -> list[str]:
    return [
        f"{job_id}: {job.error}"
        for job_id, job in evidence.found.items()
        if job and job.status.is_final and job.status is not JobStatus.COMPLETED
    ]


def _wrong_results(evidence: Evidence) -> list[str]:
    return [
        job_id
        for job_id, job in evidence.found.items()
        if job and job.status is JobStatus.COMPLETED and job.result != answer(evidence.jobs[job_id].payload)
    ]


def _paid_twice(histories: Histories) -> list[str]:
    """Steps whose function ran in an attempt that began when the step was stored, and not lost since.

    A zombie, one that began before or under an earlier attempt, may come as far as the function: what it
    did is refused when it is stored.
    """
    found = []
    for job_id, history in histories.by_job.items():
        stored = history.first("step")
        if stored is None or histories.is_in_lost_window(stored.at):
            continue
        began = {entry.pid: entry.at for entry in history.entries if entry.fact == "start"}
        paid = [entry for entry in history.entries if entry.fact == "paid" and entry.at > stored.at]
        found += [
            job_id for entry in paid if entry.attempt >= stored.attempt and began[entry.pid] > stored.at
        ]
    return found


def _crowded(evidence: Evidence, histories: Histories) -> list[str]:
    if histories.has_lost_data:
        return []
    marks: list[tuple[float, int, str]] = []
    for job_id, history in histories.by_job.items():
        key = evidence.jobs[job_id].concurrency_key if job_id in evidence.jobs else None
        for begin, end in histories.spans(history) if key else ():
            marks += [(begin, 1, str(key)), (end, -1, str(key))]
    running: Counter[str] = Counter()
    found = []
    for at, change, key in sorted(marks):
        running[key] += change
        if running[key] > PLACES_OF_A_KEY:
            found.append(f"{key} at {at:.3f}")
    return found


def _before_parents(evidence: Evidence, histories: Histories) -> list[str]:
    if histories.has_lost_data:
        return []
    found = []
    for job_id, job in evidence.jobs.items():
        started = histories.of(job_id).first("start")
        for parent in job.parents:
            ended = histories.of(parent).first("end")
            if started and (ended is None or ended.at > started.at):
                found.append(job_id)
    return found


def _late_recoveries(scenario: Scenario, histories: Histories) -> list[float]:
    most, figure = scenario.most_recovery_s, p99(histories.recoveries())
    return [figure] if most is not None and figure is not None and figure > most else []


def _long_pauses(evidence: Evidence) -> list[str]:
    """Returns of the server after which workers took too long to settle something."""
    most = evidence.scenario.most_pause_s
    settled = [entry.at for entry in evidence.ledger if entry.fact == "settled"]
    returns = [blow.ended_at for blow in evidence.blows if blow.struck is Struck.SERVER and most]
    first = [min((at - back for at in settled if at > back), default=0.0) for back in returns]
    return [f"{pause:.1f} s" for pause in first if most and pause > most]
