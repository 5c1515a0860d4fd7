"""``queue.schedules``: what comes again and again on a queue, put, looked at and changed at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import ScheduleNotFoundError
from penstock.core.schedule import Schedule, ScheduleState, check_schedule_name, job_now
from penstock.store.timetable import Timetable

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue


class Schedules:
    """The schedules of one queue. Any worker of the queue fires them, each slot once.

    A schedule stays until it is removed, also when no code names it any more. Every verb raises
    ``QueueUnavailableError`` while the server cannot be used.
    """

    def __init__(self, queue: RedisStreamsQueue) -> None:
        """Look after the schedules of ``queue``."""
        self._queue = queue
        self._timetable = Timetable(queue.engine)

    async def put(self, schedule: Schedule) -> bool:
        """Keep ``schedule`` under its name, in place of an older one; ``False`` if it was there unchanged.

        Its next slot is the first to come. Unchanged, it keeps its next slot; and whether it is paused
        stays as it is in any case, so that workers may put their schedules at each start. It is kept on
        the queue that it names, if it names one.
        """
        home = self._queue
        if schedule.queue_name not in (None, home.queue_name):
            home = home.on_queue(schedule.queue_name or "")
        await home.prepare()
        return await Timetable(home.engine).keep(schedule)

    async def list(self) -> list[ScheduleState]:
        """All schedules by name; raises ``InvalidScheduleError`` for one that is damaged."""
        return [kept.state() for kept in (await self._timetable.all()).kept]

    async def get(self, name: str) -> ScheduleState | None:
        """One schedule and how it stands, or ``None``."""
        page = await self._timetable.one(check_schedule_name(name))
        return page.kept[0].state() if page.kept else None

    async def pause(self, name: str) -> None:
        """Make no jobs until ``resume``; raises ``ScheduleNotFoundError`` if there is none of this name."""
        if not await self._timetable.pause(check_schedule_name(name)):
            raise self._missing(name)

    async def resume(self, name: str) -> None:
        """Go on with the first slot to come: those of the pause are not made up for.

        Raises ``ScheduleNotFoundError`` if there is none of this name.
        """
        if not await self._timetable.resume(check_schedule_name(name)):
            raise self._missing(name)

    async def remove(self, name: str) -> None:
        """Forget a schedule; its jobs stay.

        Raises ``ScheduleNotFoundError`` if there is none of this name.
        """
        if not await self._timetable.remove(check_schedule_name(name)):
            raise self._missing(name)

    async def run_now(self, name: str) -> str:
        """Enqueue a job of the schedule apart from its slots, paused or not, and return its id.

        Raises ``ScheduleNotFoundError`` if there is none of this name.
        """
        state = await self.get(name)
        if state is None:
            raise self._missing(name)
        return await self._queue.enqueue(job_now(state.schedule))

    def _missing(self, name: str) -> ScheduleNotFoundError:
        return ScheduleNotFoundError(
            f"queue {self._queue.queue_name} has no schedule {name!r}; "
            "`penstock schedule list` shows those it has"
        )
