"""The promoter: moves delayed, retrying and sleeping jobs to where workers find them when they are due."""

from __future__ import annotations

import asyncio
import logging

from penstock.core.errors import PenstockError
from penstock.store.crossings import Ferry
from penstock.store.engine import Engine

logger = logging.getLogger("penstock.worker")


class Promoter:
    """Looks every ``poll_interval_ms``, and exactly when the next job is known to be due."""

    def __init__(self, engine: Engine, ferry: Ferry) -> None:
        """Promote through ``engine``; ``ferry`` tells endings to children on other queues."""
        self._engine = engine
        self._ferry = ferry
        self._interval_ms = engine.config.poll_interval_ms
        self._sooner = asyncio.Event()
        self._next_ms = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Begin promoting; returns the task that does."""
        self._task = asyncio.get_running_loop().create_task(self.run(), name="penstock-promoter")
        return [self._task]

    def expect(self, due_in_ms: int) -> None:
        """A job is due in ``due_in_ms``: look then, if that is sooner than planned."""
        if due_in_ms < self._next_ms:
            self._next_ms = due_in_ms
            self._sooner.set()

    async def run(self) -> None:
        """Promote for ever."""
        while True:
            self._sooner.clear()
            try:
                _, due_ms, crossings = await self._engine.promote()
                if crossings:
                    await self._ferry.carry()
            except PenstockError as error:
                logger.warning("promoter: %s; trying again", error)
                due_ms = None
            self._next_ms = self._interval_ms if due_ms is None else min(due_ms, self._interval_ms)
            await self._pause()

    async def stop(self) -> None:
        """Stop promoting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _pause(self) -> None:
        while self._next_ms > 0:
            try:
                async with asyncio.timeout(self._next_ms / 1000):
                    await self._sooner.wait()
            except TimeoutError:
                return
            self._sooner.clear()
