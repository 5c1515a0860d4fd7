"""What a waiting job takes in the server's memory.

The growth of ``used_memory`` over many jobs of 150 bytes, divided by them, on a server of its own
with the server's default settings, and again with the ``hash-max-listpack-value`` that Penstock
recommends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from penstock.bench import raw
from penstock.bench.arena import Arena, new_jobs

SERVER_DEFAULTS = {"appendonly": "no", "hash-max-listpack-value": "64"}
LISTPACK_SETTING = "hash-max-listpack-value"
RECOMMENDED_LISTPACK_VALUE = 2048


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes a job: Penstock with both settings, and a bare stream entry."""

    default: float
    tuned: float
    raw: float


async def measure(arena: Arena, how_many: int) -> Memory:
    """Fill, look and empty again, three times. ``arena`` is a server that nobody else uses."""
    async with arena.raw() as client:
        default = await _growth(client, lambda: _enqueue(arena, how_many)) / how_many
        bare = await _growth(client, lambda: raw.fill(client, arena.stream_of("raw"), how_many)) / how_many
        await client.config_set(LISTPACK_SETTING, RECOMMENDED_LISTPACK_VALUE)
        tuned = await _growth(client, lambda: _enqueue(arena, how_many)) / how_many
        await client.config_set(LISTPACK_SETTING, SERVER_DEFAULTS[LISTPACK_SETTING])
        return Memory(default, tuned, bare)


async def _enqueue(arena: Arena, how_many: int) -> None:
    async with arena.queue(arena.new_name()) as queue:
        await queue.enqueue_many(new_jobs(how_many))


async def _growth(client: Any, fill: Callable[[], Awaitable[None]]) -> int:
    # Scripts and connection buffers stay: the first call makes them, only the second is measured.
    await fill()
    await _empty(client)
    before = int((await client.info("memory"))["used_memory"])
    await fill()
    grown = int((await client.info("memory"))["used_memory"]) - before
    await _empty(client)
    return grown


async def _empty(client: Any) -> None:
    # Newer servers free memory in the background unless told to wait for it.
    await client.execute_command("FLUSHALL", "SYNC")
