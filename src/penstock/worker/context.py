"""``JobContext``: what a handler sees of its job, and how it speaks back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, overload

from penstock.core.codec import JobSpec
from penstock.core.errors import InvalidJobError, LeaseLostError
from penstock.core.job import Job
from penstock.core.outcomes import Claimed
from penstock.core.retry import RetryPolicy
from penstock.store.records import claimed_job
from penstock.worker.holdings import Holding
from penstock.worker.reporter import Reporter
from penstock.worker.steps import StepBook
from penstock.worker.thread_crew import ThreadCrew
from penstock.worker.watchdog import Watchdog

Value = TypeVar("Value")

WHOLE = 100


class JobContext:
    """One attempt of one job, as its handler sees it."""

    __slots__ = (
        "_book",
        "_claimed",
        "_holding",
        "_is_cancelled",
        "_job",
        "_queue_name",
        "_reporter",
        "_spec",
        "_threads",
        "_waiting",
        "_worker_id",
        "has_seen_cancellation",
        "payload",
        "watchdog",
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
        self._is_cancelled = False
        self.has_seen_cancellation = False
        self.watchdog: Watchdog | None = None
        # Made when first needed: most handlers need none of them.
        self._job: Job | None = None
        self._book: StepBook | None = None
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
        if self._is_cancelled:
            self.has_seen_cancellation = True
        return self._is_cancelled

    @property
    def job(self) -> Job:
        """The whole job, as claimed."""
        if self._job is None:
            self._job = claimed_job(
                self._claimed, self._spec, self.payload, self._queue_name, self._worker_id, time.time()
            )
        return self._job

    async def progress(self, percent: float, step: str | None = None) -> None:
        """Say how far the job has come (0 to 100) and, if given, what it is doing.

        Raises ``LeaseLostError`` when the job is no longer this worker's.
        """
        if not 0 <= percent <= WHOLE:
            raise InvalidJobError(f"progress must be from 0 to 100, got {percent!r}")
        self._begin()
        code = await self._reporter.progress(self.id, self._claimed.lease, round(percent, 2), step or "")
        await self._obey(code)

    @overload
    async def step(
        self,
        name: str,
        function: Callable[[], Awaitable[Value]],
        *,
        inputs: Any = None,
        retry: RetryPolicy | None = None,
    ) -> Value: ...

    @overload
    async def step(
        self,
        name: str,
        function: Callable[[], Value],
        *,
        inputs: Any = None,
        retry: RetryPolicy | None = None,
    ) -> Value: ...

    async def step(
        self,
        name: str,
        function: Callable[[], Any],
        *,
        inputs: Any = None,
        retry: RetryPolicy | None = None,
    ) -> Any:
        """Run ``function`` once for this job, whatever happens to its workers, and return its result.

        The result is stored before this returns; when the job runs again it is returned at once and
        ``function`` is not called. What is returned has been through JSON both times. Plain
        functions run in a thread. ``inputs`` (JSON) says what the result depends on. With ``retry``
        a failed ``function`` is tried again within this attempt, which waits in its slot as the
        policy or the error's ``retry_after`` says; the job's own attempts are not charged.

        Raises ``StepMismatchError`` when a stored step was made from other inputs,
        ``StepRepeatedError`` when one attempt uses a name twice, ``StepLimitError`` above 1,000 steps
        or 1 MiB a result, ``LeaseLostError`` when the job is no longer this worker's.
        """
        self._begin()
        return await self._steps().take(name, function, inputs, retry)

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

    def mark_cancelled(self) -> None:
        """Note that this attempt should stop; called by the worker."""
        self._is_cancelled = True
        if self._book is not None:
            self._book.interrupt()
        for future in list(self._waiting or ()):
            future.cancel()

    def _begin(self) -> None:
        """What every call does first."""
        if self.watchdog is not None:
            self.watchdog.sign_of_life()
        if self._holding.stopping == "timeout" and self._holding.in_thread:
            raise asyncio.CancelledError

    async def _obey(self, code: str) -> None:
        if code == "lost":
            self._is_cancelled = True
            raise LeaseLostError(f"job {self.id} is no longer this worker's: its lease was lost")
        if code == "cancel":
            self._holding.stop("cancel")
            # Gives the cancellation its chance before the handler takes up the next piece of work.
            await asyncio.sleep(0)
            if self._holding.in_thread:
                raise asyncio.CancelledError

    def _steps(self) -> StepBook:
        if self._book is None:
            room = (self._reporter, self._threads)
            self._book = StepBook(self._holding, room, self._obey, self._sign_of_life)
        return self._book

    def _sign_of_life(self, lasting_seconds: float) -> None:
        if self.watchdog is not None:
            self.watchdog.sign_of_life(lasting_seconds)
