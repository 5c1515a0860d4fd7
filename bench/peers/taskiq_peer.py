"""taskiq on Redis Streams (taskiq-redis)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from player import OPTIONS, PAYLOAD, TALLY, Player, Producer, become, hangs
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

TOGETHER = 200
broker = RedisStreamBroker(OPTIONS["url"], queue_name=OPTIONS["queue"], consumer_id="0")
broker = broker.with_serializer(ORJSONSerializer())


@broker.task(task_name="noop")
async def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


@broker.task(task_name="hang")
async def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        await asyncio.Event().wait()


async def one() -> None:
    """One job."""
    await noop.kiq(**PAYLOAD)


async def many(how_many: int) -> None:
    """There is no enqueue in bulk: many calls side by side."""
    for done in range(0, how_many, TOGETHER):
        await asyncio.gather(*(noop.kiq(**PAYLOAD) for _ in range(min(TOGETHER, how_many - done))))


async def hang_once(marker: str) -> None:
    """The job that hangs."""
    await hang.kiq(marker)


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """The broker's own connection."""
    await broker.startup()
    try:
        yield Producer(one, many, hang_once)
    finally:
        await broker.shutdown()


def work() -> None:
    """The command with one worker process, which runs on uvloop by itself."""
    words = ["worker", "taskiq_peer:broker", "--workers", "1", "--log-level", "ERROR"]
    words += ["--max-async-tasks", str(OPTIONS["concurrency"])]
    if not OPTIONS.get("defaults"):
        words += ["--no-parse", "--ack-type", "when_executed", "--max-prefetch", str(OPTIONS["concurrency"])]
    become("taskiq", *words)


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("taskiq-redis", "taskiq", "redis", "hiredis", "uvloop", "orjson"),
    setting="RedisStreamBroker, ORJSONSerializer, no result backend, `taskiq worker --workers 1 --no-parse "
    "--ack-type when_executed --max-async-tasks <concurrency> --max-prefetch <concurrency>`; no bulk "
    "enqueue, so 200 calls side by side",
)
