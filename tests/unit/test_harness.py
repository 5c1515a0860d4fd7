"""The harness itself: what other tests lean on must be seen to work, and to fail."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import redis.asyncio

from tests.conftest import MakeClient
from tests.harness.binaries import ServerMissing, server_binary
from tests.harness.fleet import ServerFleet
from tests.harness.guardian import Guardian
from tests.harness.processes import REPOSITORY
from tests.harness.servers import Server, ServerFailed, ServerOptions

pytestmark = pytest.mark.timeout(60)

SHORT_SECONDS = 0.3


def wait_for_end(descriptor: int) -> None:
    """Wait until the process of a pidfd has ended."""
    try:
        assert select.select([descriptor], [], [], 10)[0], "the process is still there"
    finally:
        os.close(descriptor)


class TestServers:
    async def test_each_version_is_what_it_says(
        self, server: Server, redis_client: redis.asyncio.Redis
    ) -> None:
        facts = await redis_client.info("server")
        name = "valkey" if "valkey_version" in facts else "redis"
        version = facts.get("valkey_version", facts["redis_version"])
        assert f"{name}-{version}".startswith(server.version[:-1]), facts
        assert facts["process_id"] == server.pid

    def test_the_shared_server_comes_back_empty(self, server: Server, fleet: ServerFleet) -> None:
        server.command("SET", "left behind", 1)
        digest = server.command("SCRIPT", "LOAD", "return 1")
        assert fleet.shared(server.version) is server
        assert server.command("DBSIZE") == 0
        assert server.command("SCRIPT", "EXISTS", digest) == [False]

    def test_a_missing_server_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        server_binary.cache_clear()
        monkeypatch.setenv("PATH", "/nonexistent")
        with pytest.raises(ServerMissing, match="install"):
            server_binary("redis-7.0")
        server_binary.cache_clear()

    def test_a_bad_setting_fails_with_the_log(self, make_server: Callable[..., Server]) -> None:
        with pytest.raises(ServerFailed, match="did not start"):
            make_server(settings={"appendfsync": "sometimes"})

    def test_killed_with_aof_it_comes_back_with_its_data(self, fresh_server: Server) -> None:
        port = fresh_server.port
        fresh_server.command("SET", "kept", "yes")
        fresh_server.kill()
        assert not fresh_server.running
        fresh_server.start()
        assert (fresh_server.port, fresh_server.command("GET", "kept")) == (port, "yes")
        fresh_server.restart()
        assert fresh_server.command("GET", "kept") == "yes"
        fresh_server.restart(keep_data=False)
        assert fresh_server.command("DBSIZE") == 0

    async def test_frozen_it_answers_nobody_until_it_goes_on(
        self, fresh_valkey: Server, make_client: MakeClient
    ) -> None:
        client = make_client(fresh_valkey, socket_timeout=SHORT_SECONDS)
        await client.set("before", 1)
        fresh_valkey.pause()
        with pytest.raises(redis.TimeoutError):
            await client.get("before")
        fresh_valkey.resume()
        assert await client.get("before") == "1"

    def test_maxmemory_and_config(self, make_server: Callable[..., Server]) -> None:
        server = make_server(maxmemory="5mb", appendonly=False)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            server.command("SET", "large", b"x" * 8_000_000)
        server.config_set("maxmemory", "20mb")
        assert server.command("SET", "large", b"x" * 8_000_000)

    def test_a_cluster_of_one_serves_all_slots(self, cluster_valkey: Server) -> None:
        with redis.RedisCluster.from_url(cluster_valkey.url, protocol=2) as client:
            assert client.set("a key", 1)
            assert client.set("a key of another slot", 2)
        with pytest.raises(redis.ResponseError, match="same slot"):
            cluster_valkey.command("MSET", "a key", 1, "a key of another slot", 2)


SESSION = """
import os, subprocess, time
from tests.harness.fleet import ServerFleet
from tests.harness.guardian import Guardian
from tests.harness.servers import Server, ServerOptions
guardian = Guardian()
os.environ.update(guardian.environment)
server = Server("valkey-9", guardian.directory("s"), ServerOptions(appendonly=True))
server.start()
detached = subprocess.Popen(["sleep", "600"], start_new_session=True)
server.pause()
print(guardian.pid, server.pid, detached.pid, flush=True)
time.sleep(600)
"""

CARELESS = """
import asyncio, subprocess

async def test_leaves_a_task():
    globals()["task"] = asyncio.create_task(asyncio.sleep(600))

async def test_loses_an_error():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

def test_leaves_a_process():
    globals()["process"] = subprocess.Popen(["sleep", "600"])
"""


class TestGuardian:
    def test_a_killed_session_leaves_no_process_and_no_file(self, guardian: Guardian) -> None:
        directory = guardian.directory("session")
        with subprocess.Popen(
            [sys.executable, "-c", SESSION],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(directory)},
        ) as session:
            assert session.stdout is not None
            pids = [int(pid) for pid in session.stdout.readline().split()]
            guard, *others = [os.pidfd_open(pid) for pid in pids]
            assert any(directory.iterdir())
            session.kill()
        for descriptor in others:
            wait_for_end(descriptor)
        wait_for_end(guard)
        assert not any(directory.iterdir())

    def test_a_server_in_a_tmp_path_is_the_sessions_too(self, tmp_path: Path) -> None:
        own = Guardian([tmp_path])
        server = Server("valkey-9", tmp_path, ServerOptions())
        server.start()
        assert [survivor.pid for survivor in own.leftovers(patience_seconds=0)] == [server.pid]
        own.close()
        assert not server.running
        assert (tmp_path / "server.log").exists()

    def test_what_outlives_its_test_is_named(self) -> None:
        own = Guardian()
        sleeper = subprocess.Popen(
            ["sleep", "600"], env={**os.environ, **own.environment}, start_new_session=True
        )
        survivor = own.leftovers(patience_seconds=0)[0]
        own.close()
        assert (survivor.pid, survivor.command) == (sleeper.pid, "sleep 600")
        assert "test_what_outlives_its_test_is_named" in survivor.test
        assert sleeper.wait(10) == -signal.SIGKILL
        assert not own.root.exists()

    def test_stray_tasks_lost_errors_and_left_processes_fail_a_session(
        self,
        guardian: Guardian,
    ) -> None:
        file = guardian.directory("careless") / "test_careless.py"
        file.write_text(CARELESS)
        options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "pyproject.toml"]
        answer = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "--rootdir", ".", str(file)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1, answer.stdout + answer.stderr
        assert "3 passed, 3 errors" in answer.stdout, answer.stdout
        assert "the test left tasks running" in answer.stdout
        assert "reported errors that nobody awaited" in answer.stdout
        assert "these processes outlived their tests" in answer.stdout
