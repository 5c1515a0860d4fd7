"""What a job must look like to be accepted, checked before anything is sent."""

from __future__ import annotations

import math

import msgspec

from penstock.core.codec import (
    INLINE_LIMIT_BYTES,
    SPEC_FORMAT,
    JobSpec,
    check_size,
    encode_payload,
    encode_spec,
)
from penstock.core.config import get_queue_config
from penstock.core.errors import InvalidJobError
from penstock.core.flow import encode_flow
from penstock.core.job import Job
from penstock.core.names import check_job_id, check_job_type

LARGEST_ATTEMPTS = 1000
USUAL_ATTEMPTS = 3
LONGEST_DURATION_SECONDS = 10 * 366 * 86_400


# Text alone cannot be part of a cycle: of a hundred thousand jobs the garbage collector need not walk one.
class AcceptedJob(msgspec.Struct, frozen=True, gc=False):
    """A job in the form the store sends: all checks passed.

    ``payload`` is its JSON when it is too large to stand in the spec, else empty. ``flow`` are its
    options of flow control as JSON, empty when it has none.
    """

    id: str
    spec: bytes
    lane: str
    record: bool
    max_attempts: int
    payload: bytes
    flow: bytes = b""

    @property
    def is_usual(self) -> bool:
        """Whether id and spec say it all: normal lane, three attempts, neither history nor options."""
        return self.max_attempts == USUAL_ATTEMPTS and not (
            self.flow or self.payload or self.record or self.lane != "normal"
        )


def lane_of(priority: int) -> str:
    """The lane a priority travels on: above 0 ``high``, 0 ``normal``, below 0 ``low``."""
    if priority == 0:
        return "normal"
    return "high" if priority > 0 else "low"


def accept(job: Job, priority: int, trace: dict[str, str], ttl_ms: int | None = None) -> AcceptedJob:
    """Check ``job`` and encode it; raise ``InvalidJobError`` or ``InvalidNameError`` saying why not.

    A ``priority`` other than 0 wins over the job's own; ``trace`` is used if the job has none;
    ``ttl_ms`` is the retention of jobs without one of their own, the configured one if ``None``.
    """
    chosen = priority or job.priority
    _check_fields(job, chosen)
    spec = JobSpec(
        format=SPEC_FORMAT,
        type=job.type,
        payload=job.payload,
        max_attempts=job.max_attempts,
        priority=chosen,
        created_at=job.created_at,
        timeout_seconds=job.timeout_seconds,
        idle_timeout_seconds=job.idle_timeout_seconds,
        record=job.record,
        partition_key=job.partition_key,
        metadata=job.metadata,
        trace=job.trace or trace,
    )
    encoded, apart = encode_whole(spec)
    flow = b""
    if _has_flow(job):
        flow = encode_flow(job, get_queue_config().ttl_ms if ttl_ms is None else ttl_ms, check_duration)
    return AcceptedJob(job.id, encoded, lane_of(chosen), job.record, job.max_attempts, apart, flow)


def encode_whole(spec: JobSpec) -> tuple[bytes, bytes]:
    """A spec with its payload as it is stored: the spec's JSON, and the payload's if it stands apart."""
    encoded = encode_spec(spec)
    if len(encoded) <= INLINE_LIMIT_BYTES:
        return encoded, b""
    apart = encode_payload(spec.payload)
    spec.payload, spec.payload_apart = None, True
    encoded = encode_spec(spec)
    check_size(len(encoded), "metadata")
    return encoded, apart


def _has_flow(job: Job) -> bool:
    return bool(
        job.concurrency_key is not None
        or job.concurrency_limit is not None
        or job.rate_key is not None
        or job.rate_units
        or job.unique_key is not None
        or job.expires_at is not None
        or job.parents
        or job.joins
        or job.result_ttl_seconds is not None
    )


def _check_fields(job: Job, priority: object) -> None:
    """Refuse a value that a worker could not read back, before it is stored."""
    check_job_id(job.id)
    check_job_type(job.type)
    if type(priority) is not int:
        raise InvalidJobError(f"priority must be an integer, got {priority!r}")
    if type(job.max_attempts) is not int or not 1 <= job.max_attempts <= LARGEST_ATTEMPTS:
        raise InvalidJobError(
            f"max_attempts must be an integer from 1 to {LARGEST_ATTEMPTS}, got {job.max_attempts!r}"
        )
    if job.timeout_seconds is not None:
        check_duration(job.timeout_seconds, "timeout_seconds", allow_zero=False)
    if job.idle_timeout_seconds is not None:
        check_duration(job.idle_timeout_seconds, "idle_timeout_seconds", allow_zero=False)
    if type(job.record) is not bool:
        raise InvalidJobError(f"record must be True or False, got {job.record!r}")
    if type(job.created_at) not in {int, float} or not math.isfinite(job.created_at):
        raise InvalidJobError(f"created_at must be seconds since the epoch, got {job.created_at!r}")
    if not isinstance(job.metadata, dict):
        raise InvalidJobError(f"metadata must be a dict, got {type(job.metadata).__name__}")
    if job.partition_key is not None and not isinstance(job.partition_key, str):
        raise InvalidJobError(f"partition_key must be a string, got {job.partition_key!r}")
    if job.trace and not _is_text_map(job.trace):
        raise InvalidJobError(f"trace must be a dict of strings, got {job.trace!r}")


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def check_duration(seconds: object, what: str, *, allow_zero: bool = True) -> float:
    """Return ``seconds`` if it is a duration of at most ten years; raise ``InvalidJobError`` otherwise."""
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        is_allowed = seconds > 0 or (allow_zero and seconds == 0)
        if is_allowed and seconds <= LONGEST_DURATION_SECONDS:
            return float(seconds)
    least = "0 or more" if allow_zero else "more than 0"
    raise InvalidJobError(
        f"{what} must be {least} seconds and at most {LONGEST_DURATION_SECONDS} (ten years), got {seconds!r}"
    )
