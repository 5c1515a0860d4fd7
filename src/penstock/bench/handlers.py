"""What the benchmark's workers run."""

from __future__ import annotations

import asyncio
import time

from penstock import JobContext


async def noop(ctx: JobContext) -> None:
    """Nothing, so that all that is measured is the way to it and back."""


async def stamp(ctx: JobContext) -> dict[str, float]:
    """Say when the handler began, by the clock that all processes of a machine share."""
    return {"started": time.monotonic()}


async def hang_once(ctx: JobContext) -> dict[str, float]:
    """Never end on the first attempt, which waits for its worker to be killed; then say when it began."""
    started = time.monotonic()
    if ctx.job.crashes == 0:
        await asyncio.Event().wait()
    return {"started": started}


HANDLERS = {"noop": noop, "stamp": stamp, "hang_once": hang_once}
