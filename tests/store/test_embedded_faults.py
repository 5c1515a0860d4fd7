"""What goes wrong around the embedded server: each a clear message, and no process left."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from penstock.core.errors import ConfigurationError, EmbeddedServerError
from penstock.store.embedded import EmbeddedValkey
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


#: A server that loads answers its clients after every 1024 commands; here it loads for 1 to 3 s.
LOADED_SLOWLY = 16 * 1024
SLOW_LOADING = {"key-load-delay": "20"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; a failing test leaves no server in it."""
    yield tmp_path / "data"
    for pid in servers_in(tmp_path):
        psutil.Process(pid).kill()


async def refusal(data_dir: Path, **options: Any) -> str:
    """The message with which a start is refused; nothing may be left running."""
    with pytest.raises(EmbeddedServerError) as caught:
        await EmbeddedValkey(data_dir, **options).start()
    await gone(data_dir)
    return str(caught.value)


async def filled(data_dir: Path, keys: int = 100) -> Path:
    """Stores so many keys, stops, and returns the append-only file that holds them."""
    async with EmbeddedValkey(data_dir) as embedded, client(embedded.url) as redis:
        pipeline = redis.pipeline(transaction=False)
        for number in range(keys):
            pipeline.set(f"key-{number}", "value")
        await pipeline.execute()
    (journal,) = (path for path in contents(data_dir) if path.name.endswith(".incr.aof"))
    return journal


async def test_copied_directory_of_a_running_server_gets_its_own(tmp_path: Path) -> None:
    """The stalest of files: endpoint and password are right, and belong to a live server."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    async with EmbeddedValkey(original) as first:
        shutil.copytree(original, copy)
        async with EmbeddedValkey(copy) as second:
            assert not second.adopted
            assert second.pid != first.pid
            assert second.url != first.url
            assert servers_in(copy) == [second.pid]
        assert servers_in(tmp_path) == [first.pid]


@pytest.mark.parametrize("claim", [b"", b"garbage", b'{"port": "x"}', b"\xff\xfe"])
async def test_damaged_endpoint_file_is_written_anew(data_dir: Path, claim: bytes) -> None:
    made(data_dir, 0o700)
    for name in ("users.lock", "server.lock", "endpoint.json.new", "valkey.pid"):
        (data_dir / name).write_text(str(os.getpid()))
    (data_dir / "endpoint.json").write_bytes(claim)
    async with EmbeddedValkey(data_dir) as embedded:
        assert not embedded.adopted
        assert servers_in(data_dir) == [embedded.pid]


async def test_taken_port_is_refused_or_avoided(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = await refusal(data_dir, port=port)
        assert f"Port {port}" in message
        assert "Choose another port" in message
        # The refused start left this port in the endpoint file, as an earlier life would have.
        assert json.loads((data_dir / "endpoint.json").read_bytes())["port"] == port
        async with EmbeddedValkey(data_dir) as embedded:
            assert not embedded.url.endswith(f":{port}")
    assert zombies() == []


async def test_guest_that_wants_another_port_is_told(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as embedded:
        port = int(embedded.url.rpartition(":")[2])
        async with EmbeddedValkey(data_dir, port=port) as guest:
            assert guest.pid == embedded.pid
        with pytest.raises(EmbeddedServerError, match=f"already runs on port {port}"):
            await EmbeddedValkey(data_dir, port=1).start()
        assert servers_in(data_dir) == [embedded.pid]


async def test_truncated_journal_is_repaired(data_dir: Path) -> None:
    journal = await filled(data_dir)
    os.truncate(journal, journal.stat().st_size - 5)
    async with EmbeddedValkey(data_dir) as embedded, client(embedded.url) as redis:
        assert await redis.dbsize() == 99


async def test_damaged_journal_is_explained_and_left_alone(data_dir: Path) -> None:
    journal = await filled(data_dir)
    sound = journal.read_bytes()
    middle = sound.index(b"*3\r\n", len(sound) // 2)
    damaged = sound[:middle] + b"?" + sound[middle + 1 :]
    journal.write_bytes(damaged)
    message = await refusal(data_dir)
    assert "append-only files are damaged" in message
    assert f"{data_dir}/appendonlydir" in message
    assert "Bad file format" in message
    assert journal.read_bytes() == damaged
    journal.write_bytes(sound)
    async with EmbeddedValkey(data_dir) as embedded, client(embedded.url) as redis:
        assert await redis.dbsize() == 100


async def test_loading_is_waited_for_by_starter_and_guest(data_dir: Path) -> None:
    await filled(data_dir, keys=LOADED_SLOWLY)
    servers = [EmbeddedValkey(data_dir, settings=SLOW_LOADING) for _ in range(2)]
    await asyncio.gather(*(embedded.start() for embedded in servers))
    for embedded in servers:
        async with client(embedded.url) as redis:
            assert await redis.dbsize() == LOADED_SLOWLY
    await asyncio.gather(*(embedded.stop() for embedded in servers))


async def test_loading_too_long_is_given_up_with_the_reason(data_dir: Path) -> None:
    # More keys, not slower ones: while it loads, a server answers every thousand keys only.
    await filled(data_dir, keys=4 * LOADED_SLOWLY)
    message = await refusal(data_dir, settings=SLOW_LOADING, start_timeout_seconds=0.8)
    assert "not ready within 0.8 s" in message
    assert "still loading its data" in message


async def test_settings_are_applied_or_refused(data_dir: Path) -> None:
    for settings in ({"PORT": "1"}, {"requirepass": ""}, {"maxmemory": "1mb\nport 1"}, {"a b": ""}):
        with pytest.raises(ConfigurationError):
            EmbeddedValkey(data_dir, settings=settings)
    assert "no-such-thing" in await refusal(data_dir, settings={"no-such-thing": "1"})
    async with EmbeddedValkey(data_dir, settings={"maxmemory": "9mb"}) as embedded:
        async with client(embedded.url) as redis:
            assert (await redis.config_get("maxmemory"))["maxmemory"] == str(9 << 20)
        with pytest.raises(EmbeddedServerError, match="started already"):
            await embedded.start()


async def test_directories_that_cannot_be_used(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in await refusal(tmp_path / "file" / "data")
    (made(data_dir, 0o777) / "notes.txt").touch()
    assert f"chmod 700 {data_dir}" in await refusal(data_dir)
    assert mode_of(data_dir) == 0o777


async def test_empty_directory_made_by_somebody_is_made_private(data_dir: Path) -> None:
    async with EmbeddedValkey(made(data_dir, 0o775)):
        assert mode_of(data_dir) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may open another user's directory")
async def test_root_does_not_leave_files_in_a_users_directory(data_dir: Path) -> None:
    made(data_dir, 0o700, NOBODY)
    assert f"belongs to user id {NOBODY}" in await refusal(data_dir)
    assert contents(data_dir) == []


async def test_directory_without_write_permission() -> None:
    with tempfile.TemporaryDirectory(prefix="penstock-user-") as place:
        scratch, owner = (Path(place), NOBODY) if os.geteuid() == 0 else (None, None)
        home = made(Path(place) / "home", 0o500, owner)
        with User.start(home / "data", nobody_in=scratch) as user:
            said = await user.says()
    assert f"Cannot use the data directory {home}/data: Permission denied" in said["error"]


async def test_a_program_that_is_no_server(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "valkey-server"
    monkeypatch.setattr("penstock.store.embedded.server.find_binary", lambda: fake)
    fake.write_bytes(b"\x7fELF nothing that runs")
    fake.chmod(0o700)
    assert f"Cannot run {fake}: Exec format error" in await refusal(data_dir)
    fake.write_text("#!/bin/sh\necho no server here\nexit 3\n")
    message = await refusal(data_dir)
    assert "exit code 3" in message
    assert "no server here" in message
    assert zombies() == []


async def test_a_lock_that_the_server_does_not_keep_is_noticed(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on network file systems, where a lock does not pass to a child."""
    real = subprocess.Popen

    def without_inheritance(*args: Any, pass_fds: object, **options: Any) -> Any:
        return real(*args, **options)

    monkeypatch.setattr("subprocess.Popen", without_inheritance)
    assert "does not let a server keep its lock" in await refusal(data_dir)


