"""The raw baseline's worker, a process of its own.

``python -m penstock.bench.raw_worker ROLE STREAM COUNT``, the server's url in the environment. The
role ``drain`` reads COUNT entries at a time in a consumer group, then acknowledges and deletes them
in one pipeline: nothing is run, leased, counted or remembered. The role ``stamp`` waits for one
entry at a time and pushes the moment at which it came to ``STREAM:stamps``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import redis
from redis.asyncio import Redis

from penstock.bench.raw import GROUP, stamps_of

BLOCK_MS = 1000


async def drain(client: Any, stream: str, at_once: int) -> None:
    """Read, acknowledge and delete for ever."""
    consumer = f"raw-{os.getpid()}"
    while True:
        answer = await client.xreadgroup(GROUP, consumer, {stream: ">"}, count=at_once, block=BLOCK_MS)
        if answer:
            ids = [entry[0] for entry in answer[0][1]]
            pipe = client.pipeline(transaction=False)
            pipe.xack(stream, GROUP, *ids)
            pipe.xdel(stream, *ids)
            await pipe.execute()


async def stamp(client: Any, stream: str) -> None:
    """Wait for one entry, note the moment, and tell it, for ever."""
    consumer = f"raw-{os.getpid()}"
    while True:
        answer = await client.xreadgroup(GROUP, consumer, {stream: ">"}, count=1, block=BLOCK_MS)
        if answer:
            came = time.monotonic()
            ids = [entry[0] for entry in answer[0][1]]
            pipe = client.pipeline(transaction=False)
            pipe.rpush(stamps_of(stream), came)
            pipe.xack(stream, GROUP, *ids)
            pipe.xdel(stream, *ids)
            await pipe.execute()


async def join(client: Any, stream: str) -> None:
    """Make the consumer group if another worker has not."""
    try:
        await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    except redis.exceptions.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


async def _work(role: str, stream: str, at_once: int) -> None:
    client = Redis.from_url(os.environ["PENSTOCK_REDIS_URL"], protocol=2)
    await join(client, stream)
    try:
        await (drain(client, stream, at_once) if role == "drain" else stamp(client, stream))
    except redis.exceptions.RedisError:
        # The stream is deleted or the server gone: the measurement is over.
        await client.aclose()


def main() -> None:
    """Run as a module; started by the benchmark only."""
    role, stream, at_once = sys.argv[1:]
    work = _work(role, stream, int(at_once))
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
