"""Stopping in order when a signal says so.

The demo asks between two looks whether it should stop, rather than being cancelled: a cancellation
that arrives while a client sends to the server may be lost on Python 3.11.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoStopped(Exception):  # noqa: N818 - a wish of the user's rather than an error
    """A signal asked the demo to stop; raised where it can."""


class StopRequest:
    """Whether a signal has asked the demo to stop."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Ask; asking again changes nothing, since clearing up is under way."""
        self._asked = True

    def check(self) -> None:
        """Raise `DemoStopped` if someone has asked."""
        if self._asked:
            raise DemoStopped


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While the context lasts, SIGINT, SIGTERM and SIGHUP ask for a stop instead of ending."""
    loop = asyncio.get_running_loop()
    stop = StopRequest()
    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, stop.ask)
    try:
        yield stop
    finally:
        for number in STOPPING_SIGNALS:
            loop.remove_signal_handler(number)
