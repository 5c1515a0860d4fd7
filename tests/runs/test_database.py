"""The database: migrations by many at once, and what is said when PostgreSQL is not as expected."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from penstock.core.errors import (
    ConfigurationError,
    HistoryUnavailableError,
    PenstockError,
    StoreError,
    UnwritableFactError,
)
from penstock.runs.database import Database, migrate
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.history import HistoryReader, open_history
from penstock.runs.models import metadata
from tests.runs.postgres_support import connected

MIGRATE = """
import alembic.command, asyncio, os, sys
from penstock.runs.database import migrate
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(migrate(os.environ["URL"]))
"""


async def test_four_processes_migrate_at_once(empty_database_url: str) -> None:
    environment = {**os.environ, "URL": empty_database_url}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    ends = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, ends
    async with connected(empty_database_url) as connection:
        assert await connection.fetchval("SELECT string_agg(version_num, ',') FROM alembic_version") == "0001"
    await migrate(empty_database_url)
    async with Database(empty_database_url) as database:
        assert await HistoryReader(database).list_runs() == []


async def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    async with database.begin() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}),
                metadata,
            )
        )
    assert differences == []


async def test_failed_migration_leaves_nothing(empty_database_url: str) -> None:
    async with connected(empty_database_url) as connection:
        await connection.execute("CREATE TABLE deliveries (in_the_way text)")
        with pytest.raises(StoreError, match="deliveries"):
            await migrate(empty_database_url)
        assert await connection.fetchval("SELECT to_regclass('runs')") is None
        await connection.execute("DROP TABLE deliveries")
        await migrate(empty_database_url)
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0


async def test_tables_of_a_newer_penstock_are_left_alone(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=r"does not know.*upgrade Penstock"):
        await migrate(database_url)


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "postgresql+asyncpg://h/d", "", "h:5432", "postgresql://[::1"]
)
async def test_url_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected postgresql://"):
        Database(url)
    with pytest.raises(ConfigurationError, match="expected postgresql://"):
        await migrate(url)


async def test_postgres_that_is_away_is_named_without_its_password(unused_tcp_port: int) -> None:
    url = f"postgresql://me:hidden-word@127.0.0.1:{unused_tcp_port}/db"
    async with open_history(url) as history:
        assert history is not None
        with pytest.raises(
            HistoryUnavailableError, match=rf"127\.0\.0\.1:{unused_tcp_port}/db did not"
        ) as away:
            await history.ping()
    assert "hidden-word" not in str(away.value)
    assert isinstance(away.value, ConnectionError)
    with pytest.raises(HistoryUnavailableError, match="is it running"):
        await migrate(url)


async def test_history_without_a_url_is_none() -> None:
    async with open_history(None) as history:
        assert history is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("penstock:", "penstock:x"), "refused the login.*PENSTOCK_DATABASE_URL"),
        (("//penstock:", "//nobody:"), "refused the login"),
        (("/test_", "/none_"), "refused the login.*does not exist"),
    ],
)
async def test_wrong_login_is_a_setting_to_correct(
    database_url: str, change: tuple[str, str], expected: str
) -> None:
    async with Database(database_url.replace(*change)) as database:
        with pytest.raises(ConfigurationError, match=expected) as refused:
            await database.ping()
    assert database_url.split(":")[2].split("@", maxsplit=1)[0] not in str(refused.value)


async def test_missing_tables_say_who_makes_them(empty_database_url: str) -> None:
    async with Database(empty_database_url) as database:
        with pytest.raises(HistoryUnavailableError, match=r"no tables of Penstock yet.*start a keeper"):
            await HistoryReader(database).list_runs()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT CAST('2026-02-30' AS date)", UnwritableFactError),
        ('SELECT CAST(\'{"a": "\\u0000"}\' AS jsonb)', UnwritableFactError),
        ("SELECT nonsense", StoreError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", HistoryUnavailableError),
        ("SET statement_timeout = 1; SELECT pg_sleep(10)", HistoryUnavailableError),
    ],
)
async def test_errors_say_whether_waiting_helps(
    database: Database, statement: str, expected: type[PenstockError]
) -> None:
    async def attempt() -> None:
        async with database.begin() as connection:
            for part in statement.split("; "):
                await connection.execute(text(part.replace(":", "\\:")))

    with pytest.raises(expected) as raised:
        await attempt()
    assert type(raised.value) is expected
    await database.ping()


async def test_pool_survives_a_restart(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "data", settings={"fsync": "off"}) as server:
        url = server.url
        database = Database(url)
        await database.ping()
    with pytest.raises(HistoryUnavailableError):
        await database.ping()
    async with EmbeddedPostgres(tmp_path / "data", settings={"fsync": "off"}) as server:
        assert server.url == url
        await database.ping()
        await database.close()
