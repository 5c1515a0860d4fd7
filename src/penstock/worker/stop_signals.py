"""SIGTERM and SIGINT as a request to stop, for as long as something runs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from typing import Any, Protocol


class Stoppable(Protocol):
    """Whatever can be asked to stop; asking again makes it hurry."""

    async def stop(self) -> Any:
        """Begin to stop, and return when it is done."""


class StopSignals:
    """While entered, a signal stops everything given; a second one makes it hurry."""

    def __init__(self, running: Sequence[Stoppable]) -> None:
        """``running`` are asked all at once."""
        self._running = running
        self._tasks: set[asyncio.Task[None]] = set()
        self._installed: list[signal.Signals] = []

    def __enter__(self) -> None:
        """Take the signals over; only the main thread can, elsewhere nothing is changed."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
            self._installed.append(number)

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number in self._installed:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _stop(self) -> None:
        task = asyncio.get_running_loop().create_task(self._stop_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop_all(self) -> None:
        await asyncio.gather(*(each.stop() for each in self._running))
