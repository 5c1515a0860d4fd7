"""Grace: the time that running handlers have to finish once their worker was told to stop."""

from __future__ import annotations

import asyncio

from penstock.worker.holdings import Holdings


async def wait_for_handlers(holdings: Holdings, hurry: asyncio.Event, seconds: float) -> None:
    """Return when no handler runs, when told to ``hurry``, or after ``seconds``."""
    hurried = asyncio.create_task(hurry.wait())
    quiet = asyncio.create_task(_no_handlers(holdings))
    await asyncio.wait([hurried, quiet], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (hurried, quiet):
        task.cancel()


async def _no_handlers(holdings: Holdings) -> None:
    while holdings.running:
        holdings.changed.clear()
        await holdings.changed.wait()
