"""The intake: how jobs get into a queue, one by one or many, and what each answer of the server means."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from penstock.core.acceptance import AcceptedJob, accept, check_duration
from penstock.core.clock import Clock
from penstock.core.errors import (
    DuplicateJobError,
    EventsBacklogError,
    InvalidJobError,
    MissingParentError,
    PenstockError,
)
from penstock.core.job import Job
from penstock.core.names import check_queue_name
from penstock.observe.tracing import current_trace
from penstock.store.coalescer import Coalescer
from penstock.store.crossings import check_parents_abroad, link_parents_abroad, parents_abroad
from penstock.store.durability import enqueue_durably
from penstock.store.engine import Engine
from penstock.store.reach import Reach

#: An accepted job and the milliseconds until it is ready.
Parcel: TypeAlias = "tuple[AcceptedJob, int]"


class _Group(NamedTuple):
    """Jobs that are accepted together: what is sent, the queue of each, and parents by its place."""

    accepted: list[AcceptedJob]
    names: list[str]
    parents: dict[int, list[str]]

    def of(self, places: Sequence[int]) -> _Group:
        """Some of them."""
        return _Group(
            [self.accepted[place] for place in places],
            [self.names[place] for place in places],
            {at: self.parents[place] for at, place in enumerate(places) if place in self.parents},
        )


class Intake:
    """Accepts jobs for the queues in reach.

    Jobs that are enqueued one by one at the same time travel together; each caller gets its own answer.
    """

    def __init__(self, reach: Reach, queue_name: str, clock: Clock | None, ttl_ms: int) -> None:
        """Jobs that name no queue go to ``queue_name``; ``ttl_ms`` is the retention of finished jobs."""
        self._reach = reach
        self._queue_name = queue_name
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._senders: dict[tuple[str, bool], Coalescer[Parcel, str]] = {}

    def delay_ms(self, delay_seconds: float, run_at: datetime | float | None) -> int:
        """The wait in ms that ``delay_seconds`` or ``run_at`` asks for; a past time is now."""
        if run_at is None:
            return 0 if delay_seconds == 0 else round(check_duration(delay_seconds, "delay_seconds") * 1000)
        if delay_seconds:
            raise InvalidJobError("delay_seconds and run_at both say when the job is due: give one of them")
        now_ms = None if self._clock is None else self._clock.script_time_ms()
        left_ms = _epoch_seconds(run_at) * 1000 - (time.time() * 1000 if now_ms is None else now_ms)
        check_duration(max(left_ms, 0) / 1000, "the time until run_at")
        return max(0, math.ceil(left_ms))

    async def one(self, job: Job, priority: int, queue_name: str | None, delay_ms: int, durable: bool) -> str:
        """Accept one job; the id of the job that is kept for it."""
        name = queue_name or job.queue_name or self._queue_name
        accepted = accept(job, priority, current_trace(), self._ttl_ms)
        if job.parents:
            await check_parents_abroad(self._reach, job.id, job.parents)
        sender = self._senders.get((name, durable))
        if sender is None:
            sender = await self._make_sender(check_queue_name(name), durable)
        code = await sender.ask((accepted, delay_ms))
        if job.parents and code in ("ok", "kept"):
            await link_parents_abroad(self._reach, name, job.id, job.parents)
        return kept_id(code, job.id, self._reach.engine(name))

    async def many(
        self, jobs: Iterable[Job], priority: int, queue_name: str | None, delay_ms: int, durable: bool
    ) -> list[str]:
        """Accept many jobs, all of them checked before the first is sent; their ids in order."""
        trace = current_trace()
        group = _Group([], [], {})
        for job in jobs:
            if job.parents:
                group.parents[len(group.accepted)] = job.parents
            group.accepted.append(accept(job, priority, trace, self._ttl_ms))
            group.names.append(queue_name or job.queue_name or self._queue_name)
        in_turn = [check_queue_name(name) for name, _ in groupby(group.names)]
        if len(in_turn) == 1:
            return await self._send_group(in_turn[0], group, delay_ms, durable)
        places = list(range(len(group.names)))
        if not any(parents_abroad(parents) for parents in group.parents.values()):
            # One round trip takes more when a queue's jobs go together; their order on it stays.
            places.sort(key=group.names.__getitem__)
        ids = [""] * len(places)
        for name, going in groupby(places, key=group.names.__getitem__):
            chosen = list(going)
            kept = await self._send_group(name, group.of(chosen), delay_ms, durable)
            for place, job_id in zip(chosen, kept, strict=True):
                ids[place] = job_id
        return ids

    async def _send_group(self, name: str, group: _Group, delay_ms: int, durable: bool) -> list[str]:
        accepted = group.accepted
        for place, parents in group.parents.items():
            await check_parents_abroad(self._reach, accepted[place].id, parents)
        engine = await self._reach.prepared(name)
        if durable:
            codes = await enqueue_durably(engine, [(job, delay_ms) for job in accepted])
        else:
            codes = await engine.enqueue_in_order(accepted, delay_ms)
        for place, parents in group.parents.items():
            if codes[place] in ("ok", "kept"):
                await link_parents_abroad(self._reach, name, accepted[place].id, parents)
        return [
            job.id if code == "ok" else kept_id(code, job.id, engine)
            for job, code in zip(accepted, codes, strict=True)
        ]

    async def close(self) -> None:
        """Wait for the jobs that are on their way."""
        for sender in self._senders.values():
            await sender.close()

    async def _make_sender(self, name: str, durable: bool) -> Coalescer[Parcel, str]:
        engine = await self._reach.prepared(name)
        send = partial(enqueue_durably if durable else _send, engine)
        # Others may have asked while the queue was prepared.
        return self._senders.setdefault((name, durable), Coalescer(send))


def kept_id(code: str, job_id: str, engine: Engine) -> str:
    """The id of the job that is kept for ``job_id``; raises what the server's answer means otherwise."""
    if code in ("ok", "kept"):
        return job_id
    word, _, other = code.partition(" ")
    if word == "unique":
        return other
    raise _refusal(word, other, job_id, engine)


