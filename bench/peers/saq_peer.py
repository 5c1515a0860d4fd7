"""SAQ on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from player import OPTIONS, PAYLOAD, TALLY, Player, Producer, hangs, run_fast
from saq import Queue, Worker

TOGETHER = 200
AT_ONCE = 200


async def noop(ctx: Any, *, text: str) -> None:
    """Nothing."""
    TALLY.count()


async def hang(ctx: Any, *, marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        await asyncio.Event().wait()


def connect() -> Any:
    """Lets more commands at once than the default of 20, where settings are ours."""
    wide = {} if OPTIONS.get("defaults") else {"max_concurrent_ops": AT_ONCE}
    return Queue.from_url(OPTIONS["url"], name=OPTIONS["queue"], **wide)


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """One queue object."""
    queue = connect()
    await queue.connect()
    # No result or record is kept after the end.
    kept = {} if OPTIONS.get("defaults") else {"ttl": -1}

    async def one() -> None:
        await queue.enqueue("noop", **PAYLOAD, **kept)

    async def many(how_many: int) -> None:
        for done in range(0, how_many, TOGETHER):
            await asyncio.gather(*(one() for _ in range(min(TOGETHER, how_many - done))))

    async def hang_once(marker: str) -> None:
        await queue.enqueue("hang", marker=marker, retries=3)

    try:
        yield Producer(one, many, hang_once)
    finally:
        await queue.disconnect()


async def _work() -> None:
    queue = connect()
    await queue.connect()
    worker: Any = Worker(queue, functions=[noop, hang], concurrency=OPTIONS["concurrency"])
    await worker.start()


def work() -> None:
    """Its Worker on uvloop."""
    run_fast(_work())


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("saq", "redis", "hiredis", "uvloop"),
    setting="ttl=-1 (nothing kept), max_concurrent_ops=200, Worker(concurrency=<concurrency>) on uvloop; no "
    "bulk enqueue, so 200 calls side by side; recovery with retries=3, as its default of 1 gives up",
)
