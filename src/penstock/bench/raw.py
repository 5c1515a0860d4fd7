"""The raw baseline: what redis-py can do at best, without any bookkeeping."""

from __future__ import annotations

from typing import Any

from penstock.bench.arena import PAYLOAD
from penstock.core.codec import encode_payload

GROUP = "raw"
PIPELINED = 500
ENTRY = {"payload": encode_payload(PAYLOAD)}
SCRIPT = "return redis.call('XADD', KEYS[1], '*', 'payload', ARGV[1])"


def stamps_of(stream: str) -> str:
    """The list that the role ``stamp`` writes to."""
    return f"{stream}:stamps"


async def fill(client: Any, stream: str, how_many: int) -> None:
    """Add entries in pipelines."""
    left = how_many
    while left:
        batch = min(left, PIPELINED)
        pipe = client.pipeline(transaction=False)
        for _ in range(batch):
            pipe.xadd(stream, ENTRY)
        await pipe.execute()
        left -= batch