def _refusal(word: str, other: str, job_id: str, engine: Engine) -> PenstockError:
    if word == "backlog":
        return EventsBacklogError(
            f"recorded jobs are refused: the events stream of {engine.keys.base} holds "
            f"{engine.config.max_events:,} facts that history has not read; "
            "start a keeper or raise max_events"
        )
    if word == "orphan":
        return MissingParentError(
            f"job {job_id} waits for job {other}, which {engine.keys.base} does not keep: "
            "enqueue the parent first, on the same queue"
        )
    if word == "rejected":
        return DuplicateJobError(
            f"job {job_id} was rejected: job {other} holds its unique_key until it has ended", other
        )
    if word == "unjoinable":
        return InvalidJobError(
            f"job {job_id} cannot be joined to job {other}, which is not waiting any more: "
            "only a job that still waits can be given another parent"
        )
    if word == "circular":
        return InvalidJobError(
            f"job {job_id} cannot be joined to job {other}, which it would wait for through its parents: "
            "each would wait for the other for ever"
        )
    return InvalidJobError(f"job {job_id} was not accepted: the server answered {word!r}")


async def _send(engine: Engine, parcels: Sequence[Parcel]) -> list[str]:
    if len(parcels) == 1:
        accepted, delay_ms = parcels[0]
        return await engine.enqueue((accepted,), delay_ms)
    return await engine.enqueue_in_order([job for job, _ in parcels], [delay for _, delay in parcels])


def _epoch_seconds(moment: Any) -> float:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidJobError(
                f"run_at must say its time zone, got {moment!r}: use datetime(..., tzinfo=UTC) or seconds"
            )
        return moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
        raise InvalidJobError(f"run_at must be an aware datetime or seconds since the epoch, got {moment!r}")
    return float(moment)
