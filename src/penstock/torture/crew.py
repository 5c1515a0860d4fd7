"""The crew: worker processes that are killed, frozen and replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.torture.ledger import Ledger
from penstock.torture.orders import Orders

STOP_SECONDS = 60.0
READY_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.02


class Hand:
    """One worker process, leader of a group of its own with its heartbeat process."""

    def __init__(self, place: int, process: asyncio.subprocess.Process) -> None:
        """``place`` is its number in the crew."""
        self.place = place
        self.process = process
        self.frozen = False

    @property
    def pid(self) -> int:
        """Its process id, under which it swears in the ledger."""
        return self.process.pid

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the worker and its heartbeat process alike."""
        os.killpg(self.process.pid, number)


class Crew:
    """A fixed number of workers; whoever is killed is replaced."""

    def __init__(
        self, orders: Orders, url_of: Callable[[int], str], log: Path, size: int, ledger: Ledger
    ) -> None:
        """All work by ``orders``, each at the URL of its place; their logs go to the file ``log``."""
        self._orders = orders
        self._url_of = url_of
        self._log = log
        self._size = size
        self._ledger = ledger
        self._started = 0
        self.hands: list[Hand] = []

    async def start_bare(self) -> None:
        """Start all, without waiting: workers without a ledger do not say when they are ready."""
        for place in range(self._size):
            self.hands.append(await self._start(place))

    async def start(self) -> None:
        """Start all; returns when each has connected. Raises ``RuntimeError`` if one does not."""
        await self.start_bare()
        async with asyncio.timeout(READY_SECONDS):
            while sum(entry.fact == "ready" for entry in self._ledger.entries()) < self._size:
                if any(hand.process.returncode is not None for hand in self.hands):
                    raise RuntimeError(f"a worker did not start; its log is {self._log}")
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def kill(self, hand: Hand) -> None:
        """SIGKILL a worker, not its heartbeat process: that one has to notice by itself."""
        with contextlib.suppress(ProcessLookupError):
            hand.process.kill()
        await hand.process.wait()

    async def replace(self, hand: Hand) -> None:
        """Start another in the place of one that was killed."""
        self.hands[self.hands.index(hand)] = await self._start(hand.place)

    async def freeze(self, hand: Hand, seconds: float) -> None:
        """SIGSTOP a worker with its heartbeat process, and SIGCONT both after ``seconds``."""
        hand.frozen = True
        hand.signal_group(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            hand.signal_group(signal.SIGCONT)
            hand.frozen = False

    def died(self) -> list[Hand]:
        """Those that have ended though nobody killed them."""
        return [hand for hand in self.hands if hand.process.returncode is not None]

    async def stop(self) -> None:
        """SIGTERM all and wait; raises ``TimeoutError`` if one does not end."""
        for hand in self.hands:
            if hand.process.returncode is None:
                hand.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            for hand in self.hands:
                await hand.process.wait()

    def abandon(self) -> None:
        """End whatever still lives, at once."""
        for hand in self.hands:
            if hand.process.returncode is None:
                hand.signal_group(signal.SIGKILL)

    async def _start(self, place: int) -> Hand:
        self._started += 1
        orders = msgspec.structs.replace(
            self._orders, url=self._url_of(place), worker_id=f"hand-{place}-{self._started}"
        )
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "penstock.torture.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.write(msgspec.json.encode(orders) + b"\n")
        await process.stdin.drain()
        return Hand(place, process)
