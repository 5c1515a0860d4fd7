"""The job, its states, and the one table of moves between them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias

from penstock.core.config import get_queue_config
from penstock.core.errors import InvalidJobError
from penstock.core.names import new_job_id

UniquePolicy: TypeAlias = Literal["existing", "reject", "replace"]
ParentPolicy: TypeAlias = Literal["cancel", "fail", "run"]


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRYING = "retrying"
    SCHEDULED = "scheduled"
    SUSPENDED = "suspended"
    WAITING = "waiting"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended; only a dead letter put back by hand moves again."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})

#: Every move a job may make. Moves to ``failed`` from where nothing runs are quarantine (a damaged job
#: is set aside wherever it is met) or the policy for a parent that failed. A job with a key waits for
#: its turn wherever others become pending. ``failed → pending`` is a dead letter put back by hand.
#: ``processing → pending`` is a release, or a dead worker's job that waits for a place among the
#: suspects; ``processing → processing`` is a dead worker's job taken over at once.
TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.CANCELLED, JobStatus.FAILED}),
        JobStatus.SCHEDULED: frozenset(
            {JobStatus.PENDING, JobStatus.WAITING, JobStatus.CANCELLED, JobStatus.FAILED}
        ),
        JobStatus.RETRYING: frozenset(
            {JobStatus.PENDING, JobStatus.WAITING, JobStatus.CANCELLED, JobStatus.FAILED}
        ),
        JobStatus.PROCESSING: frozenset(
            {
                JobStatus.COMPLETED,
                JobStatus.RETRYING,
                JobStatus.FAILED,
                JobStatus.CANCELLED,
                JobStatus.PENDING,
                JobStatus.PROCESSING,
                JobStatus.SUSPENDED,
            }
        ),
        JobStatus.SUSPENDED: frozenset(
            {JobStatus.PENDING, JobStatus.WAITING, JobStatus.CANCELLED, JobStatus.FAILED}
        ),
        JobStatus.WAITING: frozenset(
            {
                JobStatus.PENDING,
                JobStatus.PROCESSING,
                JobStatus.SCHEDULED,
                JobStatus.CANCELLED,
                JobStatus.FAILED,
            }
        ),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.PENDING, JobStatus.WAITING}),
        JobStatus.CANCELLED: frozenset(),
    }
)


def parse_status(value: object) -> JobStatus:
    """The status called ``value``; raise ``InvalidJobError`` naming all there are."""
    if isinstance(value, str) and value in set(JobStatus):
        return JobStatus(value)
    raise InvalidJobError(f"{value!r} is not a job status: expected one of {', '.join(JobStatus)}")


def _configured_attempts() -> int:
    return get_queue_config().retry_max_attempts


@dataclass(slots=True)
class Job:
    """One unit of work: what was asked, and what became of it.

    Only ``payload`` is needed. Times are seconds since the epoch; ``attempts`` counts the tries
    charged to the job and ``crashes`` those that ended with the death of their worker;
    ``max_attempts`` defaults to the configuration's ``retry_max_attempts`` (3).
    ``progress`` is a percentage. ``queue_name`` names the queue the job belongs on, ``None``
    meaning the one it is enqueued to. ``record`` keeps its history on the events stream.
    ``trace`` is W3C trace context (``traceparent``, ``tracestate``).

    Jobs that share a ``concurrency_key`` take turns with those of other keys, at most
    ``concurrency_limit`` at once; a ``rate_key`` counts starts, and ``rate_units`` booked at the start,
    against the limits set for that key. ``unique_key`` is held by one live job: another with it is
    answered by ``unique_policy`` (``existing``, ``reject`` or ``replace``), and for
    ``unique_window_seconds`` even after its end. A job that has not started by ``expires_at`` (seconds
    since the epoch) is cancelled. ``timeout_seconds`` bounds an attempt, ``idle_timeout_seconds`` the
    time without a sign from its handler. A job waits until all ``parents`` (ids, ``queue/id`` on another
    queue) have completed; one that ends otherwise cancels it, fails it or lets it ``run``, as
    ``on_parent_failure`` says. ``joins`` names waiting jobs that from now on wait for this one too.
    ``result_ttl_seconds`` is a retention of its own. ``suspended_for`` says what a suspended job waits for.
    """

    payload: Any = field(default_factory=dict)
    type: str = "default"
    id: str = field(default_factory=new_job_id)
    status: JobStatus = JobStatus.PENDING
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    completed_at: float | None = None
    attempts: int = 0
    max_attempts: int = field(default_factory=_configured_attempts)
    error: str | None = None
    worker_id: str | None = None
    priority: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    crashes: int = 0
    progress: float = 0.0
    current_step: str | None = None
    timeout_seconds: float | None = None
    record: bool = False
    queue_name: str | None = None
    partition_key: str | None = None
    trace: dict[str, str] = field(default_factory=dict)
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    rate_key: str | None = None
    rate_units: int = 0
    unique_key: str | None = None
    unique_policy: UniquePolicy = "existing"
    unique_window_seconds: float = 0
    expires_at: float | None = None
    idle_timeout_seconds: float | None = None
    parents: list[str] = field(default_factory=list)
    on_parent_failure: ParentPolicy = "cancel"
    joins: list[str] = field(default_factory=list)
    result_ttl_seconds: float | None = None
    suspended_for: str | None = None

    def mark_processing(self, worker_id: str) -> None:
        """Note on this object that ``worker_id`` began an attempt."""
        self.status = JobStatus.PROCESSING
        self.worker_id = worker_id
        self.started_at = time.time()
        self.attempts += 1

    def mark_completed(self, result: dict[str, Any] | None = None) -> None:
        """Note on this object that the job ended well, with ``result``."""
        self.status = JobStatus.COMPLETED
        self.result = result
        self.error = None
        self.completed_at = time.time()

    def mark_failed(self, error: str) -> None:
        """Note on this object that the job failed for good, for the reason ``error``."""
        self.status = JobStatus.FAILED
        self.error = error
        self.completed_at = time.time()

    def mark_retrying(self, error: str) -> None:
        """Note on this object that an attempt failed with ``error`` and another will follow."""
        self.status = JobStatus.RETRYING
        self.error = error
        self.worker_id = None

    def should_retry(self) -> bool:
        """Whether attempts are left."""
        return self.attempts < self.max_attempts

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-able values; ``Job.from_dict`` reads them back."""
        return asdict(self) | {"status": self.status.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a job from what ``to_dict`` gave; raise ``InvalidJobError`` for anything else."""
        if not isinstance(data, Mapping):
            raise InvalidJobError(f"a job is made from a mapping of its fields, got {type(data).__name__}")
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise InvalidJobError(f"a job has no field {unknown[0]!r}; its fields are {sorted(known)}")
        values = dict(data)
        values["status"] = parse_status(values.get("status", JobStatus.PENDING))
        return cls(**values)
