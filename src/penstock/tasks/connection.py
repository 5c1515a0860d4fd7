"""``connect``: which server and settings the tasks enqueued within a block use."""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import Token
from types import TracebackType
from typing import Self

from penstock.core.config import QueueConfig
from penstock.core.errors import ConfigurationError
from penstock.store.streams import RedisStreamsQueue, create_redis_queue
from penstock.worker.current import CurrentQueue, current_queue


class Connection:
    """Queues over one pool of connections; made by ``connect``."""

    def __init__(self, url: str | None, config: QueueConfig | None, cluster: bool) -> None:
        """Nothing is opened before the block is entered."""
        self._url = url
        self._config = config
        self._cluster = cluster
        self._first: RedisStreamsQueue | None = None
        self._queues: dict[str, RedisStreamsQueue] = {}
        self._token: Token[CurrentQueue | None] | None = None

    def queue(self, name: str = "default") -> RedisStreamsQueue:
        """The queue called ``name``; raises ``ConfigurationError`` outside the block."""
        if self._first is None:
            raise ConfigurationError("this connection is not open: use it inside `async with connect(...)`")
        found = self._queues.get(name)
        if found is None:
            found = self._queues[name] = self._first.on_queue(name)
        return found

    async def __aenter__(self) -> Self:
        """Connect, and have the tasks of this block use the connection."""
        self._first = await create_redis_queue(self._url, config=self._config, cluster=self._cluster)
        self._queues = {self._first.queue_name: self._first}
        self._token = current_queue.set(CurrentQueue(self._first, asyncio.get_running_loop()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let tasks use what they used before, and close the connection."""
        first, self._first = self._first, None
        if self._token is not None:
            # A fixture may leave the block in another context than it entered it in.
            with contextlib.suppress(ValueError):
                current_queue.reset(self._token)
        others = [queue for queue in self._queues.values() if queue is not first]
        self._queues = {}
        if first is not None:
            for queue in (*others, first):
                await queue.close()


def connect(
    url: str | None = None, config: QueueConfig | None = None, *, cluster: bool = False
) -> Connection:
    """A connection for the tasks enqueued within a block.

    ``async with penstock.connect("redis://localhost:6379") as p: await send.enqueue(to="x")``

    ``url`` wins over the configuration's. Entering raises ``QueueUnavailableError`` when the server
    cannot be reached, ``UnsafeServerError`` when it would lose jobs, ``ConfigurationError`` for a
    wrong URL. ``p.queue("name")`` is a queue over the same connection. Outside such a block, tasks
    use the configuration in force, over a connection that each event loop opens for itself.
    """
    return Connection(url, config, cluster)
