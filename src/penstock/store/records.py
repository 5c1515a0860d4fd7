"""A job's hash, read back as a ``Job``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from penstock.core.codec import JobSpec, decode, decode_spec
from penstock.core.errors import InvalidJobError, NewerFormatError, StoreError
from penstock.core.flow import read_flow
from penstock.core.job import Job, JobStatus
from penstock.core.outcomes import Claimed
from penstock.store.connect import translated
from penstock.store.engine import Engine


async def load_job(engine: Engine, job_id: str, queue_name: str) -> Job | None:
    """The job as stored, or ``None``; a damaged one answers as failed with the reason."""
    return (await load_jobs(engine, [job_id], queue_name))[0]


async def load_jobs(engine: Engine, ids: Sequence[str], queue_name: str) -> list[Job | None]:
    """The jobs as stored, in the order of ``ids``, in one round trip and one more for what is kept apart."""
    with translated(engine.where):
        pipe = cast("Any", engine.client.pipeline(transaction=False))
        for job_id in ids:
            pipe.hgetall(engine.keys.job + job_id)
        answers = await pipe.execute(raise_on_error=False)
    jobs: list[Job | None] = []
    for job_id, answer in zip(ids, answers, strict=True):
        jobs.append(await _loaded(engine, job_id, queue_name, answer) if answer else None)
    return jobs


async def _loaded(engine: Engine, job_id: str, queue_name: str, answer: Any) -> Job:
    if isinstance(answer, Exception):
        return _unreadable(engine, job_id, queue_name, answer)
    fields = {name.decode(): value for name, value in answer.items()}
    job = read_job(job_id, fields, queue_name)
    if b"a" in fields.get("traits", b""):
        job.payload = await _load_beside(engine, engine.keys.payload, job)
    if "result_apart" in fields:
        job.result = await _load_beside(engine, engine.keys.result, job)
    return job


def _unreadable(engine: Engine, job_id: str, queue_name: str, answer: Exception) -> Job:
    try:
        with translated(engine.where):
            raise answer
    except StoreError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return Job(id=job_id, status=JobStatus.FAILED, error=f"damaged: {error}", queue_name=queue_name)


def read_job(job_id: str, fields: Mapping[str, bytes], queue_name: str) -> Job:
    """Make a ``Job`` of a hash's fields; what cannot be read is named in ``error``."""
    try:
        spec = decode_spec(fields["spec"]) if "spec" in fields else JobSpec()
        return _job(job_id, spec, fields, queue_name)
    except NewerFormatError as error:
        job = _job(job_id, JobSpec(), fields, queue_name)
        job.error = str(error)
        return job
    except (InvalidJobError, ValueError) as error:
        return Job(id=job_id, status=JobStatus.FAILED, error=f"damaged: {error}", queue_name=queue_name)


def claimed_job(
    claimed: Claimed, spec: JobSpec, payload: Any, queue_name: str, worker_id: str, now: float
) -> Job:
    """The job a worker has just claimed."""
    job = _from_spec(claimed.id, spec, queue_name)
    job.payload = payload
    job.status = JobStatus.PROCESSING
    job.attempts = claimed.attempt
    job.crashes = claimed.crashes
    job.worker_id = worker_id
    job.started_at = now
    return job


async def _load_beside(engine: Engine, beginning: str, job: Job) -> Any:
    """JSON from a key beside the hash; when it cannot be read, the job's ``error`` says so."""
    try:
        with translated(engine.where):
            raw = await cast("Any", engine.client.get(beginning + job.id))
        return None if raw is None else decode(raw)
    except (InvalidJobError, StoreError) as error:
        job.error = f"damaged: {error}"
        return None


def _job(job_id: str, spec: JobSpec, fields: Mapping[str, bytes], queue_name: str) -> Job:
    job = _from_spec(job_id, spec, queue_name)
    job.status = JobStatus(fields["status"].decode()) if "status" in fields else JobStatus.FAILED
    started_ms, _, holder = (_text(fields.get("started")) or "").partition(" ")
    job.started_at = int(started_ms) / 1000 if started_ms else None
    job.worker_id = holder.partition(":")[0] or None
    job.completed_at = _seconds(fields.get("completed_at"))
    job.attempts = int(fields.get("attempt", 0))
    job.crashes = int(fields.get("crashes", 0))
    job.progress = 100.0 if job.status is JobStatus.COMPLETED else float(fields.get("progress", 0))
    job.error = _text(fields.get("error"))
    job.current_step = _text(fields.get("current_step"))
    if job.status is JobStatus.SUSPENDED:
        job.suspended_for = _text(fields.get("reason"))
    job.result = decode(fields["result"]) if "result" in fields else None
    if "flow" in fields:
        read_flow(job, fields["flow"])
    return job


def _from_spec(job_id: str, spec: JobSpec, queue_name: str) -> Job:
    return Job(
        payload=spec.payload,
        type=spec.type,
        id=job_id,
        created_at=spec.created_at,
        max_attempts=spec.max_attempts,
        priority=spec.priority,
        metadata=spec.metadata,
        timeout_seconds=spec.timeout_seconds,
        idle_timeout_seconds=spec.idle_timeout_seconds,
        record=spec.record,
        queue_name=queue_name,
        partition_key=spec.partition_key,
        trace=spec.trace,
    )


def _seconds(milliseconds: bytes | None) -> float | None:
    return None if milliseconds is None else int(milliseconds) / 1000


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")
