"""Handlers whose worker is killed inside their steps; what really ran stands in the ledger."""

import os
import signal
from functools import partial
from typing import Any

from penstock import JobContext
from tests.harness.ledger import record

STEPS = [f"step-{number}" for number in range(1, 8)]


async def seven_steps(ctx: JobContext) -> list[str]:
    """Kills its process inside the steps that the payload names, each time at the first try."""
    return [await ctx.step(name, partial(make, ctx, name)) for name in STEPS]


async def around_a_wait(ctx: JobContext) -> list[Any]:
    """Steps before and after a signal and a sleep, killed in any of them."""
    first = await ctx.step("step-1", partial(make, ctx, "step-1"))
    word = await ctx.wait_for_signal("word")
    second = await ctx.step("step-2", partial(make, ctx, "step-2"))
    await ctx.sleep(0.2)
    return [first, word, second, await ctx.step("step-3", partial(make, ctx, "step-3"))]


def make(ctx: JobContext, name: str) -> str:
    """One step's work."""
    record("begun", step=name)
    kills = ctx.payload["kill_in"]
    if name in kills and ctx.job.crashes <= kills.index(name):
        os.kill(os.getpid(), signal.SIGKILL)
    record("made", step=name)
    return name.upper()


handlers = {"seven": seven_steps, "waits": around_a_wait}
