"""Handlers for worker processes under test; each writes to the ledger what it does."""

import asyncio
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from penstock import JobContext, in_process
from tests.harness.ledger import record

LOOK_SECONDS = 0.01


def begin(ctx: JobContext, **fields: Any) -> None:
    """Note that an attempt has started."""
    record("start", job=ctx.id, attempt=ctx.attempt, worker=ctx.job.worker_id, **fields)


def end(ctx: JobContext, **fields: Any) -> None:
    """Note that an attempt has done its work."""
    record("end", job=ctx.id, attempt=ctx.attempt, worker=ctx.job.worker_id, **fields)


async def opened(gate: str) -> None:
    """Wait until the file `gate` is there."""
    while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240 - another process opens it
        await asyncio.sleep(LOOK_SECONDS)


async def quick(ctx: JobContext) -> dict[str, Any]:
    """Nothing but a start and an end."""
    begin(ctx)
    end(ctx)
    return {"attempt": ctx.attempt}


async def gated(ctx: JobContext) -> dict[str, Any]:
    """Runs until the payload's gate opens."""
    begin(ctx)
    try:
        await opened(ctx.payload["gate"])
    except asyncio.CancelledError:
        record("told", job=ctx.id, attempt=ctx.attempt)
        raise
    end(ctx)
    return {"attempt": ctx.attempt}


async def gated_quietly(ctx: JobContext) -> dict[str, Any]:
    """Gated, without a ledger: for workers in the test's own process."""
    await opened(ctx.payload["gate"])
    return {"attempt": ctx.attempt}


async def parked_at_first(ctx: JobContext) -> None:
    """Waits for ever, without running any code, where it is first started; then it is quick."""
    begin(ctx)
    mark = Path(ctx.payload["gate"]).with_name(f"began-{ctx.id}")
    if not mark.exists():
        mark.touch()
        await asyncio.get_running_loop().create_future()
    end(ctx)


async def stubborn(ctx: JobContext) -> dict[str, Any]:
    """Gated, and returns a result even when it is told to stop."""
    begin(ctx)
    try:
        await opened(ctx.payload["gate"])
    except asyncio.CancelledError:
        record("told", job=ctx.id, attempt=ctx.attempt)
    end(ctx)
    return {"attempt": ctx.attempt}


def gated_thread(ctx: JobContext) -> dict[str, Any]:
    """A plain function that looks whether it is to stop."""
    begin(ctx)
    while not Path(ctx.payload["gate"]).exists():
        if ctx.cancelled:
            record("told", job=ctx.id, attempt=ctx.attempt)
            return {"stopped": True}
        time.sleep(LOOK_SECONDS)
    end(ctx)
    return {"attempt": ctx.attempt}


def deaf_thread(ctx: JobContext) -> None:
    """A plain function that never looks whether it is to stop."""
    begin(ctx)
    while not Path(ctx.payload["gate"]).exists():
        time.sleep(LOOK_SECONDS)
    end(ctx)


async def holds_gil(ctx: JobContext) -> None:
    """Code on the loop that neither lets it turn nor lets go of the GIL."""
    begin(ctx)
    ctypes.PyDLL(None).usleep(int(ctx.payload["seconds"] * 1_000_000))
    end(ctx)


def thread_holds_gil(ctx: JobContext) -> None:
    """The same from a thread."""
    begin(ctx)
    ctypes.PyDLL(None).usleep(int(ctx.payload["seconds"] * 1_000_000))
    end(ctx)


async def blocks_loop(ctx: JobContext) -> None:
    """A plain blocking call on the loop."""
    begin(ctx)
    time.sleep(ctx.payload["seconds"])  # noqa: ASYNC251 - the fault under test
    end(ctx)


async def busy_loop(ctx: JobContext) -> None:
    """Python code that never awaits."""
    begin(ctx)
    finish = time.monotonic() + ctx.payload["seconds"]
    while time.monotonic() < finish:
        sum(range(1000))
    end(ctx)


