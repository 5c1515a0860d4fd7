"""The queue module's quick start and reference, package name apart: they work as printed."""

import inspect
from typing import Any

import pytest

import penstock
from penstock import (
    DebateWorker,
    Job,
    JobQueue,
    JobStatus,
    JobStatusTracker,
    QueueConfig,
    RetryPolicy,
    create_debate_job,
    create_redis_queue,
    get_debate_payload,
    is_retryable_error,
    set_queue_config,
)
from tests.harness.servers import Server

REFERENCE: dict[tuple[type, str], list[str]] = {
    (JobQueue, "enqueue"): ["job", "priority", "queue_name", "delay_seconds"],
    (JobQueue, "dequeue"): ["worker_id", "timeout_ms", "queue_name"],
    (JobQueue, "ack"): ["job_id"],
    (JobQueue, "nack"): ["job_id", "requeue"],
    (JobQueue, "get_status"): ["job_id"],
    (JobQueue, "cancel"): ["job_id"],
    (JobQueue, "get_queue_stats"): [],
    (JobQueue, "claim_stale_jobs"): ["idle_ms"],
    (JobQueue, "close"): [],
    (JobQueue, "complete"): ["job_id", "result", "status"],
    (JobQueue, "fail"): ["job_id", "error", "requeue"],
    (DebateWorker, "__init__"): ["queue", "worker_id", "executor", "max_concurrent", "retry_policy"],
    (DebateWorker, "stop"): ["timeout"],
    (penstock.RedisStreamsQueue, "__init__"): ["redis_client", "consumer_name", "config"],
}
DEFAULTS: dict[tuple[type, str], dict[str, Any]] = {
    (JobQueue, "enqueue"): {"priority": 0, "queue_name": None, "delay_seconds": 0},
    (JobQueue, "dequeue"): {"timeout_ms": 5000, "queue_name": None},
    (JobQueue, "nack"): {"requeue": True},
    (JobQueue, "fail"): {"requeue": False},
    (DebateWorker, "__init__"): {"max_concurrent": 3, "retry_policy": None},
}


@pytest.fixture(autouse=True)
def settings(valkey: Server) -> Any:
    """The process-wide settings name the test's server, as REDIS_URL would."""
    set_queue_config(QueueConfig(redis_url=valkey.url))
    yield
    set_queue_config(None)


@pytest.mark.parametrize(("kind", "verb"), REFERENCE)
def test_the_verbs_take_what_the_reference_says(kind: type, verb: str) -> None:
    parameters = inspect.signature(getattr(kind, verb)).parameters
    names = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert names == ["self", *REFERENCE[kind, verb]]
    for name, value in DEFAULTS.get((kind, verb), {}).items():
        assert parameters[name].default == value


async def test_the_quick_start() -> None:
    queue = await create_redis_queue()
    job = create_debate_job(
        question="Should we use microservices?",
        agents=["anthropic-api", "openai-api"],
        rounds=3,
        consensus="majority",
    )
    job_id = await queue.enqueue(job)
    status = await queue.get_status(job_id)
    assert status is not None
    assert status.status.value == "pending"

    questions: list[str] = []

    async def executor(job: Job) -> dict[str, Any]:
        questions.append(get_debate_payload(job).question)
        return {"final_answer": "no"}

    worker = DebateWorker(queue=queue, worker_id="worker-1", executor=executor, max_concurrent=3)
    await worker.run_until_idle()
    assert questions == ["Should we use microservices?"]
    stats = worker.get_stats()
    assert (stats["worker_id"], stats["jobs_processed"], stats["jobs_failed"]) == ("worker-1", 1, 0)
    assert stats["active_jobs"] == 0
    assert stats["uptime_seconds"] > 0
    done = await queue.get_status(job_id)
    assert done is not None
    assert (done.status, done.result) == (JobStatus.COMPLETED, {"final_answer": "no"})
    await queue.close()


async def test_a_queue_by_hand_and_its_tracker() -> None:
    queue = await create_redis_queue(consumer_name="worker-1")
    job_id = await queue.enqueue(Job(payload={"debate_id": "d-123"}))
    job = await queue.dequeue("worker-1", timeout_ms=1000)
    assert job is not None
    assert await queue.fail(job_id, "no answer", requeue=False)
    tracker = JobStatusTracker(queue.client)
    found = await tracker.get_job(job_id)
    assert found is not None
    assert (found.status.value, found.attempts, found.max_attempts, found.error) == (
        "failed",
        1,
        3,
        "no answer",
    )
    assert (await tracker.get_counts_by_status())["failed"] == 1
    assert [one.id for one in await tracker.list_jobs(status=JobStatus.FAILED, limit=50)] == [job_id]
    stats = await queue.get_queue_stats()
    assert stats["stream_length"] == 0
    assert stats["pending_in_group"] == 0
    assert queue.stream_key == "penstock:{default}:stream"
    assert queue.group_name == "debate-workers"
    await queue.close()


def test_policies_are_as_documented() -> None:
    policy = RetryPolicy(
        max_attempts=3, base_delay_seconds=1.0, max_delay_seconds=300.0, exponential_base=2.0
    )
    for attempt, delay in enumerate((1.0, 2.0, 4.0)):
        assert delay * 0.8 <= policy.delay_seconds(attempt) <= delay * 1.2
    assert is_retryable_error(ConnectionError("invalid")) is True
    assert is_retryable_error(ValueError("anything")) is False
    assert is_retryable_error(RuntimeError("user not found")) is False


def test_a_debate_job_is_as_documented() -> None:
    job = create_debate_job(
        "why?", priority=2, max_attempts=5, timeout_seconds=60, user_id="u", metadata={"a": 1}
    )
    payload = get_debate_payload(job)
    assert (payload.rounds, payload.consensus, payload.protocol) == (9, "majority", "standard")
    assert (payload.timeout_seconds, payload.user_id) == (60, "u")
    assert (job.priority, job.max_attempts, job.metadata) == (2, 5, {"a": 1})
    assert Job.from_dict(job.to_dict()) == job
