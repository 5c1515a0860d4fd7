"""The seam between those who use a queue and the store that keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from penstock.core.job import Job, JobStatus


class JobQueue(ABC):
    """What every queue can do, one job at a time.

    ``ack``, ``nack``, ``complete`` and ``fail`` settle a job under the lease that this object got
    from ``dequeue``; without that lease they answer ``False`` and change nothing.
    """

    @abstractmethod
    async def enqueue(
        self, job: Job, priority: int = 0, queue_name: str | None = None, delay_seconds: float = 0
    ) -> str:
        """Accept ``job`` and return its id; an id that is already kept is not enqueued again."""

    @abstractmethod
    async def dequeue(
        self, worker_id: str, timeout_ms: int = 5000, queue_name: str | None = None
    ) -> Job | None:
        """Take the next job for ``worker_id``, waiting at most ``timeout_ms``."""

    @abstractmethod
    async def ack(self, job_id: str) -> bool:
        """Settle the job as completed, without a result."""

    @abstractmethod
    async def nack(self, job_id: str, requeue: bool = True) -> bool:
        """Give the job back: retried while attempts are left if ``requeue``, else failed."""

    @abstractmethod
    async def get_status(self, job_id: str) -> Job | None:
        """The job as it stands now, or ``None`` when no queue keeps it."""

    @abstractmethod
    async def cancel(self, job_id: str) -> bool:
        """Cancel the job; ``True`` if it will end as cancelled unless it finishes first."""

    @abstractmethod
    async def get_queue_stats(self) -> dict[str, int]:
        """Counts: ``stream_length``, ``pending_in_group`` and one entry a status."""

    @abstractmethod
    async def claim_stale_jobs(self, idle_ms: int) -> int:
        """Put jobs of dead workers, silent for ``idle_ms``, back in line; return how many."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections; the queue object cannot be used afterwards."""

    @abstractmethod
    async def complete(
        self, job_id: str, result: dict[str, Any] | None = None, status: JobStatus | None = None
    ) -> bool:
        """Settle the job with ``result``; ``status`` may name another final status."""

    @abstractmethod
    async def fail(self, job_id: str, error: str, requeue: bool = False) -> bool:
        """Settle the job as failed for the reason ``error``, or retry it if ``requeue``."""
