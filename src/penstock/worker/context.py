"""``JobContext``: what a handler sees of its job, and how it speaks back."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar, overload

from penstock.core.acceptance import check_duration
from penstock.core.codec import encode_payload
from penstock.core.errors import FeedFullError, InvalidJobError
from penstock.core.job import Job
from penstock.core.retry import RetryPolicy
from penstock.worker.children import Children, ParentOutcome, read_outcome
from penstock.worker.standing import Standing
from penstock.worker.suspension import moment_of

Value = TypeVar("Value")

WHOLE = 100


class JobContext(Standing):
    """One attempt of one job, as its handler sees it."""

    __slots__ = ()

    async def progress(self, percent: float, step: str | None = None) -> None:
        """Say how far the job has come (0 to 100) and, if given, what it is doing.

        Raises ``LeaseLostError`` when the job is no longer this worker's.
        """
        if not 0 <= percent <= WHOLE:
            raise InvalidJobError(f"progress must be from 0 to 100, got {percent!r}")
        self._begin()
        code = await self._reporter.progress(self.id, self._claimed.lease, round(percent, 2), step or "")
        await self._holding.obey(code)

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

    async def sleep(self, seconds: float, *, name: str | None = None) -> None:
        """Let ``seconds`` pass without holding a slot, counted from the first time this is reached.

        The handler ends here and runs again when the time has come, on any worker. Its steps must
        therefore be durable; a sleep in a step, or in a function in a process, is refused with
        ``StepError``. The moment is stored as the step ``sleep:<n>``, or ``name``.
        """
        self._begin()
        await self._waiter().sleep_until(None, check_duration(seconds, "seconds"), name)

    async def sleep_until(self, when: datetime | float, *, name: str | None = None) -> None:
        """Sleep to a moment: an aware ``datetime``, or seconds since the epoch. See ``sleep``.

        The moment named first counts: another one named when the handler runs again changes nothing.
        """
        self._begin()
        await self._waiter().sleep_until(moment_of(when), 0, name)

    async def suspend(self, reason: str = "suspended") -> Any:
        """Park the job, without a slot, until ``queue.resume_job(job_id, value)``; returns the value."""
        self._begin()
        return await self._waiter().suspend(reason)

    async def wait_for_signal(self, name: str, timeout_seconds: float | None = None) -> Any:
        """Wait, without a slot, for ``queue.signal(job_id, name, value)``; returns the value.

        Signals are taken in the order in which they were given, also those given before the wait.
        Raises ``SignalTimeoutError`` when none came within ``timeout_seconds`` of the first time that
        this was reached, and again at this place whenever the handler runs.
        """
        self._begin()
        return await self._waiter().signal(name, timeout_seconds)

    async def emit(self, event: Any) -> None:
        """Append ``event`` (JSON) to the job's live feed, for those who follow the job.

        Raises ``FeedFullError`` above 10,000 entries. What a repeated attempt emits is appended again.
        """
        body = encode_payload(event, "event")
        self._begin()
        code = await self._reporter.emit(self.id, self._claimed.lease, body)
        if code == "full":
            raise FeedFullError(
                f"the live feed of job {self.id} is full at 10,000 entries: emit fewer or larger events"
            )
        await self._holding.obey(code)

    async def report_usage(self, **amounts: float) -> None:
        """Say what the job has used since it last said so: ``tokens=512, cost=0.03, units=1``.

        Amounts are summed by hour, job type and key. ``units`` also correct what the job had booked of
        its ``rate_key``. What a repeated attempt uses counts again, as it is used again.
        """
        for name, amount in amounts.items():
            if type(amount) not in {int, float} or not 0 <= amount < math.inf:
                raise InvalidJobError(f"report_usage({name}=...) must be 0 or more, got {amount!r}")
        self._begin()
        if amounts:
            used = list(amounts.items())
            await self._holding.obey(
                await self._reporter.report_usage(self.id, self._claimed.lease, self._spec.type, used)
            )

    async def enqueue(
        self, child: Job, job_id: str | None = None, *, priority: int = 0, delay_seconds: float = 0
    ) -> str:
        """Enqueue a job on this queue, under this job's lease, and return its id.

        When the attempt is repeated, the same call finds the same job: its id is ``job_id``, else the
        one that ``child`` was given, else made from this job's id and the number of the call, which
        asks that children are made in the same order each time. Raises as ``queue.enqueue`` does, and
        ``LeaseLostError`` when this job is no longer this worker's.
        """
        self._begin()
        if self._children is None:
            self._children = Children(self._claimed, self._queue_name, self._reporter)
        made = await self._children.enqueue(child, job_id, priority, delay_seconds)
        if made is None:
            await self._holding.obey("lost")
        return str(made)

    async def parents(self) -> dict[str, ParentOutcome]:
        """What the jobs that this one waited for ended with, by their ids."""
        self._begin()
        stored = await self._reporter.load_inputs(self.id)
        return {parent: read_outcome(status, body) for parent, (status, body) in stored.items()}
