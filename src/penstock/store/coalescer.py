"""The coalescer: calls made at the same time in one event loop, sent together.

A call that is alone goes out at once, from its caller's own task. Calls that come while one is on
its way wait for it and then go out as one batch, in the order in which they were made.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from penstock.core.errors import PenstockError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Sends items through ``send``, which answers one ``Answer`` or error an item, in the same order.

    Each caller gets its own answer, or an error of its own. A cancelled caller harms no other: what
    has not been sent is withdrawn, what is on its way takes effect.
    """

    def __init__(
        self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | PenstockError]]], most: int = 256
    ) -> None:
        """Send at most ``most`` items at once."""
        self._send = send
        self._most = most
        self._busy = False
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """Send ``item``, alone or with others, and return its answer; raise its error."""
        if self._busy:
            return await self._join(item)
        self._busy = True
        try:
            answer = (await self._send((item,)))[0]
        finally:
            self._busy = False
            if self._waiting:
                self._begin_drain()
        if isinstance(answer, PenstockError):
            raise answer
        return answer

    async def close(self) -> None:
        """Wait until everything that callers wait for has been answered."""
        while self._drain is not None:
            await asyncio.gather(self._drain, return_exceptions=True)

    async def _join(self, item: Item) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        return await answer

    def _begin_drain(self) -> None:
        self._busy = True
        self._drain = asyncio.get_running_loop().create_task(self._send_waiting(), name="penstock-coalescer")

    async def _send_waiting(self) -> None:
        try:
            while batch := self._next_batch():
                await self._send_batch(batch)
        finally:
            self._busy = False
            self._drain = None
            # Not empty only when this task was cancelled, as at the end of a loop.
            for _, answer in self._waiting:
                answer.cancel()
            self._waiting.clear()

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._most:
            item, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((item, answer))
        return batch

    async def _send_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._send([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(_own(error))
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, PenstockError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _own(error: Exception) -> Exception:
    """An error of one caller's own: a shared one would gather the tracebacks of all."""
    try:
        copy = type(error)(*error.args)
    except TypeError:
        return error
    copy.__cause__ = error.__cause__ or error
    return copy
