"""The ground that everything is measured on: one server, names of our own, nothing left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from penstock.core.names import new_nonce
from penstock.store.embedded import EmbeddedValkey

_DELETED_AT_ONCE = 1000


@dataclass(slots=True)
class Arena:
    """A server, and a key prefix that no other program uses, so that a server in use is safe too."""

    url: str
    directory: Path
    is_ours: bool
    prefix: str = field(default_factory=lambda: f"penstock-bench-{new_nonce()}:")
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def new_queue(self) -> str:
        """A queue name that was not used before."""
        return f"bench-{next(self._numbers)}"

    def new_tally(self) -> Path:
        """An empty directory in which handlers count."""
        return Path(tempfile.mkdtemp(prefix="tally-", dir=self.directory))

    def environment(self) -> dict[str, str]:
        """What a process needs to find this ground; the url may hold a password."""
        return {**os.environ, "PENSTOCK_REDIS_URL": self.url, "PENSTOCK_KEY_PREFIX": self.prefix}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """A bare client for looking at the server."""
        client = Redis.from_url(self.url, protocol=2)
        try:
            yield client
        finally:
            await client.aclose()

    async def clear(self) -> None:
        """Delete every key of ours; on a server of ours, every key."""
        async with self.client() as client:
            if self.is_ours:
                # Newer servers free memory in the background unless told to wait for it.
                await client.execute_command("FLUSHALL", "SYNC")
                return
            found: list[bytes] = []
            async for key in client.scan_iter(match=f"{self.prefix}*", count=_DELETED_AT_ONCE):
                found.append(key)
                if len(found) == _DELETED_AT_ONCE:
                    await client.unlink(*found)
                    found.clear()
            if found:
                await client.unlink(*found)


@asynccontextmanager
async def ground(
    redis_url: str | None, directory: Path, settings: dict[str, str] | None = None
) -> AsyncIterator[Arena]:
    """An embedded server kept under ``directory``, or the one at ``redis_url``, which keeps what it holds."""
    tallies = directory / "tallies"
    tallies.mkdir(parents=True)
    if redis_url is not None:
        arena = Arena(redis_url, tallies, is_ours=False)
        try:
            yield arena
        finally:
            await arena.clear()
        return
    async with EmbeddedValkey(directory / "server", settings=settings) as server:
        yield Arena(server.url, tallies, is_ours=True)
