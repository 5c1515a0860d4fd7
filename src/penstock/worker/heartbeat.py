"""The heartbeat, seen from the worker: keeps the board up to date and the process alive."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from penstock.core.clock import Clock
from penstock.core.errors import HeartbeatError, WorkerError, WorkerSupersededError
from penstock.core.timings import LeaseTimings
from penstock.worker.beat_board import BeatBoard, line
from penstock.worker.holdings import Holdings

START_SECONDS = 30.0
STOP_SECONDS = 5.0
# The descriptor itself: whoever replaced sys.stderr may have no file behind it.
STANDARD_ERROR = 2
MOST_DEATHS_A_MINUTE = 5
# One message may name every lease a worker can hold.
LONGEST_MESSAGE_BYTES = 16 * 1024 * 1024

logger = logging.getLogger("penstock.worker")


class Heartbeat:
    """Starts the process that renews leases, restarts it if it dies, and acts on what it tells."""

    def __init__(
        self,
        beat_line: dict[str, Any],
        timings: LeaseTimings,
        holdings: Holdings,
        clock: Clock,
        give_up: Callable[[WorkerError], None],
    ) -> None:
        """``give_up`` is called when this worker can or may not go on."""
        self._beat_line = beat_line
        self._timings = timings
        self._holdings = holdings
        self._clock = clock
        self._give_up = give_up
        self.board = BeatBoard.create(4 * holdings.max_concurrent + 256)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_seconds = min(0.5, timings.beat_seconds / 2)
        self._breath: threading.Thread | None = None
        self._closing = threading.Event()
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS_A_MINUTE)

    async def start(self) -> None:
        """Start the process and wait until it is ready; raises ``HeartbeatError`` if it is not."""
        # For good: another worker of this process may still need it, and unhandled the signal kills.
        faulthandler.register(signal.SIGUSR2, file=STANDARD_ERROR, all_threads=True, chain=False)
        self._tick()
        self._breath = threading.Thread(target=self._breathe, name="penstock-breath", daemon=True)
        self._breath.start()
        await self._spawn()
        self._task = asyncio.get_running_loop().create_task(self.run(), name="penstock-heartbeat")
        self._task.add_done_callback(self._ended)

    async def run(self) -> None:
        """Act on what the process tells; start it anew when it dies."""
        is_alive = True
        while is_alive:
            await self._listen()
            is_alive = await self._revive()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(HeartbeatError(f"the heartbeat failed: {error!r}"))

    def post(self) -> None:
        """Write the leases held to the board; called before a claimed job's handler runs."""
        self.board.post(
            [
                line(holding.serial, True, job_id, holding.claimed.lease)
                if holding.in_thread
                else holding.board_line
                for job_id, holding in self._holdings.by_id.items()
            ]
        )

    async def stop(self) -> None:
        """End the process and free the board."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._closing.set()
        if self._breath is not None:
            self._breath.join()
        self.board.close()

    def _tick(self) -> None:
        self.board.turn(self._clock.script_time_ms())
        self.post()
        self._ticker = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _breathe(self) -> None:
        while not self._closing.wait(self._tick_seconds):
            self.board.breathe()

    async def _revive(self) -> bool:
        """Start the process anew; ``False`` when it has died too often, which ends the worker."""
        while True:
            self._deaths.append(time.monotonic())
            if len(self._deaths) == MOST_DEATHS_A_MINUTE and self._deaths[-1] - self._deaths[0] < 60:  # noqa: PLR2004
                self._give_up(HeartbeatError("the heartbeat process died five times within a minute"))
                return False
            logger.error("heartbeat: its process died; starting it anew")
            try:
                await self._spawn()
            except HeartbeatError as error:
                logger.error("heartbeat: %s", error)
            else:
                return True

    async def _spawn(self) -> None:
        given = self._beat_line | {
            "timings": asdict(self._timings),
            "board": self.board.descriptor,
            "board_bytes": self.board.size_bytes,
            "parent": os.getpid(),
        }
        self._process = process = await self._launch()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        process.stdin.write(json.dumps(given).encode() + b"\n")
        try:
            async with asyncio.timeout(START_SECONDS):
                first = await process.stdout.readline()
        except TimeoutError:
            first = b""
        if b"ready" not in first:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise HeartbeatError("the heartbeat process did not start; its reason is on standard error above")

    async def _launch(self) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "penstock.worker.beat_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_MESSAGE_BYTES,
                pass_fds=(self.board.descriptor,),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        except OSError as error:
            raise HeartbeatError(f"the heartbeat process could not be started: {error}") from error

    async def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - started before
        while told := await self._process.stdout.readline():
            self._act(json.loads(told))
        await self._process.wait()

    def _act(self, told: dict[str, Any]) -> None:
        for job_id, lease in told.get("lost", ()):
            if self._holdings.stop(job_id, "lost", lease):
                logger.warning("job %s: its lease was lost; the handler is stopped", job_id)
        for job_id, lease in told.get("cancelled", ()):
            if self._holdings.stop(job_id, "cancel", lease):
                logger.info("job %s: cancellation asked for; the handler is stopped", job_id)
        if "stalled" in told:
            self._after_stall(told["stalled"], told["released"])
        if "trouble" in told:
            logger.warning("heartbeat: %s; trying again", told["trouble"])
        if told.get("superseded"):
            self._give_up(
                WorkerSupersededError(
                    f"another process started as worker {self._beat_line['worker_id']!r}; this one stops. "
                    "Give each worker its own --worker-id"
                )
            )

    def _after_stall(self, blamed: list[list[str]], spared: list[list[str]]) -> None:
        logger.error(
            "the event loop stood still for more than %g s (the stack is on standard error); "
            "let go: %s, released: %s",
            self._timings.stall_seconds,
            [job_id for job_id, _ in blamed],
            [job_id for job_id, _ in spared],
        )
        for job_id, lease in (*blamed, *spared):
            self._holdings.stop(job_id, "lost", lease)
