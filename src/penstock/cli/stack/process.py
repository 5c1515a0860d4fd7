"""One child process of a stack: started, listened to, stopped or killed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LAST_LINES: Final = 12
_LONGEST_LINE_BYTES: Final = 1024 * 1024
_OUTPUT_ENDS_SECONDS: Final = 2.0

Echo = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Service:
    """What a child is called, what it runs with which words, and how long it may take to stop."""

    name: str
    module: str
    words: tuple[str, ...]
    stop_seconds: float = 15.0


class ServiceProcess:
    """A running service. Its output goes line by line to `echo`, and its last lines are kept."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process, echo: Echo) -> None:
        """Made by `start`."""
        self.service = service
        self._process = process
        self._echo = echo
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._listener = asyncio.create_task(self._listen(), name=f"listener of {service.name}")

    @classmethod
    async def start(
        cls, service: Service, environment: Mapping[str, str], directory: Path, echo: Echo
    ) -> ServiceProcess:
        """Start the service in `directory`; secrets belong in `environment`, which others cannot read."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", service.module, *service.words),
            # The leash: it is never written to, and closes when this process ends.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE_BYTES,
            cwd=directory,
            env=environment,
            # Ctrl-C is for the parent, which then stops its children in order.
            start_new_session=True,
        )
        return cls(service, process, echo)

    @property
    def name(self) -> str:
        """What the service is called."""
        return self.service.name

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def last_words(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self._last) or "(it wrote nothing)"

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        code = await self._process.wait()
        await asyncio.wait([self._listener], timeout=_OUTPUT_ENDS_SECONDS)
        return code

    async def kill(self) -> None:
        """End it by SIGKILL; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()

    async def stop(self) -> None:
        """End it in order, by force after its time; returns when it is gone."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(self.service.stop_seconds):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
        await asyncio.wait([self._listener], timeout=_OUTPUT_ENDS_SECONDS)
        self._listener.cancel()

    async def _listen(self) -> None:
        stream = self._process.stdout
        while stream is not None and (raw := await _line_of(stream)):
            line = raw.decode(errors="replace").rstrip("\n")
            self._last.append(line)
            self._echo(self.name, line)


async def _line_of(stream: asyncio.StreamReader) -> bytes:
    """The next line; of one that is too long, what is left after the limit."""
    while True:
        try:
            return await stream.readline()
        except ValueError:
            continue
