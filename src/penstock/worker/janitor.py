"""The janitor: removes what is over, trims history's stream, forgets dead workers, has the books checked."""

from __future__ import annotations

import asyncio
import logging
import random

from penstock.core.errors import PenstockError
from penstock.core.job import FINAL_STATUSES, JobStatus
from penstock.store.engine import Engine
from penstock.store.script_calls import BATCH
from penstock.worker.auditor import Auditor

INTERVAL_SECONDS = 30.0
SILENT_WORKER_MS = 600_000

logger = logging.getLogger("penstock.worker")


class Janitor:
    """Sweeps every half minute, a little apart from the janitors of other workers."""

    def __init__(self, engine: Engine) -> None:
        """Sweep through ``engine``."""
        self._engine = engine
        self._auditor = Auditor(engine)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Begin sweeping; returns the task that does."""
        self._task = asyncio.get_running_loop().create_task(self.run(), name="penstock-janitor")
        return [self._task]

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            try:
                await self.sweep()
            except PenstockError as error:
                logger.warning("janitor: %s; trying again", error)

    async def stop(self) -> None:
        """Stop sweeping."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> int:
        """One round; returns how many finished jobs were removed."""
        config = self._engine.config
        # Trimmed first: a recorded job may go once its last event is behind every required group.
        await self._engine.call(
            "trim", {"max_events": config.max_events}, [(group,) for group in config.event_groups]
        )
        removed = 0
        for status in sorted(FINAL_STATUSES):
            removed += await self._expire(status)
        await self._engine.call(
            "retire",
            {"group": config.consumer_group, "silent_ms": SILENT_WORKER_MS},
            [(group,) for group in config.event_groups],
        )
        await self._auditor.audit()
        return removed

    async def _expire(self, status: str) -> int:
        config = self._engine.config
        once = {
            "ttl_ms": config.dead_letter_ttl_ms if status == JobStatus.FAILED else config.ttl_ms,
            "status": status,
            "most": BATCH,
            "required": len(config.event_groups),
        }
        total = 0
        while (removed := int(await self._engine.call("expire", once))) > 0:
            total += removed
        return total
