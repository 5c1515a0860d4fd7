"""Processes of the systems: asked once within a time limit, or kept as workers and then killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from penstock.bench.arena import Arena
from penstock.bench.players.player import ANSWER
from penstock.bench.systems import System

_LINE = 200


class MeasureFailedError(Exception):
    """A measure came to nothing; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A running worker and what it writes on standard error."""

    process: asyncio.subprocess.Process
    errors: IO[bytes]

    @property
    def pid(self) -> int:
        """The process that was started; it may have children."""
        return self.process.pid

    def check_alive(self) -> None:
        """Raise ``MeasureFailedError`` if it has ended."""
        if self.process.returncode is not None:
            self.errors.seek(0)
            raise MeasureFailedError(
                f"its worker ended with code {self.process.returncode}: {_last_line(self.errors.read())}"
            )

    def kill(self) -> None:
        """SIGKILL it and everything it started."""
        kill_tree(self.pid)


async def ask(arena: Arena, system: System, role: str, options: dict[str, Any], limit_s: float) -> Any:
    """Run a role to its end and return its answer; ``MeasureFailedError`` if there is none in time."""
    process = await asyncio.create_subprocess_exec(
        *system.command(role),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(arena, system, options),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit_s):
            said, errors = await process.communicate()
    except TimeoutError:
        raise MeasureFailedError(f"{role}: no answer within {limit_s:.0f} s") from None
    finally:
        await _end(process)
    for line in reversed(said.decode(errors="replace").splitlines()):
        if line.startswith(ANSWER):
            return json.loads(line.removeprefix(ANSWER))
    raise MeasureFailedError(f"{role}: ended with code {process.returncode}: {_last_line(errors)}")


@asynccontextmanager
async def worker(arena: Arena, system: System, options: dict[str, Any]) -> AsyncIterator[WorkerProcess]:
    """A worker, killed with its children at the end."""
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *system.command("worker"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env=_environment(arena, system, options),
            start_new_session=True,
        )
        try:
            yield WorkerProcess(process, errors)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    # The id of a process that has ended may be another's by now.
    if process.returncode is None:
        kill_tree(process.pid)
        await process.wait()


def _environment(arena: Arena, system: System, options: dict[str, Any]) -> dict[str, str]:
    asked = {"url": arena.url, **system.options, **options}
    return arena.environment() | {
        "PYTHONPATH": system.python_path(),
        "PENSTOCK_BENCH": json.dumps(asked),
        "PYTHONWARNINGS": "ignore",
    }


def kill_tree(pid: int) -> None:
    """SIGKILL a process's group, and its descendants that left it."""
    members = tree_of(pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def tree_of(pid: int) -> list[int]:
    """A process and its descendants; only itself where the system has no ``/proc``."""
    found = [pid]
    for member in found:
        with contextlib.suppress(OSError):
            for tasks in Path(f"/proc/{member}/task").iterdir():
                found += [int(child) for child in (tasks / "children").read_text().split()]
    return found


def resident_mb(pid: int) -> float | None:
    """VmRSS of a process and its descendants in MiB; ``None`` where the system has no ``/proc``."""
    sizes = [size for member in tree_of(pid) if (size := _resident(member)) is not None]
    return sum(sizes) if sizes else None


def ticks_of(pid: int) -> int:
    """User and system time of a process and its descendants, in hundredths of a second."""
    return sum(_ticks(member) for member in tree_of(pid))


def _resident(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)


def _ticks(pid: int) -> int:
    try:
        # After the name, which may hold blanks: state is field 3, user and system time 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _last_line(errors: bytes) -> str:
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:_LINE] if lines else "it said nothing"
