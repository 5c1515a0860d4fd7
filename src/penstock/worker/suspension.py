"""Suspension: a handler that waits for a time or a signal ends, and its job waits without a slot.

Nothing of the handler is kept but its durable steps. When the job wakes it runs again from its
beginning: finished steps return at once, and so does the wait that it ended for.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

import msgspec

from penstock.core.acceptance import check_duration
from penstock.core.codec import decode
from penstock.core.errors import InvalidJobError, SignalTimeoutError, StepError
from penstock.core.names import check_signal_name, resume_signal
from penstock.core.outcomes import Claimed, Outcome
from penstock.worker.reporter import Reporter
from penstock.worker.steps import StepBook, StepRecord, fingerprint_of, step_around

_NEVER_MS = -1


class Suspension(BaseException):
    """Ends a handler whose job is to wait; not an ``Exception``, so that handlers let it pass."""

    def __init__(self, reason: str, wake_at: float | None, signal: str) -> None:
        """``wake_at`` is in seconds since the epoch, ``signal`` the stored signal that wakes the job."""
        super().__init__(reason)
        self.reason = reason
        self.wake_at = wake_at
        self.signal = signal

    def outcome(self, claimed: Claimed, now_seconds: float) -> Outcome:
        """How an attempt ends that was suspended."""
        delay_ms = _NEVER_MS
        if self.wake_at is not None:
            delay_ms = max(math.ceil((self.wake_at - now_seconds) * 1000), 0)
        return Outcome(claimed.id, claimed.lease, "suspend", self.reason, delay_ms, self.signal)


class _Ending(msgspec.Struct, omit_defaults=True):
    """How a wait ended, as stored: which signal it took, and its value; none if it did not come in time."""

    signal: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Wait(NamedTuple):
    """A wait for a signal: where its ending is stored, what it waits for, and for how long.

    ``deadline_place`` is 0 for a wait without an end.
    """

    step: str
    place: int
    signal: str
    number: int
    what: str
    timeout_seconds: float = 0
    deadline_place: int = 0


_ending_decoder = msgspec.json.Decoder(_Ending)
_encoder = msgspec.json.Encoder()


class Waits:
    """The sleeps and waits of one attempt."""

    __slots__ = ("_book", "_job_id", "_numbers", "_parked", "_reporter", "_taken", "raised")

    def __init__(self, job_id: str, reporter: Reporter, book: StepBook) -> None:
        """What has ended is stored in ``book``."""
        self._job_id = job_id
        self._reporter = reporter
        self._book = book
        self._numbers: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._parked: list[Suspension] = []
        self.raised: Suspension | None = None

    async def sleep_until(self, when: float | None, seconds: float, name: str | None) -> None:
        """Return at the moment ``when``, or ``seconds`` after this was first reached; see ``JobContext``."""
        _refuse_inside_a_step("sleep")
        if name is None:
            self._numbers["sleep"] += 1
            name = f"sleep:{self._numbers['sleep']}"

        async def moment() -> float:
            return self._reporter.now_seconds() + seconds if when is None else when

        wake_at = float(await self._book.take(name, moment, "sleep"))
        if self._reporter.now_seconds() < wake_at:
            await self._park(Suspension(f"sleeping ({name})", wake_at, ""))

    async def suspend(self, reason: str) -> Any:
        """Return the value that the job was resumed with."""
        _refuse_inside_a_step("suspend")
        self._numbers["suspend"] += 1
        number = self._numbers["suspend"]
        name = f"suspend:{number}"
        return await self._await(_Wait(name, self._book.enter(name), resume_signal(number), 0, reason))

    async def signal(self, name: str, timeout_seconds: float | None) -> Any:
        """Return the value of the next signal ``name``; raise ``SignalTimeoutError`` when none comes."""
        _refuse_inside_a_step("wait for a signal")
        check_signal_name(name)
        if timeout_seconds is not None:
            check_duration(timeout_seconds, "timeout_seconds")
        self._numbers[f"signal:{name}"] += 1
        step = f"signal:{name}#{self._numbers[f'signal:{name}']}"
        number = self._taken[name]
        # A signal that comes after its wait was over is the next wait's: only those taken are counted.
        self._taken[name] += 1
        wait = _Wait(step, self._book.enter(step), name, number, f"waiting for signal {name!r}")
        if timeout_seconds is not None:
            # In each attempt, whether it is needed or not: the places of later steps must not move.
            place = self._book.enter(_deadline_of(step))
            wait = wait._replace(timeout_seconds=timeout_seconds, deadline_place=place)
        try:
            return await self._await(wait)
        except SignalTimeoutError:
            self._taken[name] -= 1
            raise

    async def _await(self, wait: _Wait) -> Any:
        field = f"{wait.signal}#{wait.number}"
        fingerprint = fingerprint_of(wait.step, "signal")
        stored = await self._book.find(wait.step, fingerprint)
        if stored is not None:
            return self._result_of(_ending_decoder.decode(stored), wait)
        body = (await self._reporter.load_signals(self._job_id)).get(field)
        if body is not None:
            ending = _Ending(field, msgspec.Raw(body))
        else:
            deadline = await self._deadline(wait)
            if deadline is None or self._reporter.now_seconds() < deadline:
                await self._park(Suspension(wait.what, deadline, field))
            ending = _Ending()
        result = msgspec.Raw(_encoder.encode(ending))
        await self._book.store(wait.step, StepRecord(fingerprint, result, wait.place))
        return self._result_of(ending, wait)

    async def _deadline(self, wait: _Wait) -> float | None:
        if not wait.deadline_place:
            return None

        async def moment() -> bytes:
            return _encoder.encode(self._reporter.now_seconds() + wait.timeout_seconds)

        name = _deadline_of(wait.step)
        return float(decode(await self._book.keep(name, wait.deadline_place, "deadline", moment)))

    def _result_of(self, ending: _Ending, wait: _Wait) -> Any:
        if not ending.signal:
            raise SignalTimeoutError(
                f"signal {wait.signal!r} of job {self._job_id} did not come within "
                f"timeout_seconds={wait.timeout_seconds:g}; catch this where the handler can go on without it"
            )
        return decode(bytes(ending.value))

    async def _park(self, suspension: Suspension) -> NoReturn:
        """Raise ``Suspension``, once all that was called side by side with this wait has come to rest."""
        self._parked.append(suspension)
        # Waits and steps called in the same breath have begun after this.
        await asyncio.sleep(0)
        await self._book.quiet()
        if self.raised is None:
            moments = [wait.wake_at for wait in self._parked if wait.wake_at is not None]
            first = self._parked[0]
            signals = [wait.signal for wait in self._parked if wait.signal]
            self.raised = Suspension(first.reason, min(moments, default=None), signals[0] if signals else "")
        raise self.raised


def moment_of(when: datetime | float) -> float:
    """Seconds since the epoch; raise ``InvalidJobError`` for what is not a moment."""
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidJobError(
                f"sleep_until got {when.isoformat()} without a time zone: "
                "give it one, for example datetime.now(UTC) + timedelta(days=1)"
            )
        return when.timestamp()
    if type(when) not in {int, float} or not math.isfinite(when):
        raise InvalidJobError(f"sleep_until takes an aware datetime or seconds since the epoch, got {when!r}")
    return float(when)


def _deadline_of(step: str) -> str:
    return f"{step}:deadline"


def _refuse_inside_a_step(what: str) -> None:
    around = step_around()
    if around is not None:
        raise StepError(
            f"step {around!r} cannot {what}: its function would be run again from its beginning; "
            "do it in the handler, between two steps"
        )
