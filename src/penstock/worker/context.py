"""``JobContext``: what a handler sees of its job, and how it speaks back."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import msgspec

from penstock.core.codec import JobSpec, encode_payload, encode_result
from penstock.core.errors import (
    InvalidJobError,
    LeaseLostError,
    StepError,
    StepLimitError,
    StepMismatchError,
    StepRepeatedError,
)
from penstock.core.job import Job
from penstock.core.names import check_step_name
from penstock.core.outcomes import Claimed
from penstock.store.records import claimed_job
from penstock.worker.holdings import Holding
from penstock.worker.reporter import Reporter
from penstock.worker.thread_crew import ThreadCrew

Value = TypeVar("Value")

WHOLE = 100


class StepRecord(msgspec.Struct):
    """A finished step as stored: the fingerprint of its inputs, and its result."""

    inputs: str
    result: msgspec.Raw


_step_decoder = msgspec.json.Decoder(StepRecord)
_step_encoder = msgspec.json.Encoder()
_fingerprint_encoder = msgspec.json.Encoder(order="deterministic")


class JobContext:
    """One attempt of one job, as its handler sees it."""

    __slots__ = (
        "_claimed",
        "_holding",
        "_is_cancelled",
        "_job",
        "_loop",
        "_queue_name",
        "_reporter",
        "_spec",
        "_stored",
        "_threads",
        "_used",
        "_worker_id",
        "has_seen_cancellation",
        "payload",
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
        self._job: Job | None = None
        self._loop = reporter.loop
        self._stored: dict[str, bytes] | None = None
        self._used: set[str] | None = None

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
        """Whether this attempt should stop: cancelled, released or given to another worker.

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
        code = await self._reporter.progress(self.id, self._claimed.lease, round(percent, 2), step or "")
        await self._obey(code)

    async def step(
        self, name: str, function: Callable[[], Awaitable[Value] | Value], *, inputs: Any = None
    ) -> Value:
        """Run ``function`` once for this job, whatever happens to its workers, and return its result.

        The result is stored before this returns; when the job runs again it is returned at once and
        ``function`` is not called. What is returned has been through JSON both times. Plain
        functions run in a thread. ``inputs`` (JSON) says what the result depends on.

        Raises ``StepMismatchError`` when a stored step was made from other inputs,
        ``StepRepeatedError`` when one attempt uses a name twice, ``StepLimitError`` above 1,000 steps
        or 1 MiB a result, ``LeaseLostError`` when the job is no longer this worker's.
        """
        check_step_name(name)
        if self._used is None:
            self._used = set()
        if name in self._used:
            raise StepRepeatedError(
                f"step {name!r} was already run in this attempt: give each step its own name"
            )
        self._used.add(name)
        fingerprint = _fingerprint(name, inputs)
        stored = await self._stored_steps()
        if name in stored:
            return cast("Value", self._replayed(name, stored[name], fingerprint))
        encoded = encode_result(await self._call(function), f"result of step {name!r}")
        body = _step_encoder.encode(StepRecord(fingerprint, msgspec.Raw(encoded)))
        code = await self._reporter.store_step(self.id, self._claimed.lease, name, body)
        if code == "full":
            raise StepLimitError(f"step {name!r} is one too many: a job keeps at most 1,000 steps")
        if code == "corrupt":
            raise StepError(f"step {name!r} cannot be stored: the job's steps are damaged on the server")
        await self._obey(code)
        return cast("Value", msgspec.json.decode(encoded))

    def wait(self, awaitable: Coroutine[Any, Any, Value]) -> Value:
        """From a plain function's thread: run ``awaitable`` on the worker's loop and wait for it.

        ``ctx.wait(ctx.progress(50, "halfway"))``
        """
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    def mark_cancelled(self) -> None:
        """Note that this attempt should stop; called by the worker."""
        self._is_cancelled = True

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

    async def _stored_steps(self) -> dict[str, bytes]:
        if self._stored is None:
            self._stored = await self._reporter.load_steps(self.id) if self._claimed.steps else {}
        return self._stored

    async def _call(self, function: Callable[[], Awaitable[Value] | Value]) -> Value:
        if inspect.iscoroutinefunction(function):
            return cast("Value", await function())
        call = asyncio.ensure_future(self._threads.run(function))
        try:
            value = await asyncio.shield(call)
        except asyncio.CancelledError:
            try:
                if self._holding.stopping == "cancel":
                    # Nothing of a job that is said to be cancelled may still be running.
                    await asyncio.wait([call])
            finally:
                call.add_done_callback(lambda done: done.cancelled() or done.exception())
                call.cancel()
            raise
        return await value if inspect.isawaitable(value) else value

    def _replayed(self, name: str, body: bytes, fingerprint: str) -> Any:
        record = _step_decoder.decode(body)
        if record.inputs != fingerprint:
            raise StepMismatchError(
                f"step {name!r} of job {self.id} was finished with other inputs: the handler or its data "
                "changed since; rename the step, or enqueue a new job"
            )
        return msgspec.json.decode(record.result)


def _fingerprint(name: str, inputs: Any) -> str:
    encode_payload(inputs, f"inputs of step {name!r}")
    return hashlib.sha256(_fingerprint_encoder.encode([name, inputs])).hexdigest()[:16]
