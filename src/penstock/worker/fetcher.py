"""The fetcher: claims as many jobs as there are free slots, and waits on the bell when there are none."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from penstock.core.errors import PenstockError, QueueUnavailableError
from penstock.core.names import new_nonce
from penstock.core.outcomes import Claim, Claimed
from penstock.store.engine import Engine
from penstock.store.script_calls import BATCH
from penstock.worker.holdings import Holdings

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
LEAST_WAIT_SECONDS = 0.005

Value = TypeVar("Value")

logger = logging.getLogger("penstock.worker")


class Fetcher:
    """Claims jobs while it runs; no prefetch beyond the free slots."""

    def __init__(
        self,
        engine: Engine,
        consumer: str,
        holdings: Holdings,
        begin: Callable[[list[Claimed]], None],
        expect_due: Callable[[int], None],
    ) -> None:
        """``begin`` starts claimed jobs; ``expect_due`` hears in how many ms a delayed job is due."""
        self._engine = engine
        self._consumer = consumer
        self._holdings = holdings
        self._begin = begin
        self._expect_due = expect_due
        self._stopping = False
        self._idle: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Claim until told to stop. A claim in flight is finished, so that no reply is thrown away."""
        claim: Claim | None = None
        while not self._stopping:
            if claim is None:
                claim = await self._fill()
            elif self._holdings.running or self._holdings.suspects:
                await self._wait_for_work(claim)
                claim = None
            else:
                claim = await self._fill_at_bell(claim)

    async def run_until_idle(self) -> None:
        """Claim until nothing is ready and nothing runs; jobs that wait for a time are left."""
        while not self._stopping:
            held = len(self._holdings)
            claim = await self._fill()
            if claim is None or claim.jobs:
                continue
            if claim.due_in_ms == 0:
                await self._engine.promote()
            elif len(self._holdings):
                await self._holdings.changed.wait()
            elif not held:
                # A job that ended while the claim was on its way may have left a child, or a suspect's seat.
                return

    def stop(self) -> None:
        """Stop claiming."""
        self._stopping = True
        self._holdings.changed.set()
        if self._idle is not None:
            self._idle.cancel()

    async def _fill(self) -> Claim | None:
        """One claim for the free slots; ``None`` when there was no slot, or none is left."""
        self._holdings.changed.clear()
        free = self._holdings.free_slots
        if free <= 0:
            await self._holdings.changed.wait()
            return None
        asked = min(free, BATCH)
        claim = await self._claim(asked, new_nonce())
        return None if claim is None else self._take(claim, asked)

    def _take(self, claim: Claim, asked: int) -> Claim | None:
        """Begin what was claimed; the claim if there was less than asked for."""
        if claim.jobs:
            self._begin(claim.jobs)
        if claim.due_in_ms is not None:
            self._expect_due(claim.due_in_ms)
        return None if len(claim.jobs) >= asked else claim

    async def _claim(self, count: int, request_id: str) -> Claim | None:
        """Claim under one request id until it is answered: a repeat returns the same batch."""
        pause = FIRST_PAUSE_SECONDS
        seats = 0 if self._holdings.suspects else 1
        while not self._stopping:
            try:
                return await self._engine.claim(self._consumer, request_id, count, suspect_seats=seats)
            except QueueUnavailableError as error:
                logger.warning("claim: %s; trying again", error)
            except PenstockError:
                logger.exception("claim: the server refused it; trying again")
            if not self._stopping:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return await self._ask_once_more(request_id)

    async def _ask_once_more(self, request_id: str) -> Claim | None:
        """What the unanswered request took, so that it can be given back; a claim of none takes none."""
        try:
            return await self._engine.claim(self._consumer, request_id, 0)
        except PenstockError as error:
            logger.warning("claim: %s; what it took is first in line again when its lease ends", error)
            return None

    async def _fill_at_bell(self, last: Claim) -> Claim | None:
        """As `_fill`, when nothing runs here: the claim waits on the server, and is made when the bell rings.

        While a handler runs it could hold up the event loop, and what the server has given would wait for it;
        while a suspect is held there is no seat for another, and this claim asks for one.
        """
        request_id, began = new_nonce(), time.monotonic()
        wait_seconds = self._longest_wait_seconds(last)
        claim = await self._wait_idle(self._engine.claim_at_bell(self._consumer, request_id, wait_seconds))
        waited_ms = (time.monotonic() - began) * 1000
        if claim is None or waited_ms > self._engine.timings.lease_ms / 2:
            # Whether the claim was made, or its lease still runs, is not known: asked for again under the
            # same id, it is what there is left of the same one.
            claim = await self._claim(1, request_id)
        if claim is None:
            return None
        left = self._take(claim, 1)
        # The handler begins before the next call is made ready.
        await asyncio.sleep(0)
        return left

    async def _wait_for_work(self, last: Claim) -> None:
        # What was claimed begins before the wait is made ready.
        await asyncio.sleep(0)
        await self._wait_idle(self._engine.wait_for_bell(self._longest_wait_seconds(last)))

    async def _wait_idle(self, call: Coroutine[Any, Any, Value]) -> Value | None:
        """Its answer; ``None`` if it was refused, or broken off by a stop or a suspect's seat set free."""
        self._idle = asyncio.create_task(call)
        waits: list[asyncio.Task[Any]] = [self._idle]
        if self._holdings.suspects:
            waits.append(asyncio.create_task(self._suspect_seat_freed()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._idle.done() and not self._idle.cancelled():
                return cast("Value", self._idle.result())
        except PenstockError as error:
            logger.warning("bell: %s; trying again", error)
            await asyncio.sleep(FIRST_PAUSE_SECONDS)
        finally:
            for task in waits:
                task.cancel()
            self._idle = None
        return None

    def _longest_wait_seconds(self, claim: Claim) -> float:
        """Until the next lease lapses, as far as the last claim saw one."""
        block = self._engine.config.worker_block_ms
        wait_ms = block if claim.lapse_in_ms is None else min(block, claim.lapse_in_ms)
        return max(wait_ms / 1000, LEAST_WAIT_SECONDS)

    async def _suspect_seat_freed(self) -> None:
        while self._holdings.suspects:
            self._holdings.changed.clear()
            await self._holdings.changed.wait()
