"""The queue that running code belongs to, so that what it enqueues goes the same way."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import NamedTuple

from penstock.store.streams import RedisStreamsQueue


class CurrentQueue(NamedTuple):
    """A queue and the event loop in which its connections live."""

    queue: RedisStreamsQueue
    loop: asyncio.AbstractEventLoop


#: Set by a worker for the handlers that it runs, and by ``penstock.connect`` for its block. Contexts
#: are copied into threads and other loops, where the connections of the queue cannot be used.
current_queue: ContextVar[CurrentQueue | None] = ContextVar("current_queue", default=None)