async def test_cancelled_start_leaves_no_server(data_dir: Path) -> None:
    await filled(data_dir, keys=LOADED_SLOWLY)
    starting = asyncio.create_task(EmbeddedValkey(data_dir, settings=SLOW_LOADING).start())
    await until(lambda: servers_in(data_dir))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await gone(data_dir)


async def test_server_that_hangs_is_reported_by_guests_and_killed_by_its_starter(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedded = EmbeddedValkey(data_dir, stop_timeout_seconds=0.3)
    await embedded.start()
    guest = EmbeddedValkey(data_dir, stop_timeout_seconds=0.3)
    await guest.start()
    os.kill(embedded.pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedServerError, match="another process holds"):
        await EmbeddedValkey(data_dir, start_timeout_seconds=0.3).start()
    await guest.stop()
    assert servers_in(data_dir) == [embedded.pid]
    await embedded.stop()
    assert servers_in(data_dir) == []
    assert "embedded server killed" in caplog.text


async def test_stop_returns_when_the_server_has_ended_and_not_before(data_dir: Path) -> None:
    embedded = EmbeddedValkey(data_dir)
    await embedded.start()
    pid = embedded.pid
    os.kill(pid, signal.SIGSTOP)
    stopping = asyncio.create_task(embedded.stop())
    _, unfinished = await asyncio.wait([stopping], timeout=0.7)
    assert unfinished
    os.kill(pid, signal.SIGCONT)
    await stopping
    assert servers_in(data_dir) == []
    assert zombies() == []


async def test_hanging_survivor_is_named_to_its_heir(data_dir: Path) -> None:
    with User.start(data_dir) as parent:
        pid = (await parent.says())["pid"]
        parent.kill()
    heir = EmbeddedValkey(data_dir, stop_timeout_seconds=0.3)
    await heir.start()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedServerError, match=rf"did not stop within 0.3 s.*{pid}"):
        await heir.stop()
    await end_server(pid)


async def test_stop_works_when_the_directory_was_deleted(data_dir: Path) -> None:
    embedded = EmbeddedValkey(data_dir)
    await embedded.start()
    running = psutil.Process(embedded.pid)
    shutil.rmtree(data_dir)
    await embedded.stop()
    assert not running.is_running()
