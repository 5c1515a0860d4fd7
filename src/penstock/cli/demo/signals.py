"""Stopping in order when a signal says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_signal(coroutine: Coroutine[Any, Any, Value]) -> Value | None:
    """Await `coroutine`; on the first signal cancel it, let it clear up, and return None.

    Further signals change nothing: what clears up ends within seconds.
    """
    task = asyncio.ensure_future(coroutine)
    loop = asyncio.get_running_loop()
    signalled = False

    def on_signal() -> None:
        nonlocal signalled
        if not signalled:
            signalled = True
            task.cancel()

    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        return await task
    except asyncio.CancelledError:
        return None
    finally:
        for number in STOPPING_SIGNALS:
            loop.remove_signal_handler(number)
