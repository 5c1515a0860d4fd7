"""Worker processes: Penstock's as ``penstock worker`` runs them, and those of the raw baseline."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import penstock
from penstock.bench.arena import Arena
from penstock.core.errors import WorkerError

STOP_SECONDS = 10.0


@asynccontextmanager
async def penstock_worker(
    arena: Arena, queue_name: str, concurrency: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``penstock worker`` on a queue, with the benchmark's handlers."""
    words = ["penstock", "worker", "--queue", queue_name, "--concurrency", str(concurrency)]
    words += ["--handlers", "penstock.bench.handlers:HANDLERS", "--log-level", "error"]
    async with _python(arena, words) as process:
        yield process


@asynccontextmanager
async def raw_worker(
    arena: Arena, role: str, stream: str, at_once: int = 1
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker of the raw baseline in the ``role`` of ``drain`` or ``stamp``."""
    async with _python(arena, ["penstock.bench.raw_worker", role, stream, str(at_once)]) as process:
        yield process


def check_alive(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Raise ``WorkerError`` if one of them has ended."""
    for process in processes:
        if process.returncode is not None:
            raise WorkerError(
                f"a worker of the benchmark ended with code {process.returncode}; "
                "what it said stands above on standard error"
            )


@asynccontextmanager
async def _python(arena: Arena, words: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env=arena.environment() | {"PYTHONPATH": _python_path()},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _end(process)


def _python_path() -> str:
    home = str(Path(penstock.__file__).resolve().parents[1])
    return os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
