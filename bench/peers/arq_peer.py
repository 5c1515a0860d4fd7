"""arq on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker
from player import OPTIONS, PAYLOAD, TALLY, Player, Producer, hangs, run_fast

TOGETHER = 200
SETTINGS = RedisSettings.from_dsn(OPTIONS["url"])
POLL_SECONDS = 0.01


async def noop(ctx: Any, text: str) -> None:
    """Nothing."""
    TALLY.count()


async def hang(ctx: Any, marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        await asyncio.Event().wait()


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """One connection pool."""
    pool = await create_pool(SETTINGS, default_queue_name=OPTIONS["queue"])

    async def one() -> None:
        await pool.enqueue_job("noop", **PAYLOAD)

    async def many(how_many: int) -> None:
        for done in range(0, how_many, TOGETHER):
            await asyncio.gather(*(one() for _ in range(min(TOGETHER, how_many - done))))

    async def hang_once(marker: str) -> None:
        await pool.enqueue_job("hang", marker)

    try:
        yield Producer(one, many, hang_once)
    finally:
        await pool.aclose()


async def _work() -> None:
    fast = (
        {}
        if OPTIONS.get("defaults")
        else {"poll_delay": POLL_SECONDS, "keep_result": 0, "log_results": False}
    )
    worker = Worker(
        [noop, hang],
        queue_name=OPTIONS["queue"],
        redis_settings=SETTINGS,
        max_jobs=OPTIONS["concurrency"],
        **fast,
    )
    await worker.async_run()


def work() -> None:
    """Its Worker on uvloop."""
    run_fast(_work())


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("arq", "redis", "hiredis", "uvloop"),
    setting="poll_delay=0.01 (default 0.5), keep_result=0, Worker(max_jobs=<concurrency>) on uvloop; no bulk "
    "enqueue, so 200 calls side by side",
)
