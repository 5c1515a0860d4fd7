"""Penstock runs long, expensive, failure-prone jobs on Redis Streams and loses none of them.

Public names are loaded on first use, so importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.core.clock import ManualClock as ManualClock
    from penstock.core.config import QueueConfig as QueueConfig
    from penstock.core.config import get_queue_config as get_queue_config
    from penstock.core.config import set_queue_config as set_queue_config
    from penstock.core.errors import ConfigurationError as ConfigurationError
    from penstock.core.errors import DeadLetterError as DeadLetterError
    from penstock.core.errors import DuplicateJobError as DuplicateJobError
    from penstock.core.errors import DurabilityError as DurabilityError
    from penstock.core.errors import IdleTimeoutError as IdleTimeoutError
    from penstock.core.errors import InvalidJobError as InvalidJobError
    from penstock.core.errors import InvalidScheduleError as InvalidScheduleError
    from penstock.core.errors import JobCancelledError as JobCancelledError
    from penstock.core.errors import JobFailedError as JobFailedError
    from penstock.core.errors import JobNotFoundError as JobNotFoundError
    from penstock.core.errors import LeaseLostError as LeaseLostError
    from penstock.core.errors import MissingParentError as MissingParentError
    from penstock.core.errors import NotYetDurableError as NotYetDurableError
    from penstock.core.errors import PayloadTooLargeError as PayloadTooLargeError
    from penstock.core.errors import PenstockError as PenstockError
    from penstock.core.errors import QueueUnavailableError as QueueUnavailableError
    from penstock.core.errors import RetryLater as RetryLater
    from penstock.core.errors import ScheduleNotFoundError as ScheduleNotFoundError
    from penstock.core.errors import SignalTimeoutError as SignalTimeoutError
    from penstock.core.errors import StepError as StepError
    from penstock.core.errors import StepMismatchError as StepMismatchError
    from penstock.core.errors import TaskArgumentError as TaskArgumentError
    from penstock.core.errors import UnsafeServerError as UnsafeServerError
    from penstock.core.graph import Flow as Flow
    from penstock.core.graph import chain as chain
    from penstock.core.graph import chord as chord
    from penstock.core.graph import group as group
    from penstock.core.job import TRANSITIONS as TRANSITIONS
    from penstock.core.job import Job as Job
    from penstock.core.job import JobStatus as JobStatus
    from penstock.core.queue import JobQueue as JobQueue
    from penstock.core.retry import RetryPolicy as RetryPolicy
    from penstock.core.retry import is_retryable_error as is_retryable_error
    from penstock.core.schedule import Schedule as Schedule
    from penstock.core.schedule import ScheduleState as ScheduleState
    from penstock.core.timings import LeaseTimings as LeaseTimings
    from penstock.executors.debate import DebateJobPayload as DebateJobPayload
    from penstock.executors.debate import DebateResult as DebateResult
    from penstock.executors.debate import DebateWorker as DebateWorker
    from penstock.executors.debate import create_debate_job as create_debate_job
    from penstock.executors.debate import get_debate_payload as get_debate_payload
    from penstock.executors.durable import durable as durable
    from penstock.observe.tracing import inject_trace_context as inject_trace_context
    from penstock.observe.tracing import traced_job as traced_job
    from penstock.store.feed import FeedEntry as FeedEntry
    from penstock.store.letters import DeadLetter as DeadLetter
    from penstock.store.status import JobStatusTracker as JobStatusTracker
    from penstock.store.streams import RedisStreamsQueue as RedisStreamsQueue
    from penstock.store.streams import create_redis_queue as create_redis_queue
    from penstock.store.usage import UsageSum as UsageSum
    from penstock.tasks.connection import connect as connect
    from penstock.tasks.handle import JobHandle as JobHandle
    from penstock.tasks.markers import CurrentJob as CurrentJob
    from penstock.tasks.markers import Depends as Depends
    from penstock.tasks.task import Task as Task
    from penstock.tasks.task import task as task
    from penstock.webhooks.worker import WebhookDeliveryWorker as WebhookDeliveryWorker
    from penstock.webhooks.worker import enqueue_webhook_delivery as enqueue_webhook_delivery
    from penstock.worker.children import ParentOutcome as ParentOutcome
    from penstock.worker.context import JobContext as JobContext
    from penstock.worker.handlers import in_process as in_process
    from penstock.worker.middleware import CallNext as CallNext
    from penstock.worker.middleware import Middleware as Middleware
    from penstock.worker.replay import ReplayReport as ReplayReport
    from penstock.worker.replay import replay as replay
    from penstock.worker.worker import Worker as Worker

__version__ = "0.1.0"

_HOMES = {
    "CallNext": "worker.middleware",
    "ConfigurationError": "core.errors",
    "CurrentJob": "tasks.markers",
    "DeadLetter": "store.letters",
    "DeadLetterError": "core.errors",
    "DebateJobPayload": "executors.debate",
    "DebateResult": "executors.debate",
    "DebateWorker": "executors.debate",
    "Depends": "tasks.markers",
    "DuplicateJobError": "core.errors",
    "DurabilityError": "core.errors",
    "FeedEntry": "store.feed",
    "Flow": "core.graph",
    "IdleTimeoutError": "core.errors",
    "InvalidJobError": "core.errors",
    "InvalidScheduleError": "core.errors",
    "Job": "core.job",
    "JobCancelledError": "core.errors",
    "JobContext": "worker.context",
    "JobFailedError": "core.errors",
    "JobHandle": "tasks.handle",
    "JobNotFoundError": "core.errors",
    "JobQueue": "core.queue",
    "JobStatus": "core.job",
    "JobStatusTracker": "store.status",
    "LeaseLostError": "core.errors",
    "LeaseTimings": "core.timings",
    "ManualClock": "core.clock",
    "Middleware": "worker.middleware",
    "MissingParentError": "core.errors",
    "NotYetDurableError": "core.errors",
    "ParentOutcome": "worker.children",
    "PayloadTooLargeError": "core.errors",
    "PenstockError": "core.errors",
    "QueueConfig": "core.config",
    "QueueUnavailableError": "core.errors",
    "RedisStreamsQueue": "store.streams",
    "ReplayReport": "worker.replay",
    "RetryLater": "core.errors",
    "RetryPolicy": "core.retry",
    "Schedule": "core.schedule",
    "ScheduleNotFoundError": "core.errors",
    "ScheduleState": "core.schedule",
    "SignalTimeoutError": "core.errors",
    "StepError": "core.errors",
    "StepMismatchError": "core.errors",
    "TRANSITIONS": "core.job",
    "Task": "tasks.task",
    "TaskArgumentError": "core.errors",
    "UnsafeServerError": "core.errors",
    "UsageSum": "store.usage",
    "WebhookDeliveryWorker": "webhooks.worker",
    "Worker": "worker.worker",
    "chain": "core.graph",
    "chord": "core.graph",
    "connect": "tasks.connection",
    "create_debate_job": "executors.debate",
    "create_redis_queue": "store.streams",
    "durable": "executors.durable",
    "enqueue_webhook_delivery": "webhooks.worker",
    "get_debate_payload": "executors.debate",
    "get_queue_config": "core.config",
    "group": "core.graph",
    "in_process": "worker.handlers",
    "inject_trace_context": "observe.tracing",
    "is_retryable_error": "core.retry",
    "replay": "worker.replay",
    "set_queue_config": "core.config",
    "task": "tasks.task",
    "traced_job": "observe.tracing",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"penstock.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
