"""BullMQ's Python port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bullmq import Queue, Worker
from player import OPTIONS, PAYLOAD, TALLY, Player, Producer, hangs, run_fast

TOGETHER = 500
KEPT = {} if OPTIONS.get("defaults") else {"removeOnComplete": True, "removeOnFail": True}


async def process(job: Any, token: str) -> None:
    """Nothing, or wait for ever the first time."""
    if job.name == "noop":
        TALLY.count()
    elif hangs(job.data["marker"]):
        await asyncio.Event().wait()


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """One queue object."""
    queue = Queue(OPTIONS["queue"], {"connection": OPTIONS["url"]})

    async def one() -> None:
        await queue.add("noop", PAYLOAD, KEPT)

    async def many(how_many: int) -> None:
        for done in range(0, how_many, TOGETHER):
            share = min(TOGETHER, how_many - done)
            await queue.addBulk([{"name": "noop", "data": PAYLOAD, "opts": dict(KEPT)} for _ in range(share)])

    async def hang_once(marker: str) -> None:
        await queue.add("hang", {"marker": marker}, {})

    try:
        yield Producer(one, many, hang_once)
    finally:
        await queue.close()


async def _work() -> None:
    Worker(OPTIONS["queue"], process, {"connection": OPTIONS["url"], "concurrency": OPTIONS["concurrency"]})
    await asyncio.Event().wait()


def work() -> None:
    """Its Worker on uvloop."""
    run_fast(_work())


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("bullmq", "redis", "hiredis", "uvloop"),
    setting="removeOnComplete, Worker(concurrency=<concurrency>) on uvloop; bulk with addBulk of 500",
)
