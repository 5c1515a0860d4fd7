"""The embedded server's life: started, shared, adopted, stopped; one server, and nothing left."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from redis import exceptions

from penstock.core.errors import EmbeddedServerError
from penstock.store.embedded import EmbeddedValkey, engine
from tests.harness.ports import taken
from tests.store.embedded_support import (
    NOBODY,
    User,
    client,
    contents,
    end_server,
    gone,
    made,
    mode_of,
    servers_in,
    until,
    zombies,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; a failing test leaves no server in it."""
    yield tmp_path / "data"
    for pid in servers_in(tmp_path):
        psutil.Process(pid).kill()


async def test_start_serves_and_stop_leaves_only_the_data(data_dir: Path, tmp_path: Path) -> None:
    server = EmbeddedValkey(data_dir)
    await server.start()
    async with client(server.url) as redis:
        await redis.set("greeting", "hello")
        settings = await redis.config_get("*")
        assert (await redis.info("server"))["process_id"] == server.pid
    assert servers_in(tmp_path) == [server.pid]
    assert not server.adopted
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "hash-max-listpack-value": "2048",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "dir": str(data_dir),
    }
    assert {name: settings[name] for name in wanted} == wanted
    await server.stop()
    await server.stop()
    assert servers_in(tmp_path) == []
    assert zombies() == []
    assert contents(tmp_path) == [data_dir, *contents(data_dir)]
    with pytest.raises(EmbeddedServerError, match="not started"):
        _ = server.url


