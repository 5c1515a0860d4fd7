"""Penstock with all its guarantees on: everything that is on by default, workers as the command runs them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from penstock import Job, JobContext, create_redis_queue
from penstock.bench.players.player import OPTIONS, PAYLOAD, TALLY, Player, Producer, hangs

_TIMER_SECONDS = 0.005
_timers: list[asyncio.Task[None]] = []


async def noop(ctx: JobContext) -> None:
    """Nothing, so that all that is measured is the way to it and back."""
    TALLY.count()


async def timed_noop(ctx: JobContext) -> None:
    """The same beside a timer that notes how late it came at worst, in milliseconds."""
    TALLY.count()
    if not _timers:
        _timers.append(asyncio.create_task(_watch_lag(Path(OPTIONS["lag"]))))


async def _watch_lag(notes: Path) -> None:
    worst = 0.0
    while True:
        due = time.monotonic() + _TIMER_SECONDS
        await asyncio.sleep(_TIMER_SECONDS)
        late = (time.monotonic() - due) * 1000
        if late > worst:
            worst = late
            _note(notes, worst)


def _note(notes: Path, milliseconds: float) -> None:
    notes.write_text(f"{milliseconds:.3f}")


async def hang(ctx: JobContext) -> None:
    """Wait for ever on the first attempt, whose worker is killed."""
    if hangs(ctx.payload["marker"]):
        await asyncio.Event().wait()


HANDLERS = {"noop": timed_noop if OPTIONS.get("lag") else noop, "hang": hang}


@asynccontextmanager
async def producer() -> AsyncIterator[Producer]:
    """``enqueue`` and ``enqueue_many``; jobs are made, encoded and checked within the time measured."""
    record = bool(OPTIONS.get("record"))
    queue = await create_redis_queue(OPTIONS["url"], queue_name=OPTIONS["queue"])

    async def one() -> None:
        await queue.enqueue(Job(payload=PAYLOAD, type="noop", record=record))

    async def many(how_many: int) -> None:
        # Made as they are taken, so that the garbage collector meets none of them again.
        await queue.enqueue_many(Job(payload=PAYLOAD, type="noop", record=record) for _ in range(how_many))

    async def hang_once(marker: str) -> None:
        await queue.enqueue(Job(payload={"marker": marker}, type="hang"))

    try:
        yield Producer(one, many, hang_once)
    finally:
        await queue.close()


def work() -> None:
    """``penstock worker``."""
    os.environ["PENSTOCK_REDIS_URL"] = OPTIONS["url"]
    words = ["-m", "penstock", "worker", "--queue", OPTIONS["queue"]]
    words += ["--concurrency", str(OPTIONS["concurrency"]), "--log-level", "error"]
    words += ["--handlers", "penstock.bench.players.penstock_player:HANDLERS"]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - no shell is wanted


PLAYER = Player(
    producer=producer,
    work=work,
    packages=("penstock", "redis", "hiredis", "uvloop", "msgspec"),
    setting="defaults; one `penstock worker` process with its heartbeat child",
)
