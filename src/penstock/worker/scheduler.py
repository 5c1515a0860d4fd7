"""The scheduler: makes the jobs of schedules when their slots come, and of missed slots as they ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from penstock.core.errors import InvalidJobError, InvalidScheduleError, PenstockError
from penstock.core.schedule import (
    Schedule,
    by_name,
    due_slots,
    job_at,
    newest_slot,
)
from penstock.store.script_calls import BATCH
from penstock.store.streams import RedisStreamsQueue
from penstock.store.timetable import Fired, Firing, Kept, Timetable

POLL_MS = 5000
MOVED_CLOCK_POLL_SECONDS = 0.01

logger = logging.getLogger("penstock.worker")


class Scheduler:
    """Looks exactly when the next slot comes, and every five seconds for schedules put meanwhile.

    Any number may run on a queue: each slot makes its job once, whoever is first.
    """

    def __init__(self, queue: RedisStreamsQueue, schedules: Sequence[Schedule] = ()) -> None:
        """Fire the schedules of ``queue``, and put ``schedules`` at the start."""
        self._queue = queue
        self._own = by_name(schedules)
        self._engine = queue.engine
        self._timetable = Timetable(queue.engine)
        self._unreadable: set[bytes] = set()
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Put the schedules it was given, and make the jobs of slots that have come."""
        for schedule in self._own.values():
            if await self._queue.schedules.put(schedule):
                logger.info("scheduler: put %s: %s (%s)", schedule.name, schedule.cron, schedule.zone)
        await self.fire_due()

    def start(self) -> list[asyncio.Task[None]]:
        """Begin looking; returns the task that does."""
        self._task = asyncio.get_running_loop().create_task(self.run(), name="penstock-scheduler")
        return [self._task]

    def wake(self) -> None:
        """Look now: schedules have changed."""
        self._sooner.set()

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            self._sooner.clear()
            looked_at_ms = self._engine.clock.script_time_ms()
            try:
                next_ms = await self.fire_due()
            except PenstockError as error:
                logger.warning("scheduler: %s; trying again", error)
                next_ms = None
            wait_ms = POLL_MS if next_ms is None else min(next_ms, POLL_MS)
            if looked_at_ms is None:
                await self._wait(wait_ms / 1000)
            else:
                await self._wait_for_moved_clock(looked_at_ms + wait_ms)

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def fire_due(self) -> int | None:
        """Make the jobs of all slots that have come; returns the time in ms until the next one, if any."""
        page = await self._timetable.due()
        next_ms, is_stuck = page.next_ms, False
        for kept in page.kept:
            fired = await self._fire(kept, page.now_ms // 1000)
            if fired is None or fired.outcome == "backlog":
                is_stuck = True
            else:
                next_ms = fired.next_ms
        # What cannot be dealt with now stays due, and is not to be looked at without a pause.
        return POLL_MS if is_stuck else next_ms

    async def _fire(self, kept: Kept, now: int) -> Fired | None:
        fired = None
        try:
            schedule = kept.schedule()
            for firing in firings(schedule, kept, now):
                fired = await self._timetable.fire(firing)
                _note(schedule, fired)
                if fired.outcome != "fired":
                    break
        except (InvalidScheduleError, InvalidJobError) as error:
            if kept.body not in self._unreadable:
                self._unreadable.add(kept.body)
                logger.error("scheduler: %s makes no jobs: %s", kept.name, error)
            return None
        return fired

    async def _wait(self, seconds: float) -> bool:
        """Sleep until woken, at most that long; whether it was woken."""
        try:
            async with asyncio.timeout(seconds):
                await self._sooner.wait()
        except TimeoutError:
            return False
        return True

    async def _wait_for_moved_clock(self, until_ms: int) -> None:
        """Sleep until a clock that others move shows that time; as long as it stands still, look on."""
        looks = round(POLL_MS / 1000 / MOVED_CLOCK_POLL_SECONDS)
        for _ in range(looks):
            now_ms = self._engine.clock.script_time_ms()
            if now_ms is None or now_ms >= until_ms or await self._wait(MOVED_CLOCK_POLL_SECONDS):
                return


def firings(schedule: Schedule, kept: Kept, now: int) -> list[Firing]:
    """The steps that bring a due schedule up to ``now`` (seconds since the epoch), at most 64 jobs each."""
    first = (kept.slot_ms or 0) // 1000
    due = due_slots(schedule, first, now)
    steps: list[Firing] = []
    for at in range(0, max(len(due), 1), BATCH):
        batch, rest = due[at : at + BATCH], due[at + BATCH :]
        last = batch[-1] if rest else newest_slot(schedule, first, now)
        coming = rest[0] if rest else schedule.slots.after(now)
        steps.append(Firing(kept, [job_at(schedule, slot) for slot in batch], last * 1000, coming * 1000))
        kept = kept._replace(slot_ms=coming * 1000)
    return steps


def _note(schedule: Schedule, fired: Fired) -> None:
    if fired.outcome == "backlog":
        logger.warning("scheduler: %s waits: the events stream is full; is a keeper running?", schedule.name)
    for code in fired.codes:
        if code not in ("ok", "kept"):
            logger.info("scheduler: a slot of %s made no job: %s", schedule.name, code)
