"""Cancellations and new schedules, heard at the moment in which they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.store.engine import Engine
from penstock.store.listener import Listener
from penstock.worker.holdings import Holdings


class Calls:
    """Stops a running job when its cancellation is called out; a call that is lost comes with the beat."""

    def __init__(self, engine: Engine, holdings: Holdings, schedules_changed: Callable[[], None]) -> None:
        """Hear the queue of ``engine`` for what is in ``holdings``, and for schedules put or changed."""
        self._holdings = holdings
        self._listener = Listener(engine)
        self._listener.on("cancel", self._cancel)
        self._listener.on("schedule", lambda _: schedules_changed())
        self._opening: asyncio.Task[bool] | None = None

    def start(self) -> list[asyncio.Task[bool]]:
        """Begin to hear; returns the task that connects, which nobody need wait for."""
        self._opening = asyncio.get_running_loop().create_task(self._listener.start(), name="penstock-calls")
        return [self._opening]

    async def stop(self) -> None:
        """Hear nothing more."""
        await self._listener.stop()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    def _cancel(self, told: str) -> None:
        job_id, _, lease = told.partition(" ")
        self._holdings.stop(job_id, "cancel", lease)
