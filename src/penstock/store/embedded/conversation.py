"""What is said to the server: who are you, are you ready, please stop."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from penstock.store.embedded.lifecycle import NotReady, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.store.embedded.directory import DataDirectory
    from penstock.store.embedded.place import Endpoint

#: Long enough for a loopback answer; whoever asks, asks again.
_ANSWER_SECONDS = 0.5


async def look(directory: DataDirectory) -> Running | NotReady:
    """Ask the server that the data directory points at whether it is the one, and ready.

    The password alone is no proof (a copied data directory has the same one), so the server is
    also asked where it works.
    """
    endpoint = directory.read_endpoint()
    if endpoint is None:
        return NotReady("it has not written where it listens")
    try:
        async with _connected(endpoint) as client:
            await client.ping()
            facts = await client.info("server")
            place = (await client.config_get("dir")).get("dir") or ""
    except exceptions.BusyLoadingError:
        return NotReady("it is still loading its data")
    except exceptions.AuthenticationError:
        return NotReady(f"port {endpoint.port} is answered by another server")
    except (exceptions.RedisError, OSError) as error:
        return NotReady(f"port {endpoint.port} does not answer ({error})")
    if not _same_place(place, directory.path):
        return NotReady(f"port {endpoint.port} is answered by the server of {place}")
    return Running(int(facts["process_id"]), endpoint)


async def ask_to_stop(endpoint: Endpoint) -> str:
    """Send SHUTDOWN, which saves what the server's settings say; return why it goes on, if known.

    A connection that is cut or refused is what is hoped for, and tells nothing.
    """
    try:
        async with _connected(endpoint) as client:
            await client.shutdown(now=True)
    except (exceptions.ConnectionError, OSError):
        return ""
    except exceptions.TimeoutError:
        return "it does not answer"
    except exceptions.RedisError as error:
        return str(error)
    return ""


@contextlib.asynccontextmanager
async def _connected(endpoint: Endpoint) -> AsyncIterator[Redis]:
    client = Redis(
        host="127.0.0.1",
        port=endpoint.port,
        password=endpoint.password,
        decode_responses=True,
        protocol=2,
        socket_connect_timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        single_connection_client=True,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        await client.aclose()


def _same_place(place: str, path: Path) -> bool:
    try:
        return Path(place).samefile(path)
    except OSError:
        return False
