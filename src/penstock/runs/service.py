"""``RunService``: starts runs, and tells how they stand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.core.job import Job
from penstock.core.settings import ServiceSettings
from penstock.runs.history import HistoryReader, RunRecord
from penstock.runs.requests import RunRequest, run_job
from penstock.runs.status import run_status
from penstock.store.streams import RedisStreamsQueue

MOST_WHILE_RUNNING = 95
FIRST_LOOK_SECONDS = 0.02
SLOWEST_LOOK_SECONDS = 0.5
FINAL_RUN_STATUSES = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class RunView:
    """How a run stands. ``progress`` is from 0 to 100, at most 95 while it runs.

    ``estimated_completion`` is known once a step has finished. Times are UTC.
    """

    run_id: str
    actor: str
    status: str
    progress: int
    current_step: str | None
    created_at: datetime
    completed_at: datetime | None
    estimated_completion: datetime | None
    error_message: str | None
    result: Any
    trace_id: str | None

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.status in FINAL_RUN_STATUSES


class RunService:
    """Runs on one queue, read from Redis while they are kept there and from history afterwards."""

    def __init__(
        self, queue: RedisStreamsQueue, settings: ServiceSettings, history: HistoryReader | None = None
    ) -> None:
        """Without ``history``, runs whose retention in Redis is over are not found."""
        self._queue = queue
        self._settings = settings
        self._history = history

    async def submit(self, request: RunRequest, traceparent: str | None = None) -> Job:
        """Enqueue a run and return its job; raises ``QueueUnavailableError`` when Redis is away."""
        job = run_job(request, max_attempts=self._settings.run_max_attempts, traceparent=traceparent)
        await self._queue.enqueue(job)
        return job

    async def view(self, run_id: str) -> RunView | None:
        """How the run stands, or ``None`` when nobody knows it."""
        job = await self._queue.get_status(run_id)
        if job is not None and isinstance(job.payload, dict) and "goal" in job.payload:
            return _from_job(job)
        record = await self._history.get_run(run_id) if self._history else None
        return None if record is None else _from_record(record)

    async def wait(self, run_id: str, timeout_seconds: float) -> RunView | None:
        """Wait until the run has ended, at most ``timeout_seconds``; how it stands then."""
        deadline = time.monotonic() + timeout_seconds
        pause = FIRST_LOOK_SECONDS
        while True:
            view = await self.view(run_id)
            left = deadline - time.monotonic()
            if view is None or view.is_final or left <= 0:
                return view
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)

    async def cancel(self, run_id: str) -> bool:
        """Cancel the run; ``False`` when it has ended or is not known."""
        return await self._queue.cancel(run_id)


def _from_job(job: Job) -> RunView:
    status = run_status(job.status)
    return RunView(
        run_id=job.id,
        actor=str(job.payload.get("actor", "")),
        status=status,
        progress=_progress(status, job.progress),
        current_step=job.current_step,
        created_at=_utc(job.created_at),
        completed_at=None if job.completed_at is None else _utc(job.completed_at),
        estimated_completion=_estimate(status, job.progress, job.started_at, time.time()),
        error_message=job.error if status != "completed" else None,
        result=job.result,
        trace_id=job.metadata.get("trace_id"),
    )


def _from_record(record: RunRecord) -> RunView:
    started = None if record.started_at is None else record.started_at.timestamp()
    return RunView(
        run_id=record.run_id,
        actor=record.actor,
        status=record.status,
        progress=_progress(record.status, record.progress),
        current_step=record.current_step,
        created_at=record.created_at,
        completed_at=record.completed_at,
        estimated_completion=_estimate(record.status, record.progress, started, time.time()),
        error_message=record.error if record.status != "completed" else None,
        result=record.result,
        trace_id=record.trace_id,
    )


def _progress(status: str, percent: float) -> int:
    if status == "completed":
        return 100
    if status == "queued":
        return 0
    return min(int(percent), MOST_WHILE_RUNNING)


def _estimate(status: str, percent: float, started_at: float | None, now: float) -> datetime | None:
    if status != "running" or started_at is None or percent <= 0:
        return None
    elapsed = max(now - started_at, 0.0)
    return _utc(now + elapsed * (100 - percent) / percent)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
