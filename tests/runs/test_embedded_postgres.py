"""The embedded PostgreSQL's life: started, shared, adopted, stopped; one server, and nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from penstock.runs.embedded import EmbeddedPostgres, engine
from tests.runs.postgres_support import PostgresUser, connected, gone, processes_in, servers_in
from tests.store.embedded_support import NOBODY, contents, made, mode_of, until, zombies

IS_ROOT = os.geteuid() == 0
FAST = {"fsync": "off"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; a failing test leaves no server in it."""
    yield tmp_path / "data"
    for process in processes_in(tmp_path):
        process.kill()


async def test_start_serves_and_stop_leaves_only_the_data(data_dir: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    await server.start()
    async with connected(server.url) as connection:
        await connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('there')")
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW server_version") >= "18"
        assert await connection.fetchval("SELECT current_database()") == "penstock"
        # A client that does not go does not hold up the stop.
        assert servers_in(tmp_path) == [server.pid]
        url = server.url
        await server.stop()
    await server.stop()
    assert processes_in(tmp_path) == []
    assert zombies() == []
    assert contents(tmp_path) == [data_dir, *contents(data_dir)]
    assert not (data_dir / "cluster" / "postmaster.pid").exists(), "it did not end in order"
    async with EmbeddedPostgres(data_dir) as again, connected(again.url) as connection:
        assert again.url == url
        assert not again.adopted
        assert await connection.fetchval("SELECT word FROM kept") == "there"


async def test_others_on_the_machine_are_kept_out(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        password = server.url.partition("@")[0].rpartition(":")[2]
        assert len(password) >= 32
        for wrong in (server.url.replace(password, "guess"), server.url.replace(f":{password}@", "@")):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                async with connected(wrong, passfile="/nowhere"):
                    pytest.fail("a stranger was let in")
        for process in processes_in(data_dir):
            assert password not in " ".join(process.cmdline())
            assert set(process.environ()) <= {"LC_ALL", "PATH", "PGDATA", "PG_GRANDPARENT_PID"}
            assert 0 not in process.uids()
        assert {c.laddr.ip for c in psutil.Process(server.pid).net_connections("tcp")} == {"127.0.0.1"}
        assert mode_of(data_dir) == 0o700
        assert [path for path in contents(data_dir) if mode_of(path) & 0o077] == []


async def test_survivor_of_a_killed_parent_is_adopted_and_stopped(data_dir: Path) -> None:
    with PostgresUser.start(data_dir) as parent:
        started = await parent.says()
        parent.kill()
    assert servers_in(data_dir) == [started["pid"]]
    async with EmbeddedPostgres(data_dir) as server:
        assert server.adopted
        assert (server.pid, server.url) == (started["pid"], started["url"])
        assert servers_in(data_dir) == [started["pid"]]
    await gone(data_dir)
    assert not (data_dir / "cluster" / "postmaster.pid").exists(), "it did not end in order"


async def test_many_starting_at_once_share_one_server_and_the_last_out_stops_it(data_dir: Path) -> None:
    with contextlib.ExitStack() as processes:
        users = [processes.enter_context(PostgresUser.start(data_dir)) for _ in range(4)]
        told = await asyncio.gather(*(user.says() for user in users))
        assert len({one["pid"] for one in told}) == 1, told
        assert sorted(one["adopted"] for one in told) == [False, True, True, True]
        for user in users[:3]:
            assert await user.leave() == {"stopped": True}
            assert servers_in(data_dir) == [told[0]["pid"]]
        await users[3].leave()
        assert processes_in(data_dir) == []


async def test_parent_killed_while_the_cluster_is_made(data_dir: Path) -> None:
    with PostgresUser.start(data_dir) as parent:
        await until((data_dir / "cluster.new" / "cluster" / "base").exists)
        parent.kill()
    assert not (data_dir / "cluster").exists()
    async with EmbeddedPostgres(data_dir, settings=FAST) as server, connected(server.url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert not (data_dir / "cluster.new").exists()


async def test_what_was_committed_survives_sigkill(data_dir: Path) -> None:
    first = EmbeddedPostgres(data_dir)
    await first.start()
    async with connected(first.url) as connection:
        await connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('there')")
        psutil.Process(first.pid).kill()
    # At once: orphaned children of the dead server must not meet a second one.
    async with EmbeddedPostgres(data_dir, settings=FAST) as second:
        assert second.url == first.url
        assert second.pid != first.pid
        assert servers_in(data_dir) == [second.pid]
        async with connected(second.url) as connection:
            assert await connection.fetchval("SELECT word FROM kept") == "there"
        await first.stop()
        assert servers_in(data_dir) == [second.pid], "a server was stopped under its user"


async def test_server_that_does_not_stop_is_ended(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings=FAST, stop_timeout_seconds=0.3)
    await server.start()
    walwriter = next(each for each in processes_in(data_dir) if "checkpointer" in " ".join(each.cmdline()))
    walwriter.send_signal(signal.SIGSTOP)
    await server.stop()
    walwriter.send_signal(signal.SIGCONT)
    await gone(data_dir)
    assert zombies() == []


async def test_copy_of_a_data_directory_is_another_server(data_dir: Path, tmp_path: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as server:
        url = server.url
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy, copy_function=shutil.copy2)
    if IS_ROOT:
        for path in ((copy / "cluster"), *(copy / "cluster").rglob("*")):
            os.chown(path, *_owner(data_dir / "cluster"))
    async with EmbeddedPostgres(data_dir, settings=FAST), EmbeddedPostgres(copy, settings=FAST) as other:
        assert other.url != url
        assert not other.adopted
        assert len(servers_in(tmp_path)) == 2


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
async def test_ordinary_user_runs_it_as_itself() -> None:
    with tempfile.TemporaryDirectory() as place:
        room = made(Path(place), 0o755)
        data_dir = made(room / "data", 0o700, NOBODY)
        with PostgresUser.start(data_dir, nobody_in=made(room / "scratch", 0o755)) as user:
            told = await user.says()
            assert "pid" in told, told
            assert {process.uids().real for process in processes_in(data_dir)} == {NOBODY}
            assert data_dir.stat().st_uid == NOBODY
            assert await user.leave() == {"stopped": True}
        # The pid of a dead server may be another process of the same user by now: here, the next one.
        with PostgresUser.start(data_dir, nobody_in=room / "scratch") as bystander:
            await bystander.says()
            parent = bystander.process.pid
            psutil.Process(servers_in(data_dir)[0]).kill()
            await gone(data_dir)
            pid_file = data_dir / "cluster" / "postmaster.pid"
            lines = pid_file.read_text().split("\n")
            pid_file.write_text("\n".join([str(parent), *lines[1:]]))
            with PostgresUser.start(data_dir, nobody_in=room / "scratch") as user:
                told = await user.says()
                assert "pid" in told, told
        for process in processes_in(data_dir):
            process.kill()
        await gone(data_dir)


async def test_engine_prefers_the_given_url(data_dir: Path) -> None:
    async with engine("postgresql://elsewhere/db", data_dir) as url:
        assert url == "postgresql://elsewhere/db"
    assert contents(data_dir.parent) == []


def _owner(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_uid, facts.st_gid
