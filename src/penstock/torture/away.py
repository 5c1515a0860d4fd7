"""Redis away for a minute while every worker is busy: nothing may start again for that."""

from __future__ import annotations

import asyncio
import time

from penstock.core.errors import WorkerError
from penstock.torture.faults import Scene, Struck
from penstock.torture.ledger import Ledger
from penstock.torture.producer import Producer

#: Jobs end this long before, or after, the server is back: outcomes on the way, and handlers still at work.
SPREAD_SECONDS = 5.0
START_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.05


async def go_away(
    scene: Scene, producer: Producer, ledger: Ledger, seconds: float, count: int, seed: int
) -> None:
    """Start ``count`` jobs, then freeze the server, or kill it on odd seeds, for ``seconds``."""
    spread = min(SPREAD_SECONDS, seconds / 4)
    for place, job in enumerate(jobs := producer.take(count)):
        job.payload["work_ms"] = round((seconds + spread * (2 * place / max(count - 1, 1) - 1)) * 1000)
    await producer.enqueue(jobs)
    async with asyncio.timeout(START_SECONDS):
        while sum(entry.fact == "start" for entry in ledger.entries()) < count:
            if scene.crew.died():
                raise WorkerError("a worker ended before the jobs had started")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    began_at = time.time()
    if seed % 2:
        await scene.anvil.kill_and_restart(seconds)
    else:
        await scene.anvil.freeze(seconds)
    scene.note("kill_server" if seed % 2 else "freeze_server", began_at, Struck.SERVER)
