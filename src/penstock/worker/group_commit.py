"""Group commit: what piles up while one call is in flight goes out together in the next."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from penstock.core.errors import PenstockError, QueueUnavailableError

Item = TypeVar("Item")
Code = TypeVar("Code")

BATCH = 64
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

logger = logging.getLogger("penstock.worker")


class GroupCommit(Generic[Item, Code]):
    """Sends items in batches, one batch in flight; nothing is dropped while the server is away."""

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Code]]],
        deliver: Callable[[Item, Code], None],
        refuse: Callable[[Item, PenstockError], None],
    ) -> None:
        """``deliver`` gets each item's code, ``refuse`` the error when its batch was refused."""
        self._name = name
        self._send = send
        self._deliver = deliver
        self._refuse = refuse
        self._waiting: deque[Item] = deque()
        self._in_flight: Sequence[Item] = ()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many items have no answer yet."""
        return len(self._waiting) + len(self._in_flight)

    def start(self) -> list[asyncio.Task[None]]:
        """Begin sending; returns the task that does."""
        self._task = asyncio.get_running_loop().create_task(self.run(), name=f"penstock-{self._name}")
        return [self._task]

    def submit(self, item: Item) -> None:
        """Hand over an item; its code arrives through ``deliver``."""
        self._waiting.append(item)
        self._filled.set()
        self._emptied.clear()

    async def run(self) -> None:
        """Send batches for ever."""
        while True:
            await self._filled.wait()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                self._in_flight = batch
                await self._send_until_answered(batch)
                self._in_flight = ()
            self._filled.clear()
            self._emptied.set()

    async def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until every item has its answer; ``False`` if the time ran out first."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Stop sending; what has no answer is left to its lease."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _send_until_answered(self, batch: Sequence[Item]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                codes = await self._send(batch)
            except QueueUnavailableError as error:
                logger.warning("%s: %s; %d waiting, trying again", self._name, error, len(self))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            except PenstockError as error:
                for item in batch:
                    self._refuse(item, error)
                return
            for item, code in zip(batch, codes, strict=True):
                self._deliver(item, code)
            return
