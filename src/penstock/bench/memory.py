"""What a waiting job takes in the server's memory.

The growth of ``used_memory`` over many jobs of 150 bytes, divided by them, on a server of its own
with the server's default settings; for Penstock again with the ``hash-max-listpack-value`` that it
recommends.
"""

from __future__ import annotations

from penstock.bench.arena import Arena
from penstock.bench.processes import ask
from penstock.bench.systems import System

SERVER_DEFAULTS = {"appendonly": "no", "hash-max-listpack-value": "64"}
LISTPACK_SETTING = "hash-max-listpack-value"
RECOMMENDED_LISTPACK_VALUE = 2048
FILL_SECONDS = 60.0
_FIRST = 100


async def measure(arena: Arena, system: System, how_many: int) -> float:
    """Bytes a job. ``arena`` is a server that nobody else uses."""
    options = {"queue": arena.new_queue()}
    # Scripts and connection buffers stay: the first jobs make them, only the others are measured.
    await ask(arena, system, "fill", options | {"how_many": _FIRST}, FILL_SECONDS)
    await arena.clear()
    async with arena.client() as client:
        before = int((await client.info("memory"))["used_memory"])
        await ask(arena, system, "fill", options | {"how_many": how_many}, FILL_SECONDS)
        grown = int((await client.info("memory"))["used_memory"]) - before
    await arena.clear()
    return grown / how_many


async def measure_tuned(arena: Arena, system: System, how_many: int) -> float:
    """The same with the recommended setting."""
    async with arena.client() as client:
        await client.config_set(LISTPACK_SETTING, RECOMMENDED_LISTPACK_VALUE)
        try:
            return await measure(arena, system, how_many)
        finally:
            await client.config_set(LISTPACK_SETTING, SERVER_DEFAULTS[LISTPACK_SETTING])
