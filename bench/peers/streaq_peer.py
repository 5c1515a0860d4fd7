"""streaq on Redis Streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from player import OPTIONS, PAYLOAD, TALLY, Player, Producer, hangs
from streaq import Worker

TOGETHER = 500
FAST = {} if OPTIONS.get("defaults") else {"serializer": json.dumps, "deserializer": json.loads}
worker: Any = Worker(
    redis_url=OPTIONS["url"],
    queue_name=OPTIONS["queue"],
    concurrency=OPTIONS.get("concurrency", 16),
    anyio_kwargs={"use_uvloop": True},
    **FAST,
)
KEPT = {} if OPTIONS.get("defaults") else {"ttl": 0, "silent": True}


@worker.task(**KEPT)
async def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


@worker.task(**KEPT)
async def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        await asyncio.Event().wait()


async def one() -> None:
    """One job."""
    await noop.enqueue(**PAYLOAD)


async def many(how_many: int) -> None:
    """Pipelines of 500."""
    for done in range(0, how_many, TOGETHER):
        share = min(TOGETHER, how_many - done)
        await worker.enqueue_many([noop.enqueue(**PAYLOAD) for _ in range(share)])


async def hang_once(marker: str) -> None:
    """The job that hangs."""
    await hang.enqueue(marker)


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """The worker object is also the client."""
    async with worker:
        yield Producer(one, many, hang_once)


def work() -> None:
    """Its Worker on uvloop."""
    worker.run_sync()


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("streaq", "coredis", "uvloop"),
    setting="JSON instead of pickle, ttl=0 (no result kept), silent, Worker(concurrency=<concurrency>) on "
    "uvloop; bulk with enqueue_many of 500",
)
