"""Watching the batch: the ledger for what handlers do, the queue for where its jobs stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from penstock import RedisStreamsQueue
from penstock.cli.demo.batch import Batch
from penstock.cli.demo.ledger import Fact
from penstock.cli.demo.outcome import Kill
from penstock.cli.demo.view import RunningJob, Snapshot


def worker_in_the_middle(facts: Iterable[Fact], job: str) -> str | None:
    """The worker inside a step of `job`, after it has finished at least one other step of it."""
    finished = 0
    worker: str | None = None
    for fact in facts:
        if fact.job != job:
            continue
        if fact.name == "step finished":
            finished += 1
            worker = None
        elif fact.name == "step started" and finished:
            worker = fact.worker
    return worker


class Observer:
    """Makes snapshots of a batch; keeps from the ledger which jobs run where."""

    def __init__(self, queue: RedisStreamsQueue, batch: Batch, begun: float) -> None:
        self._queue = queue
        self._batch = batch
        self._begun = begun
        self._running: dict[str, str] = {}

    def take(self, facts: Iterable[Fact]) -> None:
        """Note what has newly appeared in the ledger."""
        for fact in facts:
            if fact.name == "job started":
                self._running[fact.job] = fact.worker
            elif fact.name == "job finished":
                self._running.pop(fact.job, None)

    async def look(self, kill: Kill | None) -> Snapshot:
        """Where the batch stands now, as the queue has it."""
        stats = await self._queue.get_queue_stats()
        failed = stats["failed"] + stats["cancelled"]
        orphans = [job for job, worker in self._running.items() if kill and worker == kill.worker]
        waiting_for = None
        if kill and orphans:
            silent_seconds = time.monotonic() - kill.at_seconds
            lease_seconds = self._queue.timings.presumed_dead_seconds
            waiting_for = (
                f"{kill.worker} silent for {silent_seconds:.0f} s of the {lease_seconds:.0f} s of its lease"
            )
        return Snapshot(
            seconds=time.monotonic() - self._begun,
            documents=len(self._batch.jobs),
            ended=stats["completed"] + failed,
            failed=failed,
            running=await self._running_jobs(kill),
            waiting_for=waiting_for,
        )

    async def _running_jobs(self, kill: Kill | None) -> tuple[RunningJob, ...]:
        holders = dict(self._running)
        jobs = await asyncio.gather(*(self._queue.get_status(job_id) for job_id in holders))
        found = []
        for job in jobs:
            if job is None:
                continue
            if job.status.is_final:
                # Ended without its handler's last line, so it failed or was cancelled.
                self._running.pop(job.id, None)
                continue
            holder = holders[job.id]
            worker = f"{holder} (killed)" if kill and holder == kill.worker else holder
            name = self._batch.names.get(job.id, job.id)
            found.append(RunningJob(job.id, name, worker, job.progress, job.current_step or ""))
        return tuple(found)
