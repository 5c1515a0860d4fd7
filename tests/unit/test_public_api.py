"""The names that users import, pinned."""

import subprocess
import sys

import pytest

import penstock

NAMES = [
    "CallNext",
    "ConfigurationError",
    "CurrentJob",
    "DeadLetter",
    "DeadLetterError",
    "DebateJobPayload",
    "DebateResult",
    "DebateWorker",
    "Depends",
    "DuplicateJobError",
    "DurabilityError",
    "FeedEntry",
    "Flow",
    "IdleTimeoutError",
    "InvalidJobError",
    "InvalidScheduleError",
    "Job",
    "JobCancelledError",
    "JobContext",
    "JobFailedError",
    "JobHandle",
    "JobNotFoundError",
    "JobQueue",
    "JobStatus",
    "JobStatusTracker",
    "LeaseLostError",
    "LeaseTimings",
    "ManualClock",
    "Middleware",
    "MissingParentError",
    "NotYetDurableError",
    "ParentOutcome",
    "PayloadTooLargeError",
    "PenstockError",
    "QueueConfig",
    "QueueUnavailableError",
    "RedisStreamsQueue",
    "ReplayReport",
    "RetryLater",
    "RetryPolicy",
    "Schedule",
    "ScheduleNotFoundError",
    "ScheduleState",
    "SignalTimeoutError",
    "StepError",
    "StepMismatchError",
    "TRANSITIONS",
    "Task",
    "TaskArgumentError",
    "UnsafeServerError",
    "UsageSum",
    "WebhookDeliveryWorker",
    "Worker",
    "chain",
    "chord",
    "connect",
    "create_debate_job",
    "create_redis_queue",
    "durable",
    "enqueue_webhook_delivery",
    "get_debate_payload",
    "get_queue_config",
    "group",
    "in_process",
    "inject_trace_context",
    "is_retryable_error",
    "replay",
    "set_queue_config",
    "task",
    "traced_job",
]


def test_the_names_are_pinned() -> None:
    assert sorted(penstock.__all__) == sorted(NAMES)
    assert dir(penstock) == sorted(penstock.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(penstock, name)
    assert value is getattr(penstock, name)
    if name != "TRANSITIONS":
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}(")


@pytest.mark.parametrize(
    "name", [name for name in NAMES if isinstance(getattr(penstock, name), type) and name != "ManualClock"]
)
def test_every_public_method_says_what_it_promises(name: str) -> None:
    kind = getattr(penstock, name)
    if not kind.__module__.startswith("penstock"):
        return
    for attribute, value in vars(kind).items():
        if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
            assert value.__doc__, f"{name}.{attribute}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'penstock' has no attribute 'nonsense'"):
        penstock.nonsense  # noqa: B018


def test_importing_the_package_is_cheap() -> None:
    heavy = "{'redis', 'pydantic', 'msgspec', 'asyncio'} & set(sys.modules)"
    code = f"import sys, penstock; assert not {heavy}, {heavy}; penstock.Job"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
