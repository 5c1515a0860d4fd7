"""`penstock worker --processes N`: worker processes, kept running and replaced when they are used up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.cli.exits import ExitCode
from penstock.worker.stop_signals import StopSignals

SHORTEST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
LONG_LIFE_SECONDS: Final = 30.0
# A worker that was told to stop takes its grace, and a little more to release and settle.
BEYOND_GRACE_SECONDS: Final = 30.0

logger = logging.getLogger("penstock.fleet")


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """How many workers, what each is started with, and how long it may take to stop.

    ``words`` follow ``penstock worker``; secrets belong in ``environment``, which others cannot read.
    """

    processes: int
    worker_id: str
    words: Sequence[str]
    environment: Mapping[str, str]
    grace_seconds: float


async def keep_workers(plan: FleetPlan) -> int:
    """Keep the workers of ``plan`` running until a signal; the exit code for the whole."""
    fleet = WorkerFleet(plan)
    with StopSignals([fleet]):
        return await fleet.run()


class WorkerFleet:
    """Worker processes, one a seat: one that ends in order is replaced at once, one that crashed soon."""

    def __init__(self, plan: FleetPlan) -> None:
        """Nothing is started yet."""
        self._plan = plan
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Run until stopped, or until a worker says that it was started wrongly; the exit code."""
        seats = range(1, self._plan.processes + 1)
        async with asyncio.TaskGroup() as keepers:
            for seat in seats:
                keepers.create_task(self._keep(seat), name=f"keeper of worker {seat}")
        return self._exit_code

    async def stop(self) -> None:
        """Ask all workers to stop, and return when they have; asked again, they hurry."""
        self._stopping.set()
        processes = list(self._running.values())
        for process in processes:
            _terminate(process)
        ends = [asyncio.create_task(process.wait()) for process in processes]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=self._plan.grace_seconds + BEYOND_GRACE_SECONDS)
        if late:
            logger.error("%d workers did not stop in their time and are killed", len(late))
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(late)

    async def _keep(self, seat: int) -> None:
        name, pause = f"{self._plan.worker_id}-{seat}", SHORTEST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run_one(seat, name)
            if self._stopping.is_set():
                return
            if code == ExitCode.OK:
                logger.info("worker %s made room; a fresh one takes its seat", name)
                continue
            if code == ExitCode.USAGE:
                # It has said what is wrong, and the next one would say it again.
                self._exit_code = code
                await self.stop()
                return
            lived = time.monotonic() - began
            pause = SHORTEST_PAUSE_SECONDS if lived > LONG_LIFE_SECONDS else pause
            logger.warning("worker %s ended %s; a fresh one starts in %g s", name, _how(code), pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _run_one(self, seat: int, name: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock.cli.stack.child", "worker"),
            *self._plan.words,
            *("--supervised", "--worker-id", name),
            # The leash: it is never written to, and closes when this process ends.
            stdin=asyncio.subprocess.PIPE,
            env=dict(self._plan.environment),
            # Ctrl-C is for the parent, which then stops its workers in order.
            start_new_session=True,
        )
        self._running[seat] = process
        if self._stopping.is_set():
            _terminate(process)
        try:
            return await process.wait()
        finally:
            del self._running[seat]


def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
