"""The taking side of the queue: jobs held under leases by this very object, and settled by it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any

from penstock.core.clock import Clock
from penstock.core.codec import decode, decode_spec, encode_result
from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.errors import InvalidJobError, NewerFormatError
from penstock.core.job import Job, JobStatus
from penstock.core.names import check_queue_name, check_worker_id, new_nonce
from penstock.core.outcomes import Claim, Claimed, Outcome, OutcomeKind
from penstock.core.queue import JobQueue
from penstock.core.retry import RetryPolicy
from penstock.core.timings import LeaseTimings
from penstock.store.connect import Client, own_client
from penstock.store.crossings import Ferry
from penstock.store.engine import Engine
from penstock.store.reach import Reach
from penstock.store.records import claimed_job
from penstock.store.script_calls import BATCH

# How long a job that only a newer version can read is left to the newer workers.
NEWER_FORMAT_DELAY_MS = 15_000
_FINAL_KINDS: dict[str, OutcomeKind] = {
    JobStatus.COMPLETED: "complete",
    JobStatus.FAILED: "fail",
    JobStatus.CANCELLED: "cancel",
}


class HoldingQueue(JobQueue):
    """A queue's connection and settings, and the verbs that take jobs and settle them."""

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

    def ferry(self) -> Ferry:
        """What tells this queue's endings to children on other queues; a worker runs it."""
        return Ferry(self._reach, self.queue_name)

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


def default_worker_id() -> str:
    """A worker id of host, process id and a nonce, for those who name none."""
    host = "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in socket.gethostname())
    return f"{host[:80]}-{os.getpid()}-{new_nonce()[:6]}"


def _policy_of(config: QueueConfig) -> RetryPolicy:
    return RetryPolicy(config.retry_max_attempts, config.retry_base_delay, config.retry_max_delay)
