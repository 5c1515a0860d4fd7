"""The scripts of schedules as typed calls, for the facet of a queue and for the role that fires."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from penstock.core.acceptance import accept
from penstock.core.errors import InvalidScheduleError, NewerFormatError
from penstock.core.job import Job
from penstock.core.schedule import Schedule, ScheduleState, decode_schedule, encode_schedule
from penstock.store.engine import Engine
from penstock.store.packing import entries
from penstock.store.script_calls import BATCH

Action: TypeAlias = Literal["put", "pause", "resume", "remove"]
_WIDTH = 5


class Kept(NamedTuple):
    """A schedule as stored; slots in milliseconds since the epoch, ``None`` where there is none."""

    name: str
    body: bytes
    slot_ms: int | None
    last_ms: int | None
    paused: bool

    def schedule(self) -> Schedule:
        """What is kept; raises ``InvalidScheduleError`` or ``NewerFormatError`` if it cannot be read."""
        try:
            return decode_schedule(self.body)
        except (InvalidScheduleError, NewerFormatError) as error:
            raise type(error)(f"schedule {self.name}: {error}; put it anew or remove it") from None

    def state(self) -> ScheduleState:
        """What a caller is shown; raises as ``schedule`` does."""
        return ScheduleState(self.schedule(), self.paused, _seconds(self.slot_ms), _seconds(self.last_ms))


class Page(NamedTuple):
    """What was read: the script's time, the time until the next slot of all, and the schedules asked for."""

    now_ms: int
    next_ms: int | None
    kept: list[Kept]


class Firing(NamedTuple):
    """One step of a schedule: which slot the caller saw, the jobs to make, and where it goes on."""

    kept: Kept
    jobs: Sequence[Job]
    last_ms: int
    next_ms: int


class Fired(NamedTuple):
    """What became of a firing, and the time until the next slot of all schedules; one code a job."""

    outcome: Literal["fired", "taken", "changed", "backlog"]
    next_ms: int | None
    codes: list[str]


class Timetable:
    """The schedules of one queue."""

    def __init__(self, engine: Engine) -> None:
        """Read and write through ``engine``."""
        self._engine = engine

    async def due(self) -> Page:
        """The schedules that are due now, at most 64."""
        return await self._read("due")

    async def all(self) -> Page:
        """All schedules, by name."""
        return await self._read("*")

    async def one(self, name: str) -> Page:
        """One schedule; none if it is not there."""
        return await self._read("=" + name)

    async def keep(self, schedule: Schedule) -> bool:
        """Put a schedule; ``False`` if it was there unchanged, which moves nothing."""
        body = encode_schedule(schedule)
        while True:
            page = await self.one(schedule.name)
            code = await self._act_from("put", schedule, body, page)
            if code != "again":
                return code == "ok"

    async def resume(self, name: str) -> bool:
        """Let a paused schedule go on from its first slot to come; ``False`` if it is not there."""
        while True:
            page = await self.one(name)
            if not page.kept:
                return False
            code = await self._act_from("resume", page.kept[0].schedule(), b"", page)
            if code != "again":
                return code == "ok"

    async def pause(self, name: str) -> bool:
        """Keep a schedule from firing; ``False`` if it is not there."""
        return await self._act("pause", name) == "ok"

    async def remove(self, name: str) -> bool:
        """Forget a schedule; ``False`` if it is not there."""
        return await self._act("remove", name) == "ok"

    async def fire(self, firing: Firing) -> Fired:
        """Make the jobs of due slots and move the schedule on, if nobody else has."""
        config, kept = self._engine.config, firing.kept
        jobs = [accept(job, 0, {}, config.ttl_ms) for job in firing.jobs]
        once: dict[str, Any] = {
            "group": config.consumer_group,
            "keep_ms": self._engine.keep_ms,
            "max_events": config.max_events,
            "name": kept.name,
            "digest": hashlib.sha1(kept.body, usedforsecurity=False).hexdigest(),
            "seen": kept.slot_ms,
            "last": firing.last_ms,
            "coming": firing.next_ms,
        }
        outcome, next_ms, *codes = await self._engine.call(
            "fire", once, entries(jobs, 0, config.compress_above_bytes)
        )
        return Fired(outcome.decode(), None if next_ms < 0 else next_ms, [code.decode() for code in codes])

    async def _read(self, which: str) -> Page:
        reply = await self._engine.call("timetable", {"which": which, "most": BATCH})
        kept = [
            Kept(
                reply[at].decode(),
                reply[at + 1],
                _number(reply[at + 2]),
                _number(reply[at + 3]),
                bool(reply[at + 4]),
            )
            for at in range(2, len(reply), _WIDTH)
        ]
        return Page(reply[0], None if reply[1] < 0 else reply[1], kept)

    async def _act_from(self, action: Action, schedule: Schedule, body: bytes, page: Page) -> str:
        last_ms = page.kept[0].last_ms if page.kept else None
        coming = schedule.slots.after(max(page.now_ms, last_ms or 0) // 1000)
        return await self._act(action, schedule.name, body, coming * 1000, begins_paused=schedule.paused)

    async def _act(
        self, action: Action, name: str, body: bytes = b"", coming_ms: int = 0, *, begins_paused: bool = False
    ) -> str:
        entry = (action, name, body, coming_ms, "1" if begins_paused else "")
        codes = await self._engine.call("schedule", {}, [entry])
        return str(codes[0].decode())


def _number(raw: bytes) -> int | None:
    return int(float(raw)) if raw else None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