async def blocks_at_first(ctx: JobContext) -> None:
    """Blocks the loop far beyond any stall at its first run, which the crash count tells."""
    begin(ctx)
    if ctx.job.crashes == 0:
        time.sleep(ctx.payload["seconds"])  # noqa: ASYNC251 - the fault under test
    end(ctx)


def thread_holds_gil_at_first(ctx: JobContext) -> None:
    """The same with the GIL, from a thread."""
    begin(ctx)
    if ctx.job.crashes == 0:
        ctypes.PyDLL(None).usleep(int(ctx.payload["seconds"] * 1_000_000))
    end(ctx)


async def kills_its_process(ctx: JobContext) -> None:
    """A poison job."""
    begin(ctx)
    os.kill(os.getpid(), signal.SIGKILL)


async def innocent(ctx: JobContext) -> dict[str, Any]:
    """Runs long enough to stand beside a poison job when that kills the process."""
    begin(ctx)
    await asyncio.sleep(ctx.payload["seconds"])
    end(ctx)
    return {"attempt": ctx.attempt}


async def steps(ctx: JobContext) -> dict[str, Any]:
    """Two durable steps, then the gate, then a third."""
    begin(ctx)

    def one(name: str) -> dict[str, Any]:
        record("step", job=ctx.id, step=name, attempt=ctx.attempt)
        return {"name": name, "attempt": ctx.attempt}

    first = await ctx.step("first", lambda: one("first"))
    second = await ctx.step("second", lambda: one("second"))
    record("before-gate", job=ctx.id, attempt=ctx.attempt)
    await opened(ctx.payload["gate"])
    third = await ctx.step("third", lambda: one("third"))
    end(ctx)
    return {"made_in": [first["attempt"], second["attempt"], third["attempt"]]}


async def reports(ctx: JobContext) -> dict[str, Any]:
    """Gated, then says how far it has come, and stores a step."""
    begin(ctx)
    await opened(ctx.payload["gate"])
    await ctx.progress(50, "half-way")
    await ctx.step("only", lambda: 1)
    end(ctx)
    return {"attempt": ctx.attempt}


async def forks_then_waits(ctx: JobContext) -> None:
    """Leaves a forked child, which inherits every descriptor, and waits."""
    child = os.fork()
    if child == 0:
        time.sleep(ctx.payload["child_seconds"])  # noqa: ASYNC251 - the child has no loop
        os._exit(0)
    begin(ctx, child=child)
    await opened(ctx.payload["gate"])
    end(ctx)


def child_waits(payload: dict[str, Any]) -> dict[str, Any]:
    """Runs in a process of its own until the gate opens."""
    record("start", job=payload["name"], worker_pid=os.getppid())
    while not Path(payload["gate"]).exists():
        time.sleep(LOOK_SECONDS)
    record("end", job=payload["name"])
    return {"pid": os.getpid()}


def child_kills_itself(payload: dict[str, Any]) -> None:
    """Runs in a process of its own and takes that process with it."""
    record("start", job=payload["name"])
    os.kill(os.getpid(), signal.SIGKILL)


handlers = {
    "quick": quick,
    "gated": gated,
    "parked_at_first": parked_at_first,
    "stubborn": stubborn,
    "gated_thread": gated_thread,
    "deaf_thread": deaf_thread,
    "holds_gil": holds_gil,
    "thread_holds_gil": thread_holds_gil,
    "blocks_loop": blocks_loop,
    "busy_loop": busy_loop,
    "blocks_at_first": blocks_at_first,
    "thread_holds_gil_at_first": thread_holds_gil_at_first,
    "kills_its_process": kills_its_process,
    "innocent": innocent,
    "steps": steps,
    "reports": reports,
    "forks_then_waits": forks_then_waits,
    "child_waits": in_process(child_waits),
    "child_kills_itself": in_process(child_kills_itself),
}

quick_only = {"quick": quick}
