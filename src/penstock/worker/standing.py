"""How an attempt stands: what it is, whether it may go on, and what is made for it when first needed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from penstock.core.codec import JobSpec
from penstock.core.job import Job
from penstock.core.outcomes import Claimed
from penstock.store.records import claimed_job
from penstock.worker.children import Children
from penstock.worker.holdings import Holding
from penstock.worker.reporter import Reporter
from penstock.worker.steps import StepBook
from penstock.worker.suspension import Suspension, Waits
from penstock.worker.thread_crew import ThreadCrew

Value = TypeVar("Value")


class Standing:
    """The part of a ``JobContext`` that does not speak: its job, its lease and its stopping."""

    __slots__ = (
        "_book",
        "_children",
        "_claimed",
        "_holding",
        "_job",
        "_queue_name",
        "_reporter",
        "_spec",
        "_threads",
        "_waiting",
        "_worker_id",
        "has_seen_cancellation",
        "payload",
        "waits",
    )

    def __init__(
        self,
        holding: Holding,
        spec: JobSpec,
        payload: Any,
        place: tuple[str, str],
        reporter: Reporter,
        threads: ThreadCrew,
    ) -> None:
        """Made by the worker; ``place`` is the queue's name and the worker's id."""
        self.payload = payload
        self._holding = holding
        self._claimed: Claimed = holding.claimed
        self._spec = spec
        self._queue_name, self._worker_id = place
        self._reporter = reporter
        self._threads = threads
        self.has_seen_cancellation = False
        # Made when first needed: most handlers need none of them.
        self._job: Job | None = None
        self._book: StepBook | None = None
        self.waits: Waits | None = None
        self._children: Children | None = None
        self._waiting: set[concurrent.futures.Future[Any]] | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._claimed.id

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self._claimed.attempt

    @property
    def cancelled(self) -> bool:
        """Whether this attempt should stop: cancelled, out of time, released or given to another worker.

        Async handlers are interrupted; plain functions look here between two pieces of work, or are
        interrupted in ``ctx.wait``. A cancelled job's function that has seen ``True`` and returns is
        taken to have stopped.
        """
        if self._holding.should_stop:
            self.has_seen_cancellation = True
        return self._holding.should_stop

    @property
    def job(self) -> Job:
        """The whole job, as claimed."""
        if self._job is None:
            self._job = claimed_job(
                self._claimed, self._spec, self.payload, self._queue_name, self._worker_id, time.time()
            )
        return self._job

    def wait(self, awaitable: Coroutine[Any, Any, Value]) -> Value:
        """From a plain function's thread: run ``awaitable`` on the worker's loop and wait for it.

        ``ctx.wait(ctx.progress(50, "halfway"))``. Raises ``CancelledError`` when the attempt is told to
        stop meanwhile.
        """
        future = asyncio.run_coroutine_threadsafe(awaitable, self._reporter.loop)
        if self._waiting is None:
            self._waiting = set()
        self._waiting.add(future)
        try:
            return future.result()
        finally:
            self._waiting.discard(future)

    def interrupt(self) -> None:
        """End what a thread waits for, since the attempt should stop; called by the worker."""
        for future in list(self._waiting or ()):
            future.cancel()

    @property
    def suspension(self) -> Suspension | None:
        """What the handler was ended by, if it was suspended."""
        return None if self.waits is None else self.waits.raised

    def _begin(self) -> None:
        """What every call does first."""
        self._holding.sign_of_life()
        if self.waits is not None and self.waits.raised is not None:
            # Code that went on regardless must not act for a job that is parked.
            raise self.waits.raised
        if self._holding.stopping == "timeout" and self._holding.in_thread:
            raise asyncio.CancelledError

    def _steps(self) -> StepBook:
        if self._book is None:
            self._book = StepBook(self._holding, (self._reporter, self._threads))
        return self._book

    def _waiter(self) -> Waits:
        if self.waits is None:
            self.waits = Waits(self.id, self._reporter, self._steps())
        return self.waits