async def test_others_on_the_machine_are_kept_out(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as server:
        password = server.url.partition("@")[0].rpartition(":")[2]
        assert len(password) >= 32
        async with client(server.url.replace(f":{password}@", "")) as stranger:
            with pytest.raises(exceptions.AuthenticationError):
                await stranger.ping()
        assert password not in " ".join(psutil.Process(server.pid).cmdline())
        assert mode_of(data_dir) == 0o700
        assert [path for path in contents(data_dir) if mode_of(path) & 0o077] == []


async def test_restart_keeps_data_and_url(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as first:
        url = first.url
        async with client(url) as redis:
            await redis.hset("job", mapping={"status": "pending", "payload": "x" * 1500})
    async with EmbeddedValkey(data_dir) as second:
        assert second.url == url
        assert not second.adopted
        async with client(second.url) as redis:
            assert (await redis.hgetall("job"))["payload"] == "x" * 1500
            assert await redis.object("encoding", "job") == "listpack"


async def test_survivor_of_a_killed_parent_is_adopted_and_stopped(data_dir: Path) -> None:
    with User.start(data_dir) as parent:
        started = await parent.says()
        parent.kill()
    assert servers_in(data_dir) == [started["pid"]]
    async with EmbeddedValkey(data_dir) as server:
        assert server.adopted
        assert (server.pid, server.url) == (started["pid"], started["url"])
        assert servers_in(data_dir) == [started["pid"]]
    await gone(data_dir)


async def test_parent_killed_while_starting_is_survived_too(data_dir: Path) -> None:
    for _ in range(3):
        with User.start(data_dir) as parent:
            await until(lambda: servers_in(data_dir), pause_seconds=0)
            parent.kill()
            found = servers_in(data_dir)
        async with EmbeddedValkey(data_dir) as server:
            assert server.adopted
            assert servers_in(data_dir) == found == [server.pid]
        await gone(data_dir)


async def test_two_processes_at_once_share_one_server_until_the_last_leaves(
    data_dir: Path,
) -> None:
    with User.start(data_dir) as one, User.start(data_dir) as two:
        said = {user: await user.says() for user in (one, two)}
        assert said[one]["pid"] == said[two]["pid"]
        assert servers_in(data_dir) == [said[one]["pid"]]
        assert sorted(facts["adopted"] for facts in said.values()) == [False, True]
        owner, guest = sorted(said, key=lambda user: bool(said[user]["adopted"]))
        assert await owner.leave() == {"stopped": True}
        async with client(said[guest]["url"]) as redis:
            assert await redis.ping()
        assert await guest.leave() == {"stopped": True}
        await gone(data_dir)


async def test_many_objects_at_once_share_one_server(data_dir: Path) -> None:
    servers = [EmbeddedValkey(data_dir) for _ in range(8)]
    await asyncio.gather(*(server.start() for server in servers))
    assert len({server.pid for server in servers}) == 1
    assert sum(not server.adopted for server in servers) == 1
    assert len(servers_in(data_dir)) == 1
    await asyncio.gather(*(server.stop() for server in servers))
    assert servers_in(data_dir) == []
    assert zombies() == []


async def test_newcomers_while_the_last_user_leaves_never_lose_their_server(
    data_dir: Path,
) -> None:
    current = EmbeddedValkey(data_dir)
    await current.start()
    for _ in range(10):
        newcomer = EmbeddedValkey(data_dir)
        await asyncio.gather(current.stop(), newcomer.start())
        assert servers_in(data_dir) == [newcomer.pid]
        async with client(newcomer.url) as redis:
            assert await redis.ping()
        current = newcomer
    await current.stop()
    assert servers_in(data_dir) == []


async def test_starter_that_leaves_first_reaps_when_the_server_ends(data_dir: Path) -> None:
    starter, guest = EmbeddedValkey(data_dir), EmbeddedValkey(data_dir)
    await starter.start()
    await guest.start()
    await starter.stop()
    async with client(guest.url) as redis:
        assert await redis.ping()
    await guest.stop()
    assert servers_in(data_dir) == []
    await until(lambda: not zombies())


async def test_ctrl_c_reaches_the_owner_and_not_the_server(data_dir: Path) -> None:
    with User.start(data_dir) as owner:
        pid = (await owner.says())["pid"]
        assert os.getsid(pid) == pid
        owner.interrupt()
        assert await owner.says() == {"alive": True}
        assert await owner.leave() == {"stopped": True}
    assert servers_in(data_dir) == []
    assert "SIGINT" not in (data_dir / "valkey.log").read_text()


async def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    first = EmbeddedValkey(data_dir)
    await first.start()
    async with client(first.url) as redis:
        await redis.set("kept", "yes")
        await redis.config_set("appendfsync", "always")
        await redis.set("kept", "still")
    await end_server(first.pid)
    second = EmbeddedValkey(data_dir)
    await second.start()
    assert not second.adopted
    assert second.url == first.url
    assert servers_in(data_dir) == [second.pid]
    async with client(first.url) as redis:
        assert await redis.get("kept") == "still"
    pid = second.pid
    await second.stop()
    assert servers_in(data_dir) == [pid]
    await first.stop()
    assert servers_in(data_dir) == []


async def test_last_user_stops_a_server_that_came_back_on_another_port(data_dir: Path) -> None:
    first = EmbeddedValkey(data_dir)
    await first.start()
    port = int(first.url.rpartition(":")[2])
    await end_server(first.pid)
    with await taken(port):
        async with EmbeddedValkey(data_dir) as second:
            pid = second.pid
            assert second.url != first.url
        assert servers_in(data_dir) == [pid]
        await first.stop()
    assert servers_in(data_dir) == []


async def test_ten_rounds_leave_no_process_descriptor_or_thread(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir):
        pass
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(10):
        async with EmbeddedValkey(data_dir), EmbeddedValkey(data_dir) as guest:
            assert guest.adopted
    assert process.num_fds() == before
    assert servers_in(data_dir) == []
    assert zombies() == []
    assert not [thread for thread in threading.enumerate() if "valkey" in thread.name]


async def test_engine_prefers_the_url_it_is_given(data_dir: Path) -> None:
    async with engine("redis://elsewhere:6379", data_dir) as url:
        assert url == "redis://elsewhere:6379"
        assert contents(data_dir.parent) == []
    async with engine(None, data_dir) as url, client(url) as redis:
        assert await redis.ping()
    assert servers_in(data_dir) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_an_ordinary_user_can_do_all_this() -> None:
    with tempfile.TemporaryDirectory(prefix="penstock-user-") as place:
        home = made(Path(place) / "home", 0o755, NOBODY)
        with User.start(home / "data", nobody_in=Path(place)) as parent:
            started = await parent.says()
            assert "error" not in started, started
            assert psutil.Process(started["pid"]).uids().effective == NOBODY
            parent.kill()
        with User.start(home / "data", nobody_in=Path(place)) as heir:
            assert await heir.says() == {**started, "adopted": True}
            assert await heir.leave() == {"stopped": True}
        assert servers_in(home) == []
        assert {path.stat().st_uid for path in contents(home)} == {NOBODY}
