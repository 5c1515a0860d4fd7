"""Waiting for something observed, with a bound and a message that says what was seen instead."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitTimeout(AssertionError):
    """What a test waited for did not come in time; the message says what was there instead."""


class Signal:
    """Wakes the tasks of one event loop whenever a fact they may be waiting for has changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Let every waiter look again. Call it in the loop of the waiters."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(
        self,
        probe: Callable[[], T | None],
        timeout_seconds: float | None,
        describe: Callable[[], str],
    ) -> T:
        """Return the first true value of `probe`, called now and after every `notify`.

        Raises WaitTimeout with the text of `describe` after `timeout_seconds`.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not (found := probe()):
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise WaitTimeout(f"after {timeout_seconds} s: {describe()}") from None
