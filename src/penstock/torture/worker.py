"""A worker process of the crew; run as ``python -m penstock.torture.worker``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from penstock.core.config import QueueConfig
from penstock.core.errors import LeaseLostError
from penstock.store.streams import create_redis_queue
from penstock.torture.ledger import Ledger
from penstock.torture.orders import QUEUE, TIMINGS, Orders
from penstock.worker.context import JobContext
from penstock.worker.worker import Worker


class Hand:
    """The handler: swears to its start and its end, and works in between."""

    def __init__(self, ledger: Ledger) -> None:
        """Swear in ``ledger``."""
        self._ledger = ledger

    async def work(self, ctx: JobContext) -> None:
        """Work for the payload's ``work_ms``, with one note of progress half-way."""
        await self._swear("start", ctx)
        half = ctx.payload["work_ms"] / 2000
        await asyncio.sleep(half)
        try:
            await ctx.progress(50)
        except LeaseLostError:
            await self._swear("refused", ctx)
            raise
        await asyncio.sleep(half)
        await self._swear("end", ctx)

    async def _swear(self, fact: str, ctx: JobContext) -> None:
        await asyncio.to_thread(self._ledger.append, fact, ctx.id, ctx.attempt)


async def work(orders: Orders) -> None:
    """Work until SIGTERM; at the end say in the ledger how many late writes were refused."""
    ledger = Ledger(Path(orders.ledger))
    queue = await create_redis_queue(
        orders.url, queue_name=QUEUE, timings=TIMINGS, config=QueueConfig(key_prefix=orders.key_prefix)
    )
    try:
        worker = Worker(queue, Hand(ledger).work, orders.worker_id, orders.concurrency, grace_seconds=10)
        ledger.append("ready")
        await worker.start()
        ledger.append("late", orders.worker_id, worker.get_stats()["late_writes_refused"])
    finally:
        await queue.close()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Read the orders and work; ends at once when standard input does."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    asyncio.run(work(orders))


if __name__ == "__main__":
    main()
