"""The judge of `penstock torture`: an honest run passes, and each broken guarantee is named."""

from dataclasses import replace
from typing import Any

import pytest

from penstock import Job, JobStatus
from penstock.torture.faults import Blow, Struck
from penstock.torture.judge import Evidence, Verdict, judge
from penstock.torture.ledger import Entry
from penstock.torture.scenarios import SCENARIOS

FIRST, SECOND = 100, 200


def entry(
    fact: str, at: float, pid: int = FIRST, job: str = "a", detail: str = "", attempt: int = 1
) -> Entry:
    return Entry(fact, job, attempt, pid, at, detail)


def a_run(at: float, pid: int = FIRST, job: str = "a") -> list[Entry]:
    return [
        entry("start", at, pid, job),
        entry("end", at + 1, pid, job),
        entry("settled", at + 1.1, pid, job, "complete ok"),
    ]


def job_a(**fields: Any) -> Job:
    values: dict[str, Any] = {"id": "a", "payload": {"number": 3, "work_ms": 1000}} | fields
    return Job(**values)


def done(job: Job) -> Job:
    return replace(job, status=JobStatus.COMPLETED, result={"square": job.payload["number"] ** 2})


def verdict(ledger: list[Entry], *blows: Blow, **fields: Any) -> Verdict:
    job = job_a()
    values: dict[str, Any] = {
        "scenario": SCENARIOS["kills"],
        "jobs": {"a": job},
        "acknowledged": {"a": 0.0},
        "found": {"a": done(job)},
        "ledger": ledger,
        "facts": [("completed", "a")],
        "blows": blows,
        "keys_left": [],
        "unbalanced": False,
        "workers_lost": 0,
    }
    return judge("kills", 1, Evidence(**values | fields))


def kill(at: float, pid: int = FIRST) -> Blow:
    return Blow("kill_worker", Struck.WORKER, at, at, pid)


def test_an_honest_run_breaks_nothing() -> None:
    found = verdict(a_run(1))
    assert found.violations == []
    assert found.figures["extra_starts"] == found.figures["lost"] == 0


def test_a_start_after_a_kill_is_explained_and_measured() -> None:
    found = verdict([entry("start", 1), *a_run(12, SECOND)], kill(2))
    assert found.violations == []
    assert found.figures["extra_starts"] == found.figures["in_flight_at_kills"] == 1
    assert found.figures["recovery_p99_s"] == 10


def test_a_failure_on_purpose_explains_the_next_start() -> None:
    found = verdict([entry("start", 1), entry("raise", 1.5), *a_run(2, SECOND)])
    assert (found.violations, found.figures["extra_starts"]) == ([], 0)


def test_a_power_cut_explains_what_fell_into_its_window() -> None:
    cut = Blow("cut_power", Struck.DATA, 2.5, 3, lost_from=1.5)
    found = verdict([*a_run(1), *a_run(4, SECOND)], cut)
    assert found.violations == []
    assert found.figures["settled_twice"] == 1


def test_a_zombie_may_come_as_far_as_a_step() -> None:
    ledger = [
        entry("start", 1),
        entry("start", 4, SECOND),
        entry("paid", 4.1, SECOND),
        entry("step", 4.2, SECOND),
    ]
    ledger += [entry("end", 5, SECOND), entry("settled", 5.1, SECOND, detail="complete ok"), entry("paid", 6)]
    freeze = Blow("freeze_worker", Struck.WORKER, 2, 6, FIRST)
    assert verdict(ledger, freeze).violations == []


@pytest.mark.parametrize("woken_at", [5.9, 6.05], ids=["noted before", "noted after"])
def test_a_zombie_may_start_what_it_had_claimed_when_it_was_frozen(woken_at: float) -> None:
    late = entry("start", 6, FIRST)
    ledger = [entry("start", 4, SECOND, attempt=2), *a_run(4, SECOND)[1:], late, entry("stop", 6.1)]
    frozen = Blow("freeze_worker", Struck.WORKER, 2, woken_at, FIRST)
    assert verdict(ledger, frozen).violations == []
    paid = [entry("paid", 4.1, SECOND, attempt=2), entry("step", 4.2, SECOND, attempt=2), entry("paid", 6.05)]
    assert verdict([*ledger, *paid], frozen).violations == []
    assert any("no fault explains" in broken for broken in verdict(ledger).violations)


def test_what_was_written_late_counts_from_when_it_happened() -> None:
    """A worker frozen in the middle of its note of a start writes it when it wakes."""
    frozen = Blow("freeze_worker", Struck.WORKER, 2, 6, FIRST)
    assert verdict([*a_run(4, SECOND), entry("start", 1)], frozen).violations == []


@pytest.mark.parametrize(
    ("ledger", "blows", "fields", "broken"),
    [
        ([], (), {"found": {"a": None}}, "gone"),
        ([entry("start", 1)], (), {}, "never ran to their end"),
        ([*a_run(1), *a_run(4, SECOND)], (), {}, "settled twice"),
        (a_run(1), (), {"facts": [("completed", "a")] * 2}, "settled twice"),
        ([entry("start", 1), *a_run(4, SECOND)], (), {}, "no fault explains"),
        ([entry("start", 1), *a_run(4, SECOND)], (kill(2, SECOND),), {}, "no fault explains"),
        (
            [*a_run(1), *a_run(9, SECOND)],
            (Blow("cut_power", Struck.DATA, 6, 8, lost_from=4),),
            {},
            "no fault",
        ),
        (a_run(1), (), {"found": {"a": job_a(status=JobStatus.PENDING)}}, "have not ended"),
        (a_run(1), (), {"found": {"a": job_a(status=JobStatus.FAILED, error="x")}}, "failed"),
        (a_run(1), (), {"found": {"a": replace(done(job_a()), result={"square": 4})}}, "not theirs"),
        (a_run(1), (), {"keys_left": ["job:a"]}, "keys are left"),
        (a_run(1), (), {"unbalanced": True}, "balance"),
        (a_run(1), (), {"workers_lost": 1}, "ended by themselves"),
        ([entry("start", 1), *a_run(30, SECOND)], (kill(2),), {}, "took over 20"),
        (
            [
                *(entry("start", 1), entry("paid", 1.1), entry("step", 1.2)),
                *(entry("start", 5, SECOND), entry("paid", 5.1, SECOND), *a_run(6, SECOND)[1:]),
            ],
            (kill(2),),
            {},
            "paid again",
        ),
        (
            [*a_run(1, job="a"), *a_run(1.2, job="b"), *a_run(1.4, job="c")],
            (),
            {
                "jobs": {name: job_a(id=name, concurrency_key="red") for name in "abc"},
                "found": {name: done(job_a(id=name)) for name in "abc"},
            },
            "more jobs running than it has places",
        ),
        (
            [*a_run(1, job="child"), *a_run(3)],
            (),
            {"jobs": {"a": job_a(), "child": job_a(id="child", parents=["a"])}},
            "before their parent",
        ),
        (
            [entry("settled", 20, job="", detail="complete ok"), *a_run(1)],
            (Blow("kill_server", Struck.SERVER, 3, 10),),
            {"scenario": SCENARIOS["redis_kill_always"]},
            "nothing was settled within",
        ),
    ],
)
def test_what_is_broken_is_named(
    ledger: list[Entry], blows: tuple[Blow, ...], fields: dict[str, Any], broken: str
) -> None:
    found = verdict(ledger, *blows, **fields)
    assert any(broken in violation for violation in found.violations), found.violations
