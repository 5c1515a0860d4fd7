"""The demo's worker processes: started, watched, killed, and all gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import penstock
from penstock.core.errors import WorkerError

HANDLERS = "penstock.cli.demo.handlers:HANDLERS"
CONCURRENCY = 2
GRACE_SECONDS = 2
STOP_SECONDS = 6.0
_LOG_TAIL_LINES = 8


@dataclass(slots=True)
class WorkerProcess:
    """One `penstock worker` process and the file its log goes to."""

    worker_id: str
    process: asyncio.subprocess.Process
    log: Path
    killed: bool = False

    @property
    def pid(self) -> int:
        """The process id of the worker itself."""
        return self.process.pid


class WorkerProcesses:
    """Starts `count` workers on a queue; when left, they are stopped, by force if need be.

    The server's url goes through the environment: it may hold a password, and arguments are
    readable for every user of the machine.
    """

    def __init__(self, count: int, queue_name: str, redis_url: str, directory: Path) -> None:
        self._count = count
        self._queue_name = queue_name
        self._redis_url = redis_url
        self._directory = directory
        self.workers: list[WorkerProcess] = []

    async def __aenter__(self) -> Self:
        try:
            for number in range(1, self._count + 1):
                self.workers.append(await self._start(f"demo-{number}"))
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    def check(self) -> None:
        """Raise `WorkerError` with the end of its log if a worker ended that was not killed."""
        for worker in self.workers:
            if not worker.killed and worker.process.returncode is not None:
                raise WorkerError(
                    f"worker {worker.worker_id} ended with code {worker.process.returncode}. "
                    f"Its last words:\n{_tail(worker.log)}"
                )

    async def kill(self, worker_id: str) -> None:
        """End one worker by SIGKILL, and nothing beside it; returns when it is gone."""
        worker = next(one for one in self.workers if one.worker_id == worker_id)
        worker.killed = True
        worker.process.kill()
        await worker.process.wait()

    async def _start(self, worker_id: str) -> WorkerProcess:
        log = self._directory / f"{worker_id}.log"
        words = ["--queue", self._queue_name, "--worker-id", worker_id, "--handlers", HANDLERS]
        words += ["--concurrency", str(CONCURRENCY), "--grace-seconds", str(GRACE_SECONDS)]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "penstock", "worker", *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Not the analysed folder: its modules must not be mistaken for those of workers.
                cwd=self._directory,
                env=self._environment(),
                # Ctrl-C is for the demo, which then stops its workers in order.
                start_new_session=True,
            )
        return WorkerProcess(worker_id, process, log)

    def _environment(self) -> dict[str, str]:
        package_home = str(Path(penstock.__file__).resolve().parents[1])
        paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PENSTOCK_REDIS_URL": self._redis_url,
        }

    async def _stop(self) -> None:
        running = [one for one in self.workers if one.process.returncode is None]
        for worker in running:
            with contextlib.suppress(ProcessLookupError):
                worker.process.terminate()
        if not running:
            return
        ends = [asyncio.ensure_future(worker.process.wait()) for worker in running]
        _, stubborn = await asyncio.wait(ends, timeout=STOP_SECONDS)
        if stubborn:
            for worker in running:
                if worker.process.returncode is None:
                    worker.process.kill()
            await asyncio.wait(stubborn)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(it wrote nothing)"
