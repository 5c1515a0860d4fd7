"""The settler: outcomes of finished attempts, gathered and written together."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial

from penstock.core.errors import PenstockError
from penstock.core.outcomes import Outcome, SettleCode
from penstock.store.engine import Engine
from penstock.worker.group_commit import GroupCommit
from penstock.worker.holdings import Holdings

logger = logging.getLogger("penstock.worker")


class Settler:
    """Settles outcomes under their leases; keeps them while the server is away."""

    def __init__(self, engine: Engine, holdings: Holdings) -> None:
        """Settle through ``engine`` what is in ``holdings``."""
        self._holdings = holdings
        self._commit: GroupCommit[Outcome, SettleCode] = GroupCommit(
            "settler", partial(engine.settle, leave_to_janitor=True), self._settled, self._refused
        )
        self.counted: Counter[str] = Counter()
        self.refused_late = 0

    def __len__(self) -> int:
        """Outcomes that are not settled yet."""
        return len(self._commit)

    def counts(self) -> dict[str, int]:
        """How many attempts were settled, in all and by what became of them."""
        counted = self.counted
        return {
            "jobs_processed": counted.total(),
            "jobs_completed": counted["complete"],
            "jobs_failed": counted["fail"],
            "jobs_retried": counted["retry"] + counted["back_off"],
            "jobs_suspended": counted["suspend"],
            "jobs_cancelled": counted["cancel"],
            "jobs_released": counted["release"],
        }

    def start(self) -> list[asyncio.Task[None]]:
        """Begin settling; returns the task that does."""
        return self._commit.start()

    def submit(self, outcome: Outcome) -> None:
        """Settle an outcome as soon as the call in flight is back."""
        self._commit.submit(outcome)

    async def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until everything is settled; ``False`` if the time ran out first."""
        return await self._commit.drain(timeout_seconds)

    async def stop(self) -> None:
        """Stop settling."""
        await self._commit.stop()

    def _settled(self, outcome: Outcome, code: SettleCode) -> None:
        if code in ("ok", "already"):
            self.counted[outcome.kind] += 1
        elif code in ("lost", "gone") and outcome.kind != "release":
            self.refused_late += 1
            logger.warning(
                "job %s: its %s was refused: the job is no longer ours (lease %s)",
                outcome.id,
                outcome.kind,
                outcome.lease,
            )
        elif code not in ("lost", "gone"):
            logger.error("job %s: its %s could not be settled: %s", outcome.id, outcome.kind, code)
        self._holdings.drop(outcome.id, outcome.lease)

    def _refused(self, outcome: Outcome, error: PenstockError) -> None:
        # The lease ends by itself and the job goes on elsewhere: a server that refuses one outcome
        # must not hold up all others behind it.
        logger.error("job %s: its %s was refused by the server: %s", outcome.id, outcome.kind, error)
        self._holdings.drop(outcome.id, outcome.lease)
