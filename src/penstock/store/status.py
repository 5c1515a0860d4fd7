"""``JobStatusTracker``: looking at jobs without taking part in the queue."""

from __future__ import annotations

from typing import Any, cast

from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.job import Job, JobStatus, parse_status
from penstock.core.names import check_job_id, check_queue_name
from penstock.core.timings import LeaseTimings
from penstock.store.connect import Client, byte_client, translated
from penstock.store.engine import Engine
from penstock.store.keys import QueueKeys
from penstock.store.records import load_job

_LANES = ("stream", "stream_high", "stream_low", "stream_suspects", "stream_keyed")


class JobStatusTracker:
    """Reads the jobs of one queue; changes nothing."""

    def __init__(
        self, redis_client: Client, queue_name: str = "default", config: QueueConfig | None = None
    ) -> None:
        """Look at ``queue_name`` through a client of ``redis.asyncio``."""
        settings = config or get_queue_config()
        self._given = redis_client
        self._queue_name = check_queue_name(queue_name)
        keys = QueueKeys(settings.key_prefix, queue_name)
        self._engine = Engine(byte_client(redis_client), keys, settings, LeaseTimings())

    async def close(self) -> None:
        """Close the connections this object opened; the given client stays the caller's."""
        if self._engine.client is not self._given:
            await self._engine.client.aclose()

    async def get_job(self, job_id: str) -> Job | None:
        """The job as it stands, or ``None`` when this queue does not keep it."""
        return await load_job(self._engine, check_job_id(job_id), self._queue_name)

    async def get_counts_by_status(self) -> dict[str, int]:
        """How many jobs are kept in each status; every status is named."""
        with translated(self._engine.where):
            counts = await cast("Any", self._engine.client.hgetall(self._engine.keys.counts))
        known = {name.decode(): int(value) for name, value in counts.items()}
        return {status.value: known.get(status.value, 0) for status in JobStatus}

    async def list_jobs(self, status: JobStatus | str | None = None, limit: int = 100) -> list[Job]:
        """Up to ``limit`` jobs of ``status`` (all statuses if ``None``).

        Finished jobs come newest first, waiting ones in the order they will be taken. Raises
        ``InvalidJobError`` for a status that there is not.
        """
        wanted = list(JobStatus) if status is None else [parse_status(status)]
        jobs: list[Job] = []
        for each in wanted:
            async for job_id in self._ids(each):
                if len(jobs) >= limit:
                    return jobs
                job = await self.get_job(job_id)
                if job is not None and job.status is each:
                    jobs.append(job)
        return jobs

    async def _ids(self, status: JobStatus) -> Any:
        keys, client = self._engine.keys, cast("Any", self._engine.client)
        with translated(self._engine.where):
            if status is JobStatus.PENDING:
                async for job_id in self._waiting_ids():
                    yield job_id
                return
            key, newest_first = {
                JobStatus.PROCESSING: (keys.leases, False),
                JobStatus.SCHEDULED: (keys.scheduled, False),
                JobStatus.RETRYING: (keys.scheduled, False),
            }.get(status, (keys.index + status, True))
            start, page = 0, 100
            while members := await client.zrange(key, start, start + page - 1, desc=newest_first):
                for member in members:
                    yield member.decode()
                start += page

    async def _waiting_ids(self) -> Any:
        client = cast("Any", self._engine.client)
        for lane in _LANES:
            after = "-"
            while entries := await client.xrange(getattr(self._engine.keys, lane), min=after, count=100):
                for _, entry in entries:
                    yield entry[b"id"].decode()
                after = f"({entries[-1][0].decode()}"
