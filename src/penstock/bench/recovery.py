"""How long a dead worker's job waits: from SIGKILL to the first line of its handler elsewhere.

Every system on its own defaults. Two workers are up; one job is enqueued, hangs in one of them, and
that worker is killed with all its processes. All systems are measured side by side, because all they
do meanwhile is wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from penstock.bench.arena import Arena
from penstock.bench.players.player import read_tally
from penstock.bench.processes import MeasureFailedError, WorkerProcess, ask, tree_of, worker
from penstock.bench.systems import System

LOOK_SECONDS = 0.02
BEGIN_SECONDS = 30.0
# A worker process that is started beside many others on few cores takes its time.
SETTLE_SECONDS = 1.5


async def measure(arena: Arena, system: System, beside: int, limit_s: float) -> float:
    """Seconds from the kill to the second attempt; ``beside`` systems are started at the same time.

    Raises ``MeasureFailedError`` when nobody has begun the job again within ``limit_s``.
    """
    tally = arena.new_tally()
    marker = tally.with_name(f"{tally.name}.holder")
    options = {"queue": arena.new_queue(), "tally": str(tally), "concurrency": 1, "defaults": True}
    async with worker(arena, system, options) as one, worker(arena, system, options) as other:
        await asyncio.sleep(1 + SETTLE_SECONDS * beside)
        await ask(arena, system, "hang", options | {"marker": str(marker)}, BEGIN_SECONDS)
        victim = await _holder(marker, [one, other])
        killed = time.monotonic()
        victim.kill()
        while time.monotonic() - killed < limit_s:
            begun, at = read_tally(tally)
            if begun:
                return at - killed
            await asyncio.sleep(LOOK_SECONDS)
    raise MeasureFailedError(f"not run again within {limit_s:.0f} s")


async def _holder(marker: Path, crew: Sequence[WorkerProcess]) -> WorkerProcess:
    until = time.monotonic() + BEGIN_SECONDS
    while time.monotonic() < until:
        for process in crew:
            process.check_alive()
        if (victim := _named(marker, crew)) is not None:
            return victim
        await asyncio.sleep(LOOK_SECONDS)
    raise MeasureFailedError(f"the job did not begin within {BEGIN_SECONDS:.0f} s")


def _named(marker: Path, crew: Sequence[WorkerProcess]) -> WorkerProcess | None:
    if not marker.exists():
        return None
    pid = int(marker.read_text(encoding="ascii"))
    return next((process for process in crew if pid in tree_of(process.pid)), None)
