"""Waiting for a job's result."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import (
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    QueueUnavailableError,
)
from penstock.core.job import FINAL_STATUSES, Job, JobStatus
from penstock.store.watching import Watch


async def await_end(watch: Watch, job_id: str) -> Job:
    """The job as it ended, as soon as it has.

    While it waits, an outage of the server is waited through. Raises ``JobNotFoundError``.
    """
    if await watch.status(job_id) in FINAL_STATUSES:
        return _there(await watch.job(job_id), job_id)
    with watch.waiting(job_id) as told:
        await watch.listener.start()
        while True:
            told.clear()
            try:
                # Asked each time: a job that was lost and enqueued again has forgotten that it is watched.
                if await watch.status(job_id) not in (*FINAL_STATUSES, "gone"):
                    await watch.pause(told)
                    continue
                return _there(await watch.job(job_id), job_id)
            except QueueUnavailableError:
                await watch.pause(told)


def result_of(job: Job) -> Any:
    """What an ended job returned; raises ``JobFailedError`` or ``JobCancelledError`` if it did not."""
    if job.status is JobStatus.COMPLETED:
        return job.result
    if job.status is JobStatus.FAILED:
        raise JobFailedError(f"job {job.id} failed: {job.error}", job)
    raise JobCancelledError(f"job {job.id} was cancelled{f': {job.error}' if job.error else ''}")


def not_found(job_id: str) -> JobNotFoundError:
    """The error for a job that no queue in reach keeps."""
    return JobNotFoundError(
        f"no queue keeps job {job_id}: it never was, or the retention of its result is over"
    )


def _there(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise not_found(job_id)
    return job
