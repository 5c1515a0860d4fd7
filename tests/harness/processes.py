"""Real worker processes: started, read line by line, killed, frozen and always cleaned up."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.freezing import freeze
from tests.harness.ledger import LEDGER_VARIABLE
from tests.harness.waiting import Signal, WaitTimeout

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_LINE_BYTES = 16 * 1024 * 1024
PIPES_CLOSE_SECONDS = 5.0


class ManagedProcess:
    """A process that leads its own group, with its output as lists of lines.

    `lines` holds both streams in the order of arrival, `stdout` and `stderr` each one alone.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._process = process
        self._signal = Signal()
        self._open_streams = 2
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self.stdout)),
            asyncio.create_task(self._read(process.stderr, self.stderr)),
        ]

    @property
    def pid(self) -> int:
        """The pid, and the id of the process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process is there."""
        return self._process.returncode

    async def line(self, pattern: str, *, after: int = 0, timeout_seconds: float = 15.0) -> str:
        """Return the first output line, from index `after` on, in which the regex is found.

        Raises WaitTimeout with all output when it does not come, at once if the process has ended.
        """
        wanted = re.compile(pattern)

        def found() -> str | None:
            return next((line for line in self.lines[after:] if wanted.search(line)), None)

        await self._signal.until(
            lambda: found() is not None or self._open_streams == 0,
            timeout_seconds,
            lambda: f"no line like {pattern!r} in:\n{self.output}",
        )
        line = found()
        if line is None:
            raise WaitTimeout(f"ended without a line like {pattern!r}:\n{self.output}")
        return line

    @property
    def output(self) -> str:
        """Everything written so far, for messages."""
        return "\n".join([f"(exit code {self.returncode})", *self.lines])

    async def exited(self, timeout_seconds: float = 15.0) -> int:
        """Return the exit code when the process has ended and its output is read to the end.

        A grandchild that keeps the output open delays this by 5 s at most.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                code = await self._process.wait()
        except TimeoutError:
            raise WaitTimeout(f"process {self.pid} has not ended:\n{self.output}") from None
        await asyncio.wait(self._readers, timeout=PIPES_CLOSE_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to shut down (SIGTERM to the process alone)."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the process alone: what it started must notice by itself."""
        self._process.kill()

    def stop_parent(self) -> None:
        """Freeze the process alone; what it started goes on."""
        freeze(self.pid)

    def cont_parent(self) -> None:
        """Let the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop_group(self) -> None:
        """Freeze the process and all it started, as a suspended machine would."""
        freeze(self.pid, group=True)

    def cont_group(self) -> None:
        """Let the whole group go on."""
        os.killpg(self.pid, signal.SIGCONT)

    async def close(self) -> None:
        """Kill the whole group and wait until it is gone. For the fixtures."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.exited()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _read(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        if stream is None:
            raise RuntimeError("the process was started without pipes")
        async for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            into.append(line)
            self.lines.append(line)
            self._signal.notify()
        self._open_streams -= 1
        self._signal.notify()


class ProcessStarter:
    """Starts processes of one test, knowing its server and its ledger; ends them all."""

    def __init__(self, url: str, ledger: Path) -> None:
        self._environment = {"PENSTOCK_REDIS_URL": url, LEDGER_VARIABLE: str(ledger)}
        self._started: list[ManagedProcess] = []

    async def worker(
        self,
        handlers: str,
        *extra: str,
        queue: str = "default",
        worker_id: str | None = None,
        concurrency: int | None = None,
        url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ManagedProcess:
        """Start `python -m penstock worker` with handlers `package.module:name`.

        `extra` are further arguments. Returns at once: await a line or a ledger entry.
        """
        words = ["--queue", queue, "--handlers", handlers]
        if worker_id is not None:
            words += ["--worker-id", worker_id]
        if concurrency is not None:
            words += ["--concurrency", str(concurrency)]
        if url is not None:
            words += ["--redis-url", url]
        command = ("-m", "penstock", "worker", *words, *extra)
        return await self.python(*command, environment=environment)

    async def python(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
    ) -> ManagedProcess:
        """Start this Python with the given arguments; `tests` and `penstock` can be imported."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE_BYTES,
            start_new_session=True,
            env={**os.environ, **self._paths(), **self._environment, **(environment or {})},
        )
        managed = ManagedProcess(process)
        self._started.append(managed)
        return managed

    async def close(self) -> None:
        """End every process that was started."""
        for process in self._started:
            await process.close()

    def _paths(self) -> dict[str, str]:
        inherited = os.environ.get("PYTHONPATH")
        paths = [str(REPOSITORY), str(REPOSITORY / "src"), *([inherited] if inherited else [])]
        return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
