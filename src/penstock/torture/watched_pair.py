"""Two servers, a master and its replica, and three sentinels that watch them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from penstock.core.errors import EmbeddedServerError, PenstockError
from penstock.store.connect import open_client, translated
from penstock.store.embedded.binary import find_binary
from penstock.store.embedded.ports import HOST, free_port
from penstock.torture.anvil import Anvil

MASTER = "under-torture"
SENTINELS, QUORUM = 3, 2
#: After this much silence sentinels hold the master for dead.
DOWN_AFTER_MS = 2000
FAILOVER_TIMEOUT_MS = 10_000
LOOK_AGAIN_SECONDS = 0.05
WAIT_SECONDS = 60.0
#: Zero keeps sentinels from promoting a server that comes back and has not caught up yet.
NEVER_PROMOTED, MAY_BE_PROMOTED = b"0", b"100"
_SERVER = (
    'bind 127.0.0.1\nport {port}\nsave ""\nappendonly yes\nappendfsync everysec\nrepl-diskless-sync-delay 0\n'
)
_SENTINEL = (
    "bind 127.0.0.1\nport {port}\n"
    "sentinel monitor {master} 127.0.0.1 {watched} {quorum}\n"
    "sentinel down-after-milliseconds {master} {down_after}\n"
    "sentinel failover-timeout {master} {timeout}\n"
)


class WatchedPair(Anvil):
    """An anvil whose kills and freezes strike the master, and end when the other has taken over."""

    is_ours = True

    def __init__(self, directory: Path) -> None:
        """Files go to ``directory``."""
        super().__init__("")
        self._directory = directory
        self._servers = [free_port(), free_port()]
        self._sentinels = [free_port() for _ in range(SENTINELS)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        """Start all five; raises ``EmbeddedServerError`` when they do not find each other."""
        first, second = self._servers
        try:
            self._launch(first, "")
            await self._until(lambda: self._answers(first), "the master does not answer")
            self._launch(second, f"replicaof {HOST} {first}\n")
            await self._until(lambda: self._has_replica(first), "the replica does not follow")
            for port in self._sentinels:
                self._watch(port, first)
            await self._until(self._is_guarded, "the sentinels do not find each other")
        except BaseException:
            self._end_all()
            raise
        nodes = ",".join(f"{HOST}:{port}" for port in self._sentinels)
        self.url = f"redis+sentinel://{nodes}/{MASTER}/0"
        await super().start()

    async def stop(self) -> None:
        """End all five."""
        await super().stop()
        self._end_all()

    async def kill_and_restart(self, pause_seconds: float, lost_seconds: float = 0.0) -> None:
        """SIGKILL the master; after the failover it comes back as the replica."""
        old = await self._master()
        process = self._processes[old]
        process.kill()
        await asyncio.to_thread(process.wait)
        new = await self._taken_over(old)
        await asyncio.sleep(pause_seconds)
        self._launch(old, f"replicaof {HOST} {new}\nreplica-priority {NEVER_PROMOTED.decode()}\n")
        await self._until(lambda: self._has_replica(new), "the killed master does not follow the new one")
        await self._ask(old, "CONFIG", "SET", "replica-priority", MAY_BE_PROMOTED.decode())
        await self._until(self._is_guarded, "the sentinels do not see the replica")

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP the master past the failover, then let it go on: it must learn that it is none any more."""
        old = await self._master()
        process = self._processes[old]
        process.send_signal(signal.SIGSTOP)
        try:
            new = await self._taken_over(old)
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
        await self._until(lambda: self._has_replica(new), "the frozen master does not follow the new one")
        await self._until(self._is_guarded, "the sentinels do not see the replica")

    def _launch(self, port: int, more: str) -> None:
        self._run(port, _SERVER.format(port=port) + more)

    def _watch(self, port: int, master: int) -> None:
        text = _SENTINEL.format(
            port=port,
            master=MASTER,
            watched=master,
            quorum=QUORUM,
            down_after=DOWN_AFTER_MS,
            timeout=FAILOVER_TIMEOUT_MS,
        )
        self._run(port, text, "--sentinel")

    def _run(self, port: int, configuration: str, *options: str) -> None:
        directory = self._directory / str(port)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "valkey.conf").write_text(configuration)
        with (directory / "log").open("ab") as log:
            self._processes[port] = subprocess.Popen(
                [find_binary(), "valkey.conf", *options],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end_all(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    async def _taken_over(self, old: int) -> int:
        async def is_other() -> bool:
            return await self._master() != old

        await self._until(is_other, "no other server has taken over")
        new = await self._master()
        await self._until(lambda: self._is_master(new), "the new master does not take commands")
        return new

    async def _master(self) -> int:
        for port in self._sentinels:
            address = await self._ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
            if address:
                return int(address[1])
        raise EmbeddedServerError("no sentinel answers")

    async def _is_master(self, port: int) -> bool:
        role = await self._ask(port, "ROLE")
        return bool(role) and role[0] == b"master"

    async def _answers(self, port: int) -> bool:
        return await self._ask(port, "PING") is not None

    async def _has_replica(self, port: int) -> bool:
        role = await self._ask(port, "ROLE")
        return bool(role) and role[0] == b"master" and len(role[2]) == 1

    async def _is_guarded(self) -> bool:
        """Whether every sentinel sees a sound master, a sound replica and the other sentinels."""
        for port in self._sentinels:
            master = _facts(await self._ask(port, "SENTINEL", "MASTER", MASTER))
            replicas = await self._ask(port, "SENTINEL", "REPLICAS", MASTER)
            replica = _facts(replicas[0]) if replicas else {}
            if replica.get(b"flags") != b"slave" or replica[b"slave-priority"] != MAY_BE_PROMOTED:
                return False
            if master.get(b"flags") != b"master" or master[b"num-other-sentinels"] != b"%d" % (SENTINELS - 1):
                return False
        return True

    async def _ask(self, port: int, *words: str) -> Any:
        client = open_client(f"redis://{HOST}:{port}?socket_timeout=1&socket_connect_timeout=1")
        try:
            with contextlib.suppress(PenstockError), translated("a server"):
                return await cast("Any", client).execute_command(*words)
        finally:
            await client.aclose()
        return None

    async def _until(self, holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not await holds():  # noqa: ASYNC110 - asks other processes
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise EmbeddedServerError(f"{otherwise}; the logs are in {self._directory}") from None


def _facts(reply: Any) -> dict[bytes, bytes]:
    return dict(zip(reply[::2], reply[1::2], strict=True)) if reply else {}
