"""A PostgreSQL a session, and an empty database with its tables a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from urllib.parse import urlsplit

import pytest

from penstock.runs.database import Database, migrate
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.history import HistoryReader
from penstock.runs.projector import Projector
from penstock.runs.queues import run_queue_config
from penstock.store.streams import RedisStreamsQueue
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.runs.postgres_support import connected

_numbers = count(1)


def database_of(url: str, name: str) -> str:
    """The url of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def postgres(guardian: Guardian) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this session (of this worker, under xdist): not to be stopped."""
    server = EmbeddedPostgres(guardian.directory("postgres") / "data", settings={"fsync": "off"})
    asyncio.run(server.start())
    asyncio.run(_make_template(server.url))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database without tables."""
    async for url in _new_database(postgres.url, "template0"):
        yield url


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database with Penstock's tables, all of them empty."""
    async for url in _new_database(postgres.url, "with_tables"):
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The same, open."""
    async with Database(database_url) as database:
        yield database


@pytest.fixture
def history(database: Database) -> HistoryReader:
    """Its reader."""
    return HistoryReader(database)


@pytest.fixture
async def queue(make_queue: MakeQueue) -> RedisStreamsQueue:
    """The run queue; retries come soon."""
    config = run_queue_config().model_copy(update={"retry_base_delay": 0.05})
    return await make_queue("runs", config=config)


@pytest.fixture
async def run_projector() -> AsyncIterator[Callable[[Projector], Projector]]:
    """Starts projectors; they stop with the test."""
    started: list[Projector] = []

    def start(projector: Projector) -> Projector:
        started.append(projector)
        projector.start()
        return projector

    yield start
    for projector in started:
        await projector.stop()


async def _make_template(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("CREATE DATABASE with_tables")
    await migrate(database_of(url, "with_tables"))


async def _new_database(url: str, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    async with connected(url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database_of(url, name)
    async with connected(url) as connection:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
