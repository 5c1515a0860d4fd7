"""``RedisStreamsQueue``: the queue that callers hold, on Redis Streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.core.acceptance import AcceptedJob, accept, check_duration
from penstock.core.clock import Clock
from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.errors import EventsBacklogError
from penstock.core.job import Job
from penstock.core.names import check_job_id, check_queue_name
from penstock.core.timings import LeaseTimings
from penstock.observe.tracing import current_trace
from penstock.store.connect import open_client
from penstock.store.engine import Engine
from penstock.store.holding_queue import HoldingQueue, default_worker_id
from penstock.store.records import load_job
from penstock.store.statistics import read_stats

__all__ = ["RedisStreamsQueue", "create_redis_queue", "default_worker_id"]


class RedisStreamsQueue(HoldingQueue):
    """One queue on Redis Streams; verbs that take ``queue_name`` reach the others.

    Every verb raises ``QueueUnavailableError`` while the server cannot be used; repeating it then is
    safe. The first use refuses an unsafe server with ``UnsafeServerError``.
    """

    @property
    def stream_key(self) -> str:
        """The key of the stream that normal jobs travel on."""
        return self.engine.keys.stream

    @property
    def group_name(self) -> str:
        """The consumer group that workers join."""
        return self.config.consumer_group

    def on_queue(self, queue_name: str, consumer_name: str | None = None) -> RedisStreamsQueue:
        """Another queue over the same connection, with the same settings."""
        return RedisStreamsQueue(
            self.client,
            consumer_name or self.consumer_name,
            self.config,
            queue_name=queue_name,
            timings=self.timings,
            clock=self.clock,
        )

    async def enqueue(
        self, job: Job, priority: int = 0, queue_name: str | None = None, delay_seconds: float = 0
    ) -> str:
        """Accept ``job`` and return its id.

        Idempotent by id for as long as the job is kept. The queue is ``queue_name``, else the job's
        own, else this one. Raises ``InvalidJobError`` for a job that cannot be accepted,
        ``EventsBacklogError`` when a recorded job is refused because history lags.
        """
        return (await self.enqueue_many([job], priority, queue_name, delay_seconds))[0]

    async def enqueue_many(
        self, jobs: Iterable[Job], priority: int = 0, queue_name: str | None = None, delay_seconds: float = 0
    ) -> list[str]:
        """Accept many jobs, 64 a round trip; all are checked before the first is sent."""
        delay_ms = round(check_duration(delay_seconds, "delay_seconds") * 1000)
        trace = current_trace()
        by_queue: dict[str, list[AcceptedJob]] = {}
        ids = []
        for job in jobs:
            name = check_queue_name(queue_name or job.queue_name or self.queue_name)
            by_queue.setdefault(name, []).append(accept(job, priority, trace))
            ids.append(job.id)
        for name, accepted in by_queue.items():
            await self._send(await self._reach.prepared(name), accepted, delay_ms)
        return ids

    async def get_status(self, job_id: str) -> Job | None:
        """The job as it stands, looked up here and then in all registered queues."""
        check_job_id(job_id)
        found = await load_job(self.engine, job_id, self.queue_name)
        if found is not None:
            return found
        name = await self._reach.find(job_id, but=self.queue_name)
        return None if name is None else await load_job(self._reach.engine(name), job_id, name)

    async def cancel(self, job_id: str) -> bool:
        """Cancel the job: at once if it is not running, else as soon as its handler has stopped.

        ``False`` for a job that has ended or is not kept. A running handler is told within one
        heartbeat.
        """
        check_job_id(job_id)
        code = (await self.engine.cancel([job_id]))[0]
        if code == "gone":
            name = await self._reach.find(job_id, but=self.queue_name)
            if name is None:
                return False
            code = (await self._reach.engine(name).cancel([job_id]))[0]
        return code in ("cancelled", "cancelling")

    async def get_queue_stats(self) -> dict[str, int]:
        """Exact counts by status, ``stream_length`` (ready and running jobs), ``pending_in_group``."""
        return await read_stats(self.engine)

    async def close(self) -> None:
        """Close the connections this object opened; a client given by the caller stays open."""
        if self._owns_client:
            await self.client.aclose()

    async def prepare(self) -> None:
        """Check the server and register the queue now rather than at the first use."""
        await self._reach.prepared(self.queue_name)

    async def _send(self, engine: Engine, jobs: Sequence[AcceptedJob], delay_ms: int) -> None:
        if "backlog" in await engine.enqueue_in_order(jobs, delay_ms):
            raise EventsBacklogError(
                f"recorded jobs are refused: the events stream of {engine.keys.base} holds "
                f"{self.config.max_events:,} facts that history has not read; "
                "start a keeper or raise max_events"
            )


async def create_redis_queue(
    redis_url: str | None = None,
    consumer_name: str | None = None,
    *,
    queue_name: str = "default",
    config: QueueConfig | None = None,
    timings: LeaseTimings | None = None,
    clock: Clock | None = None,
    cluster: bool = False,
) -> RedisStreamsQueue:
    """Connect to a queue; the server is checked before this returns.

    ``redis_url`` wins over the configuration's. Raises ``QueueUnavailableError`` when the server
    cannot be reached, ``UnsafeServerError`` when it would lose jobs, ``ConfigurationError`` for a
    wrong URL or name.
    """
    settings = config or get_queue_config()
    url = redis_url or settings.redis_url
    client = open_client(url, cluster=cluster)
    try:
        queue = RedisStreamsQueue(
            client, consumer_name, settings, queue_name=queue_name, timings=timings, clock=clock
        )
        queue._owns_client = True
        await queue.prepare()
    except BaseException:
        await client.aclose()
        raise
    return queue
