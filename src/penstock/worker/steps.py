"""Durable steps: what a handler did once, kept under its job and given back when the job runs again."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from penstock.core.codec import encode_payload, encode_result
from penstock.core.errors import (
    LeaseLostError,
    StepError,
    StepLimitError,
    StepMismatchError,
    StepRepeatedError,
)
from penstock.core.names import check_step_name
from penstock.core.retry import RetryPolicy
from penstock.worker.holdings import Holding
from penstock.worker.reporter import Reporter
from penstock.worker.thread_crew import ThreadCrew

StepFunction: TypeAlias = Callable[[], Any]

logger = logging.getLogger("penstock.worker")


class StepRecord(msgspec.Struct):
    """A finished step as stored.

    ``inputs`` is the fingerprint of what it depends on; ``place`` the order in which its attempt
    called it, from 1, or 0 when it was stored by a version that did not keep the order.
    """

    inputs: str
    result: msgspec.Raw
    place: int = 0


_record_decoder = msgspec.json.Decoder(StepRecord)
_record_encoder = msgspec.json.Encoder()
_fingerprint_encoder = msgspec.json.Encoder(order="deterministic")
_step_around: contextvars.ContextVar[str | None] = contextvars.ContextVar("penstock_step", default=None)


def read_step(body: bytes) -> StepRecord:
    """A stored step; raise ``StepError`` when it is damaged."""
    try:
        return _record_decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise StepError(f"a stored step cannot be read: {error}") from error


class StepBook:
    """The durable steps of one attempt: those of earlier attempts, and those it takes itself."""

    __slots__ = (
        "_holding",
        "_loading",
        "_places",
        "_quiet",
        "_reporter",
        "_stored",
        "_threads",
        "_under_way",
        "used",
    )

    def __init__(self, holding: Holding, room: tuple[Reporter, ThreadCrew]) -> None:
        """``room`` is what stores a step, and where plain functions run."""
        self._holding = holding
        self._reporter, self._threads = room
        self._stored: dict[str, bytes] | None = None if holding.claimed.steps else {}
        self._loading: asyncio.Lock | None = None
        self.used: set[str] = set()
        self._places = 0
        self._under_way = 0
        self._quiet: asyncio.Event | None = None

    async def take(
        self,
        name: str,
        function: StepFunction,
        inputs: Any = None,
        retry: RetryPolicy | None = None,
    ) -> Any:
        """The result of the step ``name``: as stored, or made by ``function`` now and stored."""
        place = self.enter(name)

        async def make() -> bytes:
            return encode_result(await self._make(name, function, retry), f"result of step {name!r}")

        return msgspec.json.decode(await self.keep(name, place, inputs, make))

    async def keep(self, name: str, place: int, inputs: Any, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The JSON stored under ``name``, which has its place; what ``make`` gives is stored if none is."""
        fingerprint = fingerprint_of(name, inputs)
        found = await self.find(name, fingerprint)
        if found is not None:
            return found
        self._under_way += 1
        try:
            encoded = await make()
            await self.store(name, StepRecord(fingerprint, msgspec.Raw(encoded), place))
        finally:
            self._under_way -= 1
            if not self._under_way and self._quiet is not None:
                self._quiet.set()
                self._quiet = None
        return encoded

    def enter(self, name: str) -> int:
        """Give the step its place in this attempt; raise ``StepRepeatedError`` for a second use of a name."""
        check_step_name(name)
        if name in self.used:
            raise StepRepeatedError(
                f"step {name!r} was already run in this attempt: give each step its own name"
            )
        self.used.add(name)
        self._places += 1
        return self._places

    async def find(self, name: str, fingerprint: str) -> bytes | None:
        """The stored result's JSON, or ``None``; raise ``StepMismatchError`` for other inputs."""
        stored = self._stored if self._stored is not None else await self._load()
        body = stored.get(name)
        if body is None:
            return None
        record = read_step(body)
        if record.inputs != fingerprint:
            raise StepMismatchError(
                f"step {name!r} of job {self._holding.claimed.id} was finished with other inputs: the "
                "handler or its data changed since; rename the step, or enqueue a new job",
                name,
            )
        return bytes(record.result)

    async def store(self, name: str, record: StepRecord) -> None:
        """Store a finished step under the lease."""
        claimed = self._holding.claimed
        code = await self._reporter.store_step(
            claimed.id, claimed.lease, name, _record_encoder.encode(record)
        )
        self._holding.sign_of_life()
        if code == "full":
            raise StepLimitError(f"step {name!r} is one too many: a job keeps at most 1,000 steps")
        if code == "corrupt":
            raise StepError(f"step {name!r} cannot be stored: the job's steps are damaged on the server")
        await self._holding.obey(code)

    async def quiet(self) -> None:
        """Wait until no step is under way."""
        while self._under_way:
            if self._quiet is None:
                self._quiet = asyncio.Event()
            await self._quiet.wait()

    async def _load(self) -> dict[str, bytes]:
        # Steps taken side by side all come here first: one of them reads for all.
        if self._loading is None:
            self._loading = asyncio.Lock()
        async with self._loading:
            if self._stored is None:
                self._stored = await self._reporter.load_steps(self._holding.claimed.id)
            return self._stored

    async def _make(self, name: str, function: StepFunction, retry: RetryPolicy | None) -> Any:
        tries = 0
        while True:
            try:
                return await self._call(name, function)
            except LeaseLostError:
                raise
            except Exception as error:
                tries += 1
                if retry is None or not retry.should_retry(tries, error):
                    if tries > 1:
                        error.add_note(f"step {name!r} was tried {tries} times in this attempt")
                    raise
                delay_seconds = retry.delay_seconds(tries - 1, error)
                logger.info(
                    "job %s: step %r failed with %r; trying again in %g s",
                    self._holding.claimed.id,
                    name,
                    error,
                    delay_seconds,
                )
            await self._pause(delay_seconds)

    async def _pause(self, seconds: float) -> None:
        if self._holding.stopping is not None:
            # A function in a thread may have gone on after it was told to stop.
            raise asyncio.CancelledError
        self._holding.sign_of_life(seconds)
        await asyncio.sleep(seconds)
        self._holding.sign_of_life()

    async def _call(self, name: str, function: StepFunction) -> Any:
        around = _step_around.set(name)
        try:
            if inspect.iscoroutinefunction(function):
                return await function()
            value = await self._call_in_thread(function)
            return await value if inspect.isawaitable(value) else value
        finally:
            _step_around.reset(around)

    async def _call_in_thread(self, function: StepFunction) -> Any:
        call = asyncio.ensure_future(self._threads.run(function))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            try:
                if self._holding.stopping in {"cancel", "timeout"}:
                    # Nothing of a job that is said to have stopped may still be running.
                    await asyncio.wait([call])
            finally:
                call.add_done_callback(_let_go)
                call.cancel()
            raise


def _let_go(call: asyncio.Future[Any]) -> None:
    """What came too late is nobody's: an error is not reported, a coroutine is not awaited."""
    if not call.cancelled() and call.exception() is None and inspect.iscoroutine(call.result()):
        call.result().close()


def step_around() -> str | None:
    """The step whose function is calling, if one is."""
    return _step_around.get()


def fingerprint_of(name: str, inputs: Any) -> str:
    """A digest of a step's name and declared inputs; raise ``InvalidJobError`` when they are not JSON."""
    encode_payload(inputs, f"inputs of step {name!r}")
    return hashlib.sha256(_fingerprint_encoder.encode([name, inputs])).hexdigest()[:16]
