"""Tasks for worker processes that the tests start by the command line."""

import asyncio
import os
from pathlib import Path

from penstock import CurrentJob, JobContext, task
from tests.harness.ledger import record

HELD: list[bytearray] = []


@task(queue="fleet")
async def count(number: int, ctx: JobContext = CurrentJob()) -> int:
    """Say which process ran it."""
    record("start", job=ctx.id, process=os.getpid())
    await asyncio.sleep(0.01)
    record("end", job=ctx.id, process=os.getpid())
    return number


@task(queue="fleet")
async def wait_for(gate: str, ctx: JobContext = CurrentJob()) -> int:
    """Wait until a file is there."""
    record("start", job=ctx.id, process=os.getpid())
    while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.01)
    record("end", job=ctx.id, process=os.getpid())
    return os.getpid()


@task(queue="fleet")
def grow(megabytes: int) -> int:
    """Hold memory for good."""
    HELD.append(bytearray(os.urandom(1024) * 1024 * megabytes))
    return os.getpid()


@task(queue="other")
async def elsewhere() -> int:
    """A task of another queue."""
    return os.getpid()
