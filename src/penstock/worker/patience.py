"""Reading from a server that may be away: an outage makes a handler wait, and never fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from penstock.core.errors import QueueUnavailableError

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

Value = TypeVar("Value")

logger = logging.getLogger("penstock.worker")


async def patiently(read: Callable[[], Awaitable[Value]], what: str) -> Value:
    """The answer of ``read``, which is asked again while the server is away; ``what`` is for the log."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await read()
        except QueueUnavailableError as error:
            logger.warning("%s: %s; trying again", what, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
