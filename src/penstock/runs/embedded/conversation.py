"""What is said to PostgreSQL: who are you, are you ready, please stop."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

import asyncpg

from penstock.runs.embedded.directory import DATABASE, PostgresEndpoint
from penstock.store.embedded.lifecycle import NotReady, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.runs.embedded.directory import DataDirectory

#: Long enough for a loopback answer; whoever asks, asks again.
_ANSWER_SECONDS = 2.0
#: Lines of the pid file that say who runs: process id, data directory, start time.
_IDENTITY_LINES = 3


async def look(directory: DataDirectory) -> Running | NotReady:
    """Ask the server that the data directory points at whether it is the one, and ready.

    The password alone is no proof (a copied data directory has the same one), so the server also
    reads out the pid file of the cluster it works in.
    """
    endpoint = directory.read_endpoint()
    if not isinstance(endpoint, PostgresEndpoint) or not endpoint.port:
        return NotReady("it has not written where it listens")
    try:
        async with _connected(endpoint) as connection:
            told = await connection.fetchval("SELECT pg_read_file('postmaster.pid')")
            if _identity(told) != _identity(directory.pid_file.read_text()):
                return NotReady(f"port {endpoint.port} is answered by the server of another directory")
            await _make_database(connection)
    except asyncpg.CannotConnectNowError as error:
        return NotReady(f"it is not ready ({error})")
    except asyncpg.InvalidAuthorizationSpecificationError:
        return NotReady(f"port {endpoint.port} is answered by another server")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        return NotReady(f"port {endpoint.port} does not answer ({str(error) or type(error).__name__})")
    return Running(int(_identity(told)[0]), endpoint)


async def signal_server(directory: DataDirectory, number: signal.Signals) -> str:
    """Signal a server that is no child of this process; returns why it was not, if so.

    The server is asked for its process id before and after that is pinned, so that no other
    process can be meant.
    """
    found = await look(directory)
    if not found.is_ready:
        return found.reason
    try:
        if not hasattr(os, "pidfd_open"):
            os.kill(found.pid, number)
            return ""
        pinned = os.pidfd_open(found.pid)
        try:
            if await look(directory) == found:
                signal.pidfd_send_signal(pinned, number)
        finally:
            os.close(pinned)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"it cannot be signalled: {error.strerror}"
    return ""


async def _make_database(connection: Any) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
        return
    # Another user of the same server may be making it at this moment.
    with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        await connection.execute(f"CREATE DATABASE {DATABASE}")


@contextlib.asynccontextmanager
async def _connected(endpoint: PostgresEndpoint) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        endpoint.url_of("postgres"), timeout=_ANSWER_SECONDS, command_timeout=_ANSWER_SECONDS, ssl=False
    )
    try:
        yield connection
    finally:
        connection.terminate()


def _identity(pid_file: str) -> list[str]:
    return pid_file.split("\n")[:_IDENTITY_LINES]
