"""What the tests of the embedded PostgreSQL share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from tests.store.embedded_support import User, until


class PostgresUser(User):
    """A ``postgres_user.py`` process in a group of its own."""

    script = Path(__file__).with_name("postgres_user.py")


def servers_in(directory: Path) -> list[int]:
    """The ids of the living PostgreSQL servers (of their first process) at work in ``directory``."""
    return [process.pid for process in processes_in(directory) if "-D" in process.cmdline()]


def processes_in(directory: Path) -> list[psutil.Process]:
    """All living processes of PostgreSQL at work in ``directory``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
            if is_alive and Path(process.cwd()).is_relative_to(directory.resolve()):
                found.append(process)
    return found


async def gone(directory: Path) -> None:
    """Wait until no process of PostgreSQL is at work in ``directory``."""
    await until(lambda: not processes_in(directory))


@contextlib.asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Any]:
    """A plain connection."""
    connection = await asyncpg.connect(url, **{"timeout": 10, "ssl": False} | options)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)
