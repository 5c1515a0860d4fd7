"""The ground that everything is measured on: one server, names of our own, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from redis.asyncio import Redis

from penstock import Job, RedisStreamsQueue, create_redis_queue
from penstock.core.config import QueueConfig
from penstock.core.names import new_nonce

PAYLOAD = {"text": "x" * 139}
"""150 bytes of JSON."""

_DELETED_AT_ONCE = 1000


@dataclass(slots=True)
class Arena:
    """A server, and a key prefix that no other program uses, so that a server in use is safe too."""

    url: str
    prefix: str = field(default_factory=lambda: f"penstock-bench-{new_nonce()}:")
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def new_name(self) -> str:
        """A queue or stream name that was not used before."""
        return f"bench-{next(self._numbers)}"

    def stream_of(self, queue_name: str) -> str:
        """The key that a queue's jobs of normal priority travel on; the raw baseline uses the same."""
        return f"{self.prefix}{{{queue_name}}}:stream"

    def environment(self) -> dict[str, str]:
        """What a worker process needs to find this ground; the url may hold a password."""
        return {**os.environ, "PENSTOCK_REDIS_URL": self.url, "PENSTOCK_KEY_PREFIX": self.prefix}

    @asynccontextmanager
    async def queue(self, name: str) -> AsyncIterator[RedisStreamsQueue]:
        """One of our queues, opened."""
        config = QueueConfig(key_prefix=self.prefix)
        queue = await create_redis_queue(self.url, queue_name=name, config=config)
        try:
            yield queue
        finally:
            await queue.close()

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Any]:
        """A bare redis-py client, as anyone would open it."""
        client = Redis.from_url(self.url, protocol=2)
        try:
            yield client
        finally:
            await client.aclose()

    async def clear(self) -> None:
        """Delete every key of ours."""
        async with self.raw() as client:
            found: list[bytes] = []
            async for key in client.scan_iter(match=f"{self.prefix}*", count=_DELETED_AT_ONCE):
                found.append(key)
                if len(found) == _DELETED_AT_ONCE:
                    await client.unlink(*found)
                    found.clear()
            if found:
                await client.unlink(*found)


def new_jobs(how_many: int, *, record: bool = False, kind: str = "noop") -> list[Job]:
    """Jobs with a payload of 150 bytes."""
    return [Job(payload=PAYLOAD, type=kind, record=record) for _ in range(how_many)]
