"""The job as an object: its marks, its dict form, its states."""

import time
from typing import Any
from uuid import UUID

import pytest

from penstock import TRANSITIONS, InvalidJobError, Job, JobStatus, QueueConfig, set_queue_config
from penstock.core.job import FINAL_STATUSES


def test_only_the_payload_is_needed() -> None:
    before = time.time()
    job = Job({"a": 1})
    assert job.payload == {"a": 1}
    assert str(UUID(job.id)) == job.id
    assert before <= job.created_at <= time.time()
    assert (job.status, job.attempts, job.max_attempts, job.priority) == (JobStatus.PENDING, 0, 3, 0)
    assert (job.started_at, job.completed_at, job.error, job.worker_id, job.metadata) == (None,) * 4 + ({},)
    assert Job().id != Job().id
    assert Job().metadata is not Job().metadata


def test_attempts_follow_the_configuration() -> None:
    set_queue_config(QueueConfig(retry_max_attempts=7))
    try:
        assert Job().max_attempts == 7
    finally:
        set_queue_config(None)


def test_the_marks() -> None:
    job = Job()
    job.mark_processing("w1")
    assert (job.status, job.worker_id, job.attempts) == (JobStatus.PROCESSING, "w1", 1)
    assert job.started_at is not None
    job.mark_retrying("boom")
    assert (job.status, job.error, job.worker_id) == (JobStatus.RETRYING, "boom", None)
    assert job.should_retry()
    job.mark_processing("w2")
    job.mark_completed({"n": 1})
    assert (job.status, job.result, job.error) == (JobStatus.COMPLETED, {"n": 1}, None)
    assert job.completed_at is not None
    job.mark_processing("w3")
    assert not job.should_retry()
    job.mark_failed("no")
    assert (job.status, job.error) == (JobStatus.FAILED, "no")


def test_the_dict_form_comes_back() -> None:
    job = Job({"a": [1]}, type="t", id="x", priority=2, metadata={"m": {}}, record=True, trace={"a": "b"})
    job.mark_processing("w")
    data = job.to_dict()
    assert data["status"] == "processing"
    assert type(data["status"]) is str
    assert Job.from_dict(data) == job
    assert Job.from_dict({}).status is JobStatus.PENDING


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"colour": "red"}, "a job has no field 'colour'; its fields are ['attempts',"),
        ({"status": "dancing"}, "'dancing' is not a job status: expected one of pending, processing,"),
        ({"status": None}, "None is not a job status"),
        ({"status": []}, "[] is not a job status"),
        (None, "from a mapping of its fields, got NoneType"),
        ([], "got list"),
        ("job", "got str"),
    ],
)
def test_anything_else_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InvalidJobError) as caught:
        Job.from_dict(data)
    assert message in str(caught.value)


def test_statuses_are_their_words() -> None:
    assert [status.value for status in JobStatus] == [
        "pending",
        "processing",
        "completed",
        "failed",
        "cancelled",
        "retrying",
        "scheduled",
        "suspended",
        "waiting",
    ]
    assert f"{JobStatus.PENDING}" == "pending"


def test_the_table_of_moves_is_closed() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    for status, followers in TRANSITIONS.items():
        assert followers <= set(JobStatus)
        by_hand = {JobStatus.PENDING, JobStatus.WAITING} if status is JobStatus.FAILED else set()
        assert (not followers - by_hand) == status.is_final == (status in FINAL_STATUSES)
    with pytest.raises(TypeError):
        TRANSITIONS[JobStatus.FAILED] = frozenset({JobStatus.PENDING})  # type: ignore[index]
