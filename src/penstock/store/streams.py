"""``RedisStreamsQueue``: the queue that callers hold, on Redis Streams."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

from penstock.core.acceptance import AcceptedJob, accept, check_duration
from penstock.core.clock import Clock
from penstock.core.codec import decode, decode_spec, encode_result
from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.errors import EventsBacklogError, InvalidJobError, NewerFormatError
from penstock.core.job import Job, JobStatus
from penstock.core.names import check_job_id, check_queue_name, check_worker_id, new_nonce
from penstock.core.outcomes import Claim, Claimed, Outcome, OutcomeKind
from penstock.core.queue import JobQueue
from penstock.core.retry import RetryPolicy
from penstock.core.timings import LeaseTimings
from penstock.observe.tracing import current_trace
from penstock.store.connect import Client, open_client, own_client
from penstock.store.engine import BATCH, Engine
from penstock.store.reach import Reach
from penstock.store.records import claimed_job, load_job
from penstock.store.statistics import read_stats

# How long a job that only a newer version can read is left to the newer workers.
NEWER_FORMAT_DELAY_MS = 15_000
_FINAL_KINDS: dict[str, OutcomeKind] = {
    JobStatus.COMPLETED: "complete",
    JobStatus.FAILED: "fail",
    JobStatus.CANCELLED: "cancel",
}


class RedisStreamsQueue(JobQueue):
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
        self.queue_name = check_queue_name(queue_name)
        self.consumer_name = check_worker_id(consumer_name or default_worker_id())
        self.config = config or get_queue_config()
        self.timings = timings or LeaseTimings()
        self.clock = clock
        self.client = own_client(redis_client)
        self._reach = Reach(self.client, self.config, self.timings, clock)
        self.engine = self._reach.engine(self.queue_name)
        self._owns_client = self.client is not redis_client
        self._claimant = new_nonce()
        self._requests: dict[tuple[str, str], str] = {}
        self._claim_locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._leases: dict[str, tuple[Engine, str, Job]] = {}

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

    async def dequeue(
        self, worker_id: str, timeout_ms: int = 5000, queue_name: str | None = None
    ) -> Job | None:
        """Take the next job under a lease of ``claim_idle_ms``; ``None`` after ``timeout_ms``.

        Settle it with ``complete``, ``fail``, ``ack`` or ``nack`` on this object before the lease
        ends; afterwards another worker may have it and settling answers ``False``.
        """
        check_worker_id(worker_id)
        engine = await self._reach.prepared(queue_name or self.queue_name)
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            claim, job = await self._claim_one(engine, worker_id, queue_name or self.queue_name)
            if job is not None:
                return job
            if claim.jobs:
                continue
            if claim.due_in_ms == 0:
                await engine.promote()
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            known = [ms / 1000 for ms in (claim.lapse_in_ms, claim.due_in_ms) if ms is not None]
            await engine.wait_for_bell(min([left, *known]))

    async def ack(self, job_id: str) -> bool:
        """Settle the job as completed without a result; ``False`` without its lease."""
        return await self._settle(job_id, "complete")

    async def nack(self, job_id: str, requeue: bool = True) -> bool:
        """Give the job back: retried while attempts are left if ``requeue``, else failed."""
        return await self.fail(job_id, "given back by nack", requeue=requeue)

    async def complete(
        self, job_id: str, result: dict[str, Any] | None = None, status: JobStatus | None = None
    ) -> bool:
        """Settle the job with ``result``, or as another final ``status``; ``False`` without its lease."""
        kind = _FINAL_KINDS.get(status or JobStatus.COMPLETED)
        if kind is None:
            raise InvalidJobError(
                f"a job cannot be completed as {status!r}: expected completed, failed or cancelled"
            )
        if kind == "complete":
            return await self._settle(job_id, kind, b"" if result is None else encode_result(result))
        return await self._settle(job_id, kind, "" if result is None else encode_result(result).decode())

    async def fail(self, job_id: str, error: str, requeue: bool = False) -> bool:
        """Settle the job as failed, or retry it per the configured policy while attempts are left."""
        held = self._leases.get(job_id)
        if held and requeue and held[2].should_retry():
            delay = _policy_of(self.config).delay_seconds(held[2].attempts - 1)
            return await self._settle(job_id, "retry", error, round(delay * 1000))
        return await self._settle(job_id, "fail", error)

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

    async def claim_stale_jobs(self, idle_ms: int) -> int:
        """Put back the jobs whose lease has lapsed and whose holder was silent for ``idle_ms``."""
        once = {
            "group": self.config.consumer_group,
            "idle_ms": idle_ms,
            "lease_ms": self.timings.lease_ms,
            "beat_ms": self.timings.beat_ms,
            "amnesty_ms": self.timings.lease_ms,
            "keep_ms": self.engine.keep_ms,
            "most": BATCH,
        }
        total = 0
        while (returned := int(await self.engine.call("reclaim", once))) > 0:
            total += returned
        return total

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

    async def _claim_one(self, engine: Engine, worker_id: str, queue_name: str) -> tuple[Claim, Job | None]:
        place = (engine.keys.base, worker_id)
        async with self._claim_locks.setdefault(place, asyncio.Lock()):
            # A request is repeated until its job is in the caller's hands, so that none is stranded.
            request = self._requests.setdefault(place, new_nonce())
            claim = await engine.claim(
                f"{worker_id}:{self._claimant}", request, 1, unrenewed_ms=self.config.claim_idle_ms
            )
            job = None
            if claim.jobs:
                job = await self._hand_out(engine, claim.jobs[0], worker_id, queue_name)
            del self._requests[place]
            return claim, job

    async def _hand_out(
        self, engine: Engine, claimed: Claimed, worker_id: str, queue_name: str
    ) -> Job | None:
        try:
            spec = decode_spec(claimed.spec)
            payload = spec.payload
            if spec.payload_apart:
                raw = await engine.load_payload(claimed.id)
                if raw is None:
                    raise InvalidJobError("its payload is gone from the server")
                payload = decode(raw)
        except NewerFormatError as error:
            later = Outcome(claimed.id, claimed.lease, "defer", str(error), NEWER_FORMAT_DELAY_MS)
            await engine.settle([later])
            return None
        except InvalidJobError as error:
            await engine.settle([Outcome(claimed.id, claimed.lease, "fail", f"damaged: {error}")])
            return None
        job = claimed_job(claimed, spec, payload, queue_name, worker_id, time.time())
        self._leases[claimed.id] = (engine, claimed.lease, job)
        return job

    async def _settle(
        self, job_id: str, kind: OutcomeKind, body: bytes | str = b"", delay_ms: int = 0
    ) -> bool:
        held = self._leases.get(job_id)
        if held is None:
            return False
        engine, lease, _ = held
        code = (await engine.settle([Outcome(job_id, lease, kind, body, delay_ms)]))[0]
        self._leases.pop(job_id, None)
        return code in ("ok", "already")


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


def default_worker_id() -> str:
    """A worker id of host, process id and a nonce, for those who name none."""
    host = "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in socket.gethostname())
    return f"{host[:80]}-{os.getpid()}-{new_nonce()[:6]}"


def _policy_of(config: QueueConfig) -> RetryPolicy:
    return RetryPolicy(config.retry_max_attempts, config.retry_base_delay, config.retry_max_delay)
