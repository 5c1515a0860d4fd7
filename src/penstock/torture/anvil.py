"""The anvil: the server under the blows, an embedded one of our own or one given by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any, cast

from penstock.core.errors import EmbeddedServerError, PenstockError
from penstock.store.connect import Client, open_client, translated
from penstock.store.embedded import EmbeddedValkey
from penstock.store.embedded.ports import free_port

SAMPLE_SECONDS = 0.02
SAMPLES_KEPT = 500


class Anvil:
    """A server, its URL, and a client for commands of the torturer."""

    #: Whether the server may be killed and frozen.
    is_ours = False

    def __init__(self, url: str) -> None:
        """Nothing happens before ``start``."""
        self.url = url
        self._client: Client | None = None

    async def start(self) -> None:
        """Connect."""
        self._client = open_client(self.url)

    async def stop(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.aclose()

    async def tell(self, *words: str | int) -> Any:
        """One command; ``None`` when the server refused it or could not be reached."""
        with contextlib.suppress(PenstockError), translated("the server"):
            return await cast("Any", self._client).execute_command(*words)
        return None

    @property
    def port(self) -> int:
        """The server's port on this machine, for a proxy in front of it."""
        return int(self.url.partition("://")[2].rpartition("@")[2].partition(":")[2].partition("/")[0])

    def url_through(self, port: int) -> str:
        """The server's URL by way of another port of this machine."""
        return self.url.replace(f":{self.port}", f":{port}")

    async def kill_and_restart(self, pause_seconds: float, lost_seconds: float = 0.0) -> None:
        """SIGKILL, wait, and start again on what the append-only file holds.

        With ``lost_seconds`` the file is cut to where it ended that long before, as after a power cut.
        """
        raise NotImplementedError

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after ``seconds``."""
        raise NotImplementedError


class OwnAnvil(Anvil):
    """An embedded server with an append-only file."""

    is_ours = True

    def __init__(self, data_dir: Path, appendfsync: str) -> None:
        """``appendfsync`` is ``always`` or ``everysec``."""
        super().__init__("")
        self._data_dir = data_dir
        # A rewritten file could not be cut to where it ended before.
        settings = {"appendfsync": appendfsync, "auto-aof-rewrite-percentage": "0"}
        self._embedded = EmbeddedValkey(data_dir, port=free_port(), settings=settings)
        self._sizes: deque[tuple[float, int]] = deque(maxlen=SAMPLES_KEPT)
        self._sampling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the server and connect; raises ``EmbeddedServerError`` if it cannot start."""
        await self._embedded.start()
        self.url = self._embedded.url
        await super().start()
        self._sampling = asyncio.create_task(self._sample())

    async def stop(self) -> None:
        """Disconnect and stop the server."""
        if self._sampling is not None:
            self._sampling.cancel()
        await super().stop()
        await self._embedded.stop()

    async def kill_and_restart(self, pause_seconds: float, lost_seconds: float = 0.0) -> None:
        """As told of any anvil."""
        file = self._file()
        cut_to = next(
            (size for at, size in reversed(self._sizes) if at <= time.monotonic() - lost_seconds), None
        )
        os.kill(self._embedded.pid, signal.SIGKILL)
        await asyncio.sleep(pause_seconds)
        while not self._embedded.has_ended():  # noqa: ASYNC110 - another process, which tells nobody
            await asyncio.sleep(SAMPLE_SECONDS)
        if lost_seconds and cut_to is not None:
            os.truncate(file, cut_to)
        self._sizes.clear()
        await self._embedded.stop()
        await self._embedded.start()

    async def freeze(self, seconds: float) -> None:
        """As told of any anvil."""
        pid = self._embedded.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _sample(self) -> None:
        while True:
            with contextlib.suppress(OSError, EmbeddedServerError):
                self._sizes.append((time.monotonic(), self._file().stat().st_size))
            await asyncio.sleep(SAMPLE_SECONDS)

    def _file(self) -> Path:
        files = sorted(self._data_dir.glob("appendonlydir/*.incr.aof"))
        if not files:
            raise EmbeddedServerError(f"there is no append-only file in {self._data_dir}")
        return files[-1]
