"""What is done under torture: the jobs, of five kinds, and the handler that swears to each of its steps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from penstock.core.errors import LeaseLostError
from penstock.core.job import Job
from penstock.torture.ledger import Ledger
from penstock.torture.orders import MOST_ATTEMPTS
from penstock.worker.context import JobContext

#: At most so many jobs of one key run at once.
PLACES_OF_A_KEY = 2
KEYS = ("red", "blue")
_LONG_MS, _SHORT_MS = (2500, 3500), (5, 250)
#: One job of each kind in so many: a paid step, a failure on purpose, a key, a parent; a long one.
_STEP, _FLAKY, _KEYED, _CHILD, _LONG = 7, 11, 5, 9, 20
_UNRECORDED = 3


class PlannedError(ConnectionError):
    """What a job raises that fails on purpose."""


def mixed_jobs(seed: int) -> Iterator[Job]:
    """Jobs of all kinds for ever, the same ones for the same seed."""
    chance = random.Random(f"{seed}:work")  # noqa: S311 - seeded, so that a run can be repeated
    number = 0
    while True:
        span = _LONG_MS if number % _LONG == 0 else _SHORT_MS
        job = Job(
            id=f"job-{number}",
            payload={"work_ms": chance.randint(*span), "number": number},
            max_attempts=MOST_ATTEMPTS,
            record=number % _UNRECORDED != 0,
        )
        if number % _STEP == 0:
            job.payload["kind"] = "step"
        elif number % _FLAKY == 0:
            job.payload["kind"] = "flaky"
        if number % _KEYED == 0 and number % _LONG:
            job.concurrency_key, job.concurrency_limit = chance.choice(KEYS), PLACES_OF_A_KEY
        elif number % _CHILD == 1:
            job.parents, job.on_parent_failure = [f"job-{number - 1}"], "run"
        yield job
        number += 1


def even_jobs(work_ms: tuple[int, int], seed: int) -> Iterator[Job]:
    """Plain jobs for ever that each work for a time within ``work_ms``."""
    chance = random.Random(f"{seed}:work")  # noqa: S311 - seeded, so that a run can be repeated
    number = 0
    while True:
        payload = {"work_ms": chance.randint(*work_ms), "number": number}
        yield Job(id=f"job-{number}", payload=payload, max_attempts=MOST_ATTEMPTS)
        number += 1


def answer(payload: dict[str, Any]) -> dict[str, Any]:
    """The result that a job of this payload must be found with."""
    return {"square": payload["number"] ** 2}


class Swearing:
    """The handler: swears to its start and its end, and works in between."""

    def __init__(self, ledger: Ledger) -> None:
        """Swear in ``ledger``."""
        self._ledger = ledger

    async def work(self, ctx: JobContext) -> dict[str, Any]:
        """Work for the payload's ``work_ms``, with one note of progress or one paid step half-way."""
        await self._swear("start", ctx)
        kind, half = ctx.payload.get("kind", ""), ctx.payload["work_ms"] / 2000
        try:
            await asyncio.sleep(half)
            if kind == "flaky" and ctx.attempt == 1:
                await self._swear("raise", ctx)
                raise PlannedError("this job fails once, on purpose")
            if kind == "step":
                await ctx.step("paid", lambda: self._pay(ctx))
                await self._swear("step", ctx)
            else:
                await ctx.progress(50)
            await asyncio.sleep(half)
        except asyncio.CancelledError:
            self._ledger.append("stop", ctx.id, ctx.attempt)
            raise
        except LeaseLostError:
            await self._swear("refused", ctx)
            raise
        await self._swear("end", ctx)
        return answer(ctx.payload)

    async def _pay(self, ctx: JobContext) -> int:
        await self._swear("paid", ctx)
        return ctx.attempt

    async def _swear(self, fact: str, ctx: JobContext) -> None:
        await asyncio.to_thread(self._ledger.append, fact, ctx.id, ctx.attempt)
