"""What the tests of the embedded server share: users in processes of their own, and counting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import psutil
from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import Callable

#: A user id without rights, for what root must not do in others' place.
NOBODY = 65534
USER_SCRIPT = Path(__file__).with_name("embedded_user.py")


def servers_in(directory: Path) -> list[int]:
    """The ids of the living servers that work in ``directory`` or below it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_server = process.name().startswith("valkey-server")
            if is_server and process.status() != psutil.STATUS_ZOMBIE:
                place = Path(process.cwd())
                if place.is_relative_to(directory.resolve()):
                    found.append(process.pid)
    return found


def zombies() -> list[int]:
    """Children of this process that ended and were not reaped."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]


async def until(fact: Callable[[], object], pause_seconds: float = 0.005) -> None:
    """Wait, at most 20 s, until ``fact`` is true."""
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110 - other people's processes end without a signal to us
            await asyncio.sleep(pause_seconds)


async def gone(directory: Path) -> None:
    """Wait until no server works in ``directory``."""
    await until(lambda: not servers_in(directory))


async def end_server(pid: int) -> None:
    """SIGKILL a server that a test started, and wait until it is dead."""
    process = psutil.Process(pid)
    process.kill()
    await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def mode_of(path: Path) -> int:
    """Its permission bits."""
    return path.stat().st_mode & 0o777


def contents(path: Path) -> list[Path]:
    """Everything below it."""
    return sorted(path.rglob("*"))


def made(path: Path, mode: int, owner: int | None = None) -> Path:
    """A directory with these permissions and this owner; it may be there already."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def client(url: str) -> Redis:
    """A client that shows text as text."""
    return Redis.from_url(url, decode_responses=True)


class User:
    """An ``embedded_user.py`` process in a group of its own."""

    script: ClassVar[Path] = USER_SCRIPT

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @classmethod
    def start(cls, data_dir: Path, *, nobody_in: Path | None = None) -> Self:
        """Start it, as ``NOBODY`` if a directory is given for what that takes."""
        who = [] if nobody_in is None else [str(NOBODY), str(nobody_in)]
        return cls(
            subprocess.Popen(
                [sys.executable, str(cls.script), str(data_dir), *who],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    async def says(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), 20)
        assert line, f"it ended with {self.process.wait(10)} and said nothing"
        said: dict[str, Any] = json.loads(line)
        return said

    async def leave(self) -> dict[str, Any]:
        """Tell it to stop; returns what it says to that."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        said = await self.says()
        assert self.process.wait(10) == 0
        return said

    def interrupt(self) -> None:
        """What a terminal does on Ctrl-C: SIGINT to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.process.kill()
        self.process.wait(10)
