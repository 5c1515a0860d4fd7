"""``RedisStreamsQueue``: the queue that callers hold, on Redis Streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from penstock.core.clock import Clock
from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.job import Job
from penstock.core.names import check_job_id, check_queue_name
from penstock.core.timings import LeaseTimings
from penstock.store.connect import Client, open_client
from penstock.store.dead_letters import DeadLetters
from penstock.store.feed import FeedEntry, check_place, follow
from penstock.store.holding_queue import default_worker_id
from penstock.store.intake import Intake
from penstock.store.results import await_end, not_found, result_of
from penstock.store.schedules import Schedules
from penstock.store.steered_queue import SteeredQueue
from penstock.store.usage import Usage
from penstock.store.watching import Watch

__all__ = ["RedisStreamsQueue", "create_redis_queue", "default_worker_id"]


class RedisStreamsQueue(SteeredQueue):
    """One queue on Redis Streams; verbs that take ``queue_name`` reach the others.

    Every verb raises ``QueueUnavailableError`` while the server cannot be used; repeating it then is
    safe. The first use refuses an unsafe server with ``UnsafeServerError``.
    """

    def __init__(
        self,
        redis_client: Client,
        consumer_name: str | None = None,
        config: QueueConfig | None = None,
        *,
        queue_name: str = "default",
        timings: LeaseTimings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Bind ``queue_name`` to a client of ``redis.asyncio``; the client stays the caller's."""
        super().__init__(
            redis_client, consumer_name, config, queue_name=queue_name, timings=timings, clock=clock
        )
        self._watches: dict[str, Watch] = {}
        self._intake = Intake(self._reach, self.queue_name, clock, self.config.ttl_ms)
        self.usage = Usage(self)
        self.schedules = Schedules(self)
        self.dead_letters = DeadLetters(self)

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
        self,
        job: Job,
        priority: int = 0,
        queue_name: str | None = None,
        delay_seconds: float = 0,
        *,
        run_at: datetime | float | None = None,
        durable: bool = False,
    ) -> str:
        """Accept ``job`` and return the id of the job that is kept for it.

        That is its own id, or with ``unique_policy="existing"`` the id of the job that holds its
        ``unique_key``. Idempotent by id for as long as the job is kept. The queue is ``queue_name``,
        else the job's own, else this one. It is ready after ``delay_seconds``, or at ``run_at`` (an
        aware ``datetime``, or seconds since the epoch; a past time is now).
        ``durable=True`` returns when the job is on the server's disk.

        Raises ``InvalidJobError`` for a job that cannot be accepted (``MissingParentError`` when it waits
        for one that is not kept), ``DuplicateJobError`` when its ``unique_key`` is held and its policy
        is to reject, ``EventsBacklogError`` when a recorded job is refused because history lags,
        ``DurabilityError`` when the server cannot promise or did not confirm that it is on disk.
        """
        delay_ms = self._intake.delay_ms(delay_seconds, run_at)
        return await self._intake.one(job, priority, queue_name, delay_ms, durable)

    async def enqueue_many(
        self,
        jobs: Iterable[Job],
        priority: int = 0,
        queue_name: str | None = None,
        delay_seconds: float = 0,
        *,
        run_at: datetime | float | None = None,
        durable: bool = False,
    ) -> list[str]:
        """Accept many jobs, 64 a round trip; all are checked before the first is sent.

        A generator that makes them is faster than a list, which Python's garbage collector walks.

        Answers and raises as ``enqueue`` does, for the first job that is refused; others of the list
        may have been accepted then.
        """
        delay_ms = self._intake.delay_ms(delay_seconds, run_at)
        return await self._intake.many(jobs, priority, queue_name, delay_ms, durable)

    async def result(
        self, job_id: str, timeout_seconds: float | None = None, queue_name: str | None = None
    ) -> Any:
        """Wait until the job has ended and return its result; ``None`` waits without limit.

        ``queue_name`` says where the job is; without it, it is looked for here and then everywhere.
        Any number of waits share one connection. An outage of the server is waited through.
        Raises ``JobFailedError`` with the job that failed, ``JobCancelledError``, ``TimeoutError``, and
        ``JobNotFoundError`` for a job that no queue keeps (any more).
        """
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                return result_of(await await_end(await self._watch_of(job_id, queue_name), job_id))
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"job {job_id} has not ended within {timeout_seconds:g} s; it goes on: wait again or cancel"
            ) from None

    async def follow(self, job_id: str, after: str = "0") -> AsyncIterator[FeedEntry]:
        """The job's live feed: what it emits, its steps and progress as far as they are told, and its end.

        Entries come as they are written, in order, without gap or repeat; give an entry's ``id`` as
        ``after`` to go on behind it, here or in another process. The feed ends with an entry of the
        kind ``end``. That of a job that has ended is read again for as long as the job is kept. Any
        number of followers share one connection; an outage of the server is waited through.
        Raises ``JobNotFoundError`` for a job that no queue keeps, ``InvalidJobError`` for an ``after``
        that is no id of an entry.
        """
        check_place(after)
        async for entry in follow(await self._watch_of(job_id), job_id, after):
            yield entry

    async def _watch_of(self, job_id: str, queue_name: str | None = None) -> Watch:
        """Where the job is watched; raises ``JobNotFoundError``."""
        if queue_name is not None:
            return self._watch_on(check_queue_name(queue_name))
        here = self._watch_on(self.queue_name)
        if await here.status(check_job_id(job_id)) != "gone":
            return here
        name = await self._reach.find(job_id, but=self.queue_name)
        if name is None:
            raise not_found(job_id)
        return self._watch_on(name)

    def _watch_on(self, queue_name: str) -> Watch:
        watch = self._watches.get(queue_name)
        if watch is None:
            watch = self._watches[queue_name] = Watch(self._reach.engine(queue_name), queue_name)
        return watch

    async def close(self) -> None:
        """Close the connections this object opened; a client given by the caller stays open."""
        for watch in self._watches.values():
            await watch.stop()
        await self._intake.close()
        if self._owns_client:
            await self.client.aclose()

    async def prepare(self) -> None:
        """Check the server and register the queue now rather than at the first use."""
        await self._reach.prepared(self.queue_name)


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
