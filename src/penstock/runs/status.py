"""What a run's status is called, beside the status of the job that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from penstock.core.job import JobStatus


class RunStatus(StrEnum):
    """Where a run, or a delivery, stands, as callers see it."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended and will not move again."""
        return self in FINAL_RUN_STATUSES


FINAL_RUN_STATUSES: Final = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})

_RUN_STATUS_OF: Final[Mapping[JobStatus, RunStatus]] = MappingProxyType(
    {
        JobStatus.PENDING: RunStatus.QUEUED,
        JobStatus.SCHEDULED: RunStatus.QUEUED,
        JobStatus.WAITING: RunStatus.QUEUED,
        JobStatus.PROCESSING: RunStatus.RUNNING,
        JobStatus.RETRYING: RunStatus.RETRYING,
        JobStatus.SUSPENDED: RunStatus.AWAITING_APPROVAL,
        JobStatus.COMPLETED: RunStatus.COMPLETED,
        JobStatus.FAILED: RunStatus.FAILED,
        JobStatus.CANCELLED: RunStatus.CANCELLED,
    }
)


def run_status(status: JobStatus) -> RunStatus:
    """The run status of a job in ``status``; the one place where the two meet."""
    return _RUN_STATUS_OF[status]
