"""Queues for the running event loop: connections live in one loop and are closed with it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Hashable
from typing import Final

from penstock.core.config import get_queue_config
from penstock.store.connect import another_client, open_client
from penstock.store.streams import RedisStreamsQueue
from penstock.worker.current import CurrentQueue, current_queue


async def queue_here(origin: CurrentQueue | None = None) -> RedisStreamsQueue:
    """The queue that this code belongs to, over connections of the running loop.

    ``origin`` wins over the one that a worker or ``connect`` has set. Without either it is a queue of
    the configuration in force, opened by the first who asks in this loop. What is opened here is
    closed when the loop's asynchronous generators are shut down, as ``asyncio.run`` does.
    """
    origin = origin or current_queue.get()
    loop = asyncio.get_running_loop()
    if origin is not None and origin.loop is loop:
        return origin.queue
    queues = _by_loop.get(loop)
    if queues is None:
        queues = _by_loop[loop] = _LoopQueues()
        await queues.close_with_loop()
    return queues.like(None if origin is None else origin.queue)


class _LoopQueues:
    """What was opened for one loop, by what it was opened like."""

    def __init__(self) -> None:
        self._opened: dict[Hashable, RedisStreamsQueue] = {}
        self._end: AsyncGenerator[None, None] | None = None

    def like(self, origin: RedisStreamsQueue | None) -> RedisStreamsQueue:
        key: Hashable = get_queue_config() if origin is None else id(origin)
        found = self._opened.get(key)
        if found is None:
            found = self._opened[key] = _configured() if origin is None else _twin(origin)
            if origin is not None:
                weakref.finalize(origin, _let_go, asyncio.get_running_loop(), self._opened, key)
        return found

    async def close_with_loop(self) -> None:
        self._end = self._wait_for_end()
        await anext(self._end)

    async def _wait_for_end(self) -> AsyncGenerator[None, None]:
        """Paused until the loop closes its generators: the one thing that a loop says about its end."""
        try:
            yield
        finally:
            while self._opened:
                await _close(self._opened.popitem()[1])


_by_loop: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopQueues]] = (
    weakref.WeakKeyDictionary()
)
_closing: Final[set[asyncio.Task[None]]] = set()


def _configured() -> RedisStreamsQueue:
    config = get_queue_config()
    return RedisStreamsQueue(open_client(config.redis_url), config=config)


def _twin(origin: RedisStreamsQueue) -> RedisStreamsQueue:
    return RedisStreamsQueue(
        another_client(origin.client),
        origin.consumer_name,
        origin.config,
        queue_name=origin.queue_name,
        timings=origin.timings,
        clock=origin.clock,
    )


def _let_go(
    loop: asyncio.AbstractEventLoop, opened: dict[Hashable, RedisStreamsQueue], key: Hashable
) -> None:
    """The queue that this one was like is gone; may be called in any thread."""
    queue = opened.pop(key, None)
    if queue is None or loop.is_closed():
        return
    loop.call_soon_threadsafe(_close_soon, loop, queue)


def _close_soon(loop: asyncio.AbstractEventLoop, queue: RedisStreamsQueue) -> None:
    task = loop.create_task(_close(queue))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close(queue: RedisStreamsQueue) -> None:
    await queue.close()
    # Given to the queue by us, so that it did not close it.
    await queue.client.aclose()
