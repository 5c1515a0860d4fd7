"""Which jobs are accepted, and in what form they are sent."""

from typing import Any

import pytest

from penstock import InvalidJobError, Job
from penstock.core.acceptance import AcceptedJob, accept, check_duration, lane_of
from penstock.core.codec import decode_spec
from penstock.core.errors import InvalidNameError, PayloadTooLargeError

BAD_JOBS: list[tuple[dict[str, Any], str]] = [
    ({"payload": {"x": object()}}, "not JSON"),
    ({"payload": "\ud800"}, "not JSON"),
    ({"id": ""}, "job id '' is not allowed"),
    ({"id": "a b"}, "job id 'a b' is not allowed"),
    ({"id": "a{b}"}, "not allowed: expected 1 to 200"),
    ({"id": "x" * 201}, "not allowed"),
    ({"id": 7}, "job id 7"),
    ({"type": "no spaces"}, "job type"),
    ({"type": None}, "job type None"),
    ({"priority": "high"}, "priority must be an integer, got 'high'"),
    ({"priority": 1.0}, "priority"),
    ({"priority": True}, "priority"),
    ({"max_attempts": 0}, "max_attempts must be an integer from 1 to 1000, got 0"),
    ({"max_attempts": 1001}, "max_attempts"),
    ({"max_attempts": "3"}, "max_attempts"),
    ({"max_attempts": True}, "max_attempts"),
    (
        {"timeout_seconds": 0},
        "timeout_seconds must be more than 0 seconds and at most 316224000 (ten years), got 0",
    ),
    ({"timeout_seconds": -1}, "timeout_seconds"),
    ({"timeout_seconds": float("nan")}, "timeout_seconds"),
    ({"timeout_seconds": float("inf")}, "timeout_seconds"),
    ({"timeout_seconds": "5"}, "timeout_seconds"),
    ({"metadata": []}, "metadata must be a dict, got list"),
    ({"metadata": {"x": object()}}, "not JSON"),
    ({"metadata": {"x": "y" * 1_100_000}}, "metadata is 1,1"),
    ({"record": "yes"}, "record must be True or False, got 'yes'"),
    ({"partition_key": 5}, "partition_key must be a string"),
    ({"created_at": "today"}, "created_at"),
    ({"created_at": float("nan")}, "created_at"),
    ({"trace": {"traceparent": 1}}, "trace must be a dict of strings"),
    ({"trace": "x"}, "trace must be a dict of strings"),
]


@pytest.mark.parametrize(
    ("fields", "message"), BAD_JOBS, ids=[f"{next(iter(bad))}-{n}" for n, (bad, _) in enumerate(BAD_JOBS)]
)
def test_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidJobError, InvalidNameError)) as caught:
        accept(Job(**fields), 0, {})
    assert message in str(caught.value)


def test_the_form_that_is_sent() -> None:
    job = Job({"n": 1}, type="t", id="x", max_attempts=5, priority=-2, record=True, timeout_seconds=1)
    accepted = accept(job, 0, {})
    assert accepted == AcceptedJob("x", accepted.spec, "low", True, 5, b"", b"")
    spec = decode_spec(accepted.spec)
    assert (spec.format, spec.type, spec.payload, spec.priority) == (1, "t", {"n": 1}, -2)
    assert (spec.created_at, spec.timeout_seconds) == (job.created_at, 1)


def test_the_priority_of_the_call_wins_unless_zero() -> None:
    assert accept(Job(priority=-1), 5, {}).lane == "high"
    assert accept(Job(priority=-1), 0, {}).lane == "low"
    assert [lane_of(priority) for priority in (-9, -1, 0, 1, 9)] == ["low", "low", "normal", "high", "high"]


def test_the_trace_of_the_job_wins() -> None:
    own, current = {"traceparent": "own"}, {"traceparent": "current"}
    assert decode_spec(accept(Job(trace=own), 0, current).spec).trace == own
    assert decode_spec(accept(Job(), 0, current).spec).trace == current


def test_a_large_payload_goes_apart() -> None:
    accepted = accept(Job("x" * 16_384), 0, {})
    assert len(accepted.payload) == 16_386
    spec = decode_spec(accepted.spec)
    assert (spec.payload, spec.payload_apart) == (None, True)


def test_the_limits_are_on_payload_and_metadata_each() -> None:
    accept(Job("x" * 1_048_574), 0, {})
    with pytest.raises(PayloadTooLargeError, match=r"the payload is 1,048,577 bytes"):
        accept(Job("x" * 1_048_575), 0, {})
    with pytest.raises(PayloadTooLargeError, match="the metadata is"):
        accept(Job(metadata={"x": "x" * 1_048_576}), 0, {})


@pytest.mark.parametrize("seconds", [0, 0.001, 86_400, 316_224_000])
def test_durations(seconds: float) -> None:
    assert check_duration(seconds, "it") == seconds


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), 316_224_001, "5", None, True])
def test_what_is_no_duration(seconds: object) -> None:
    with pytest.raises(InvalidJobError, match=r"^it must be 0 or more seconds and at most 316224000"):
        check_duration(seconds, "it")


def test_some_durations_must_not_be_zero() -> None:
    with pytest.raises(InvalidJobError, match="it must be more than 0 seconds"):
        check_duration(0, "it", allow_zero=False)
