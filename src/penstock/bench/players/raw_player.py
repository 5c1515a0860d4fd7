"""The ceiling: what redis-py can do on a stream without any bookkeeping.

The worker reads up to ``concurrency`` entries at a time in a consumer group, counts them, then
acknowledges and deletes them in one pipeline: nothing is run, leased or remembered. One entry at a
time is added by a script of one XADD, as a system with scripts would, and many in pipelines of 500.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis
from redis.asyncio import Redis

from penstock.bench.players.player import OPTIONS, PAYLOAD, TALLY, Player, Producer, run_fast
from penstock.core.codec import encode_payload

GROUP = "raw"
PIPELINED = 500
BLOCK_MS = 1000
SCRIPT = "return redis.call('XADD', KEYS[1], '*', 'payload', ARGV[1])"


def _stream() -> str:
    # The prefix by which the benchmark finds again what is its own.
    return os.environ.get("PENSTOCK_KEY_PREFIX", "") + str(OPTIONS["queue"])


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """A bare client, as anyone would open it."""
    stream, payload = _stream(), encode_payload(PAYLOAD)
    client: Any = Redis.from_url(OPTIONS["url"], protocol=2)
    script = client.register_script(SCRIPT)
    sha = await client.script_load(script.script)

    async def one() -> None:
        await client.evalsha(sha, 1, stream, payload)

    async def many(how_many: int) -> None:
        for done in range(0, how_many, PIPELINED):
            pipe = client.pipeline(transaction=False)
            for _ in range(min(PIPELINED, how_many - done)):
                pipe.xadd(stream, {"payload": payload})
            await pipe.execute()

    async def hang(marker: str) -> None:
        raise NotImplementedError(marker)

    try:
        yield Producer(one, many, hang)
    finally:
        await client.aclose()


async def _drain(stream: str, at_once: int) -> None:
    client: Any = Redis.from_url(OPTIONS["url"], protocol=2)
    try:
        await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    except redis.exceptions.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    consumer = f"raw-{os.getpid()}"
    while True:
        answer = await client.xreadgroup(GROUP, consumer, {stream: ">"}, count=at_once, block=BLOCK_MS)
        if answer:
            ids = [entry[0] for entry in answer[0][1]]
            TALLY.count(len(ids))
            pipe = client.pipeline(transaction=False)
            pipe.xack(stream, GROUP, *ids)
            pipe.xdel(stream, *ids)
            await pipe.execute()


def work() -> None:
    """Read, acknowledge and delete until killed."""
    run_fast(_drain(_stream(), OPTIONS["concurrency"]))


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("redis", "hiredis", "uvloop"),
    setting="XREADGROUP of up to `concurrency` entries, XACK and XDEL of all of them in one pipeline",
    unable={"recovery": "a bare stream hands nothing on by itself"},
)
