"""A worker process of the crew; run as ``python -m penstock.torture.worker``."""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock.core.clock import Clock
from penstock.core.config import QueueConfig
from penstock.core.errors import QueueUnavailableError
from penstock.core.outcomes import Outcome, SettleCode
from penstock.store.engine import Engine
from penstock.store.streams import create_redis_queue
from penstock.torture.clock import JumpingClock
from penstock.torture.ledger import Ledger
from penstock.torture.orders import QUEUE, RETRY_BASE_SECONDS, RETRY_MOST_SECONDS, Orders
from penstock.torture.work import Swearing
from penstock.worker.context import JobContext
from penstock.worker.handlers import Handlers
from penstock.worker.worker import Worker

GRACE_SECONDS = 10.0
READ_BYTES = 1024
START_AGAIN_SECONDS = 0.2


class WitnessedEngine(Engine):
    """An engine that writes every answer to a settle into the ledger, as it came and none merged."""

    ledger: Ledger

    async def settle(
        self, outcomes: Sequence[Outcome], *, leave_to_janitor: bool = False
    ) -> list[SettleCode]:
        """As the engine does."""
        codes = await super().settle(outcomes, leave_to_janitor=leave_to_janitor)
        facts = [
            ("settled", outcome.id, 0, f"{outcome.kind} {code}")
            for outcome, code in zip(outcomes, codes, strict=True)
        ]
        await asyncio.to_thread(self.ledger.append_all, facts)
        return codes


class Counting:
    """A handler that does nothing but count its starts, in one byte a job of a shared file."""

    def __init__(self, path: Path) -> None:
        """Count in the file ``path``, which has one byte for each job."""
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    async def work(self, ctx: JobContext) -> None:
        """Count."""
        self._bytes[ctx.payload["number"]] += 1


async def work(orders: Orders) -> None:
    """Work until SIGTERM; started again, as a supervisor does, while the server is away."""
    while True:
        try:
            await _work(orders)
        except QueueUnavailableError as error:
            logging.warning("could not start: %s; trying again", error)
            await asyncio.sleep(START_AGAIN_SECONDS)
        else:
            return


async def _work(orders: Orders) -> None:
    clock: Clock | None = JumpingClock(Path(orders.clock)) if orders.clock else None
    config = QueueConfig(
        key_prefix=orders.key_prefix,
        retry_base_delay=RETRY_BASE_SECONDS,
        retry_max_delay=RETRY_MOST_SECONDS,
    )
    queue = await create_redis_queue(
        orders.url, queue_name=QUEUE, timings=orders.timings, config=config, clock=clock
    )
    try:
        if orders.bare:
            handler: Handlers = Counting(Path(orders.ledger)).work
        else:
            ledger = Ledger(Path(orders.ledger))
            engine = WitnessedEngine(queue.client, queue.engine.keys, config, orders.timings, clock)
            engine.ledger = ledger
            queue.engine = engine
            handler = Swearing(ledger).work
            ledger.append("ready")
        worker = Worker(queue, handler, orders.worker_id, orders.concurrency, grace_seconds=GRACE_SECONDS)
        await worker.start()
    finally:
        await queue.close()


def _end_with_parent() -> None:
    # Unbuffered, so that nothing is locked when the interpreter ends while this waits.
    while os.read(sys.stdin.fileno(), READ_BYTES):
        continue
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Read the orders and work; ends at once when standard input does."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    asyncio.run(work(orders))


if __name__ == "__main__":
    main()
