"""The queue that code started by a worker belongs to, so that what it enqueues goes the same way."""

from __future__ import annotations

from contextvars import ContextVar

from penstock.store.streams import RedisStreamsQueue

#: Set by a worker for the handlers that it runs, and by ``penstock.connect`` for its block.
current_queue: ContextVar[RedisStreamsQueue | None] = ContextVar("current_queue", default=None)
