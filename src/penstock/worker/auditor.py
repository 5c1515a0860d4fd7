"""The auditor: checks that every job stands where its status says, and puts back the one that does not."""

from __future__ import annotations

import logging
from typing import Any, cast

from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.script_calls import BATCH

LANES = ("normal", "high", "low", "suspects", "keyed")

logger = logging.getLogger("penstock.worker")


class Auditor:
    """Compares counts cheaply at each audit; searches all jobs only when they disagree."""

    def __init__(self, engine: Engine) -> None:
        """Audit through ``engine``."""
        self._engine = engine

    async def audit(self) -> int:
        """Compare, mend if needed, and return how many jobs were put back."""
        books = await self._engine.call("audit", {"group": self._engine.config.consumer_group})
        if all(counted == held for counted, held in zip(books[::2], books[1::2], strict=True)):
            return 0
        logger.error("auditor: the books of %s do not balance: %s", self._engine.keys.base, books)
        put_back = await self.mend()
        logger.error("auditor: %d jobs stood nowhere and were put back", put_back)
        return put_back

    async def mend(self) -> int:
        """Visit every job and every message, then make the counts agree; returns jobs put back."""
        put_back = 0
        batch: list[str] = []
        prefix = self._engine.keys.job
        with translated(self._engine.where):
            async for key in cast("Any", self._engine.client).scan_iter(match=_glob(prefix), count=512):
                batch.append(key.decode().removeprefix(prefix))
                if len(batch) == BATCH:
                    put_back += await self._mend(batch)
                    batch = []
        if batch:
            put_back += await self._mend(batch)
        for lane in LANES:
            await self._sweep(lane)
        await self._tend_keys()
        await self._engine.call("recount", {})
        return put_back

    async def _tend_keys(self) -> None:
        prefix = self._engine.keys.holders
        client = cast("Any", self._engine.client)
        with translated(self._engine.where):
            found = [key async for key in client.scan_iter(_glob(prefix), count=512)]
        keys = [key.decode().removeprefix(prefix) for key in found]
        for at in range(0, len(keys), BATCH):
            if evicted := await self._engine.tend_keys(keys[at : at + BATCH]):
                logger.error("auditor: %d places were held by jobs that hold nothing", evicted)

    async def _mend(self, ids: list[str]) -> int:
        config, timings = self._engine.config, self._engine.timings
        once = {"group": config.consumer_group, "keep_ms": self._engine.keep_ms, "lease_ms": timings.lease_ms}
        answers = await self._engine.call("mend", once, [(job_id,) for job_id in ids])
        for job_id, answer in zip(ids, answers, strict=True):
            if answer.startswith(b"!"):
                logger.error(
                    "auditor: job %s was said to be %s and stood nowhere", job_id, answer[1:].decode()
                )
        return sum(answer.startswith(b"!") for answer in answers)

    async def _sweep(self, lane: str) -> None:
        after = ""
        while True:
            once = {"group": self._engine.config.consumer_group, "lane": lane, "after": after, "most": 500}
            removed, last = await self._engine.call("sweep", once)
            if removed:
                logger.error("auditor: removed %d messages without a job from lane %s", removed, lane)
            if not last:
                return
            after = last.decode()


def _glob(prefix: str) -> str:
    """The pattern of all keys that begin with ``prefix``, whatever characters it has."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + "*"
