"""The part of the demo in which jobs run: watch, kill one worker, see its jobs go on, report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from penstock import Job, RedisStreamsQueue
from penstock.cli.demo.batch import Batch
from penstock.cli.demo.ledger import Fact, LedgerReader
from penstock.cli.demo.observer import Observer, worker_in_the_middle
from penstock.cli.demo.outcome import Kill, Outcome, judge, reclaimed_starts, repeated_steps
from penstock.cli.demo.processes import WorkerProcesses
from penstock.cli.demo.signals import StopRequest
from penstock.cli.demo.view import View
from penstock.core.errors import WorkerError

LOOK_SECONDS = 0.03
SHOW_SECONDS = 0.2
LONGEST_RUN_SECONDS = 300.0
_MOST_FAILURES_TOLD = 5


class Play:
    """Plays one batch on the workers that are running."""

    def __init__(
        self,
        queue: RedisStreamsQueue,
        processes: WorkerProcesses,
        batch: Batch,
        view: View,
        stop: StopRequest,
        begun: float,
    ) -> None:
        self._queue = queue
        self._processes = processes
        self._batch = batch
        self._ledger = LedgerReader(batch.ledger)
        self._view = view
        self._stop = stop
        self._begun = begun
        self._deadline = time.monotonic() + LONGEST_RUN_SECONDS
        self._observer = Observer(queue, batch, begun)
        self._kill: Kill | None = None
        self._killed_step: str | None = None

    async def run(self, report: Path, story: dict[str, Any]) -> Outcome:
        """Run all jobs to their end, the report's last, and return the numbers."""
        await self._queue.enqueue_many(self._batch.jobs)
        self._view.say(f"{len(self._batch.jobs)} jobs are enqueued, one for each document.")
        await self._until_documents_ended()
        killed = self._what_happened()
        self._view.say(killed)
        await self._tell_failures()
        last = await self._write_report(report, story | {"killed": killed})
        stats = await self._queue.get_queue_stats()
        if last.error:
            self._view.say(f"The report failed: {last.error}", "red")
        self._ledger.refresh()
        return judge(
            self._ledger.facts,
            self._kill,
            counts=(
                len(self._batch.jobs) + 1,
                stats["completed"],
                stats["failed"] + stats["cancelled"],
            ),
            seconds=time.monotonic() - self._begun,
        )

    async def _until_documents_ended(self) -> None:
        shown = float("-inf")
        while True:
            await self._look_into_ledger()
            self._check()
            if time.monotonic() - shown >= SHOW_SECONDS:
                shown = time.monotonic()
                snapshot = await self._observer.look(self._kill)
                self._view.show(snapshot)
                if snapshot.ended == snapshot.documents:
                    await self._look_into_ledger()
                    return
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_into_ledger(self) -> None:
        fresh = self._ledger.refresh()
        self._observer.take(fresh)
        if self._kill is None:
            victim = worker_in_the_middle(self._ledger.facts, self._batch.large_id)
            if victim is not None:
                await self._kill_worker(victim)
        else:
            self._tell_recovery(fresh, self._kill)

    async def _kill_worker(self, victim: str) -> None:
        step = next(
            fact.step
            for fact in reversed(self._ledger.facts)
            if fact.job == self._batch.large_id and fact.name == "step started"
        )
        killed_at = time.monotonic()
        await self._processes.kill(victim)
        self._kill, self._killed_step = Kill(victim, killed_at), step
        self._view.say(
            f"Killed {victim} (SIGKILL) in the middle of the step “{step}” of {self._batch.large_name}.",
            "bold red",
        )

    def _tell_recovery(self, fresh: Iterable[Fact], kill: Kill) -> None:
        orphans = reclaimed_starts(self._ledger.facts, kill)
        for fact in fresh:
            name = self._batch.names.get(fact.job, fact.job)
            if fact.name == "job started" and orphans.get(fact.job) == fact.at_seconds:
                after = fact.at_seconds - kill.at_seconds
                self._view.say(f"{fact.worker} goes on with {name}, {after:.1f} s after the kill.", "green")
            elif fact.name == "step replayed":
                self._view.say(f"Step “{fact.step}” of {name} was finished before: not run again.", "green")

    def _what_happened(self) -> str:
        kill = self._kill
        if kill is None:
            return "No worker was killed: no step over the large text was seen running."
        again = reclaimed_starts(self._ledger.facts, kill)
        seconds = max(again.values(), default=kill.at_seconds) - kill.at_seconds
        repeated = repeated_steps(self._ledger.facts)
        return (
            f"Worker {kill.worker} was killed in the middle of the step “{self._killed_step}” of "
            f"{self._batch.large_name}. {len(again)} of its jobs went on elsewhere within "
            f"{seconds:.1f} s; finished steps that were repeated: {repeated}."
        )

    async def _tell_failures(self) -> None:
        stats = await self._queue.get_queue_stats()
        left = min(stats["failed"] + stats["cancelled"], _MOST_FAILURES_TOLD)
        for job_id, name in self._batch.names.items():
            if not left:
                return
            job = await self._queue.get_status(job_id)
            if job is not None and job.status.value in {"failed", "cancelled"}:
                self._view.say(f"{name} {job.status.value}: {job.error}", "red")
                left -= 1

    async def _write_report(self, report: Path, story: dict[str, Any]) -> Job:
        job_id = await self._queue.enqueue(self._batch.report_job(self._queue.queue_name, report, story))
        while True:
            job = await self._queue.get_status(job_id)
            if job is not None and job.status.is_final:
                return job
            self._check()
            await asyncio.sleep(LOOK_SECONDS)

    def _check(self) -> None:
        self._stop.check()
        self._processes.check()
        if time.monotonic() > self._deadline:
            raise WorkerError(f"the batch did not end within {LONGEST_RUN_SECONDS:g} s")
