"""What a handler has to do with other jobs: the children it makes, and what its parents ended with."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any, NamedTuple

from penstock.core.acceptance import check_duration
from penstock.core.codec import decode
from penstock.core.errors import InvalidJobError
from penstock.core.job import Job, JobStatus
from penstock.core.names import check_job_id
from penstock.core.outcomes import Claimed
from penstock.observe.tracing import current_trace
from penstock.worker.reporter import Reporter

_CHILDREN = uuid.UUID("6e2b4a52-6d0a-5f0e-9d58-3c6a6f0f7b11")
_RANDOM_ID_VERSION = 4


class ParentOutcome(NamedTuple):
    """How a parent ended: its status, its result if it completed, its error if it failed."""

    status: JobStatus
    result: Any = None
    error: str | None = None


class Children:
    """The jobs that one attempt makes."""

    __slots__ = ("_claimed", "_made", "_queue_name", "_reporter")

    def __init__(self, claimed: Claimed, queue_name: str, reporter: Reporter) -> None:
        """Children go to the parent's own queue, under its lease."""
        self._claimed = claimed
        self._queue_name = queue_name
        self._reporter = reporter
        self._made = 0

    async def enqueue(
        self, child: Job, job_id: str | None, priority: int, delay_seconds: float
    ) -> str | None:
        """The id of the job that is kept for ``child``, or ``None`` when the lease is lost."""
        self._made += 1
        if child.queue_name not in (None, self._queue_name):
            raise InvalidJobError(
                f"a child goes to its parent's queue {self._queue_name!r}, got {child.queue_name!r}: "
                "enqueue it on the other queue, with an id of your own, in a ctx.step"
            )
        chosen = job_id if job_id is not None else self._id_for(child)
        named = dataclasses.replace(child, id=check_job_id(chosen), queue_name=self._queue_name)
        delay_ms = round(check_duration(delay_seconds, "delay_seconds") * 1000)
        return await self._reporter.enqueue_child(self._claimed, named, priority, current_trace(), delay_ms)

    def _id_for(self, child: Job) -> str:
        # A random id would be another one in the next attempt, and the job a double.
        if not _is_random(child.id):
            return child.id
        return str(uuid.uuid5(_CHILDREN, f"{self._queue_name}/{self._claimed.id}/{self._made}"))


def read_outcome(status: str, body: bytes) -> ParentOutcome:
    """What a parent told its child."""
    known = JobStatus(status)
    if known is JobStatus.COMPLETED:
        return ParentOutcome(known, decode(body) if body else None)
    return ParentOutcome(known, None, body.decode(errors="replace") or None)


def _is_random(job_id: str) -> bool:
    try:
        return uuid.UUID(job_id).version == _RANDOM_ID_VERSION
    except (ValueError, AttributeError, TypeError):
        return False
