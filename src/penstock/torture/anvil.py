"""The anvil: the server under the blows, an embedded one of our own or one given by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from pathlib import Path
from typing import Any, cast

from penstock.core.errors import QueueUnavailableError, StoreError
from penstock.store.connect import Client, open_client, translated
from penstock.store.embedded import EmbeddedValkey

HOST = "127.0.0.1"
# Below the ports that the kernel gives to outgoing connections: the server must find its own free again.
LOWEST_PORT, PORT_COUNT, PORT_TRIES = 20_000, 12_000, 50


class Anvil:
    """A server, its URL, and a client for commands of the torturer."""

    def __init__(self, data_dir: Path, url: str | None) -> None:
        """With ``url`` that server is used; it is never killed or frozen."""
        self._given = url
        self._embedded = (
            None if url else EmbeddedValkey(data_dir, port=_free_port(), settings={"appendfsync": "always"})
        )
        self._client: Client | None = None
        self.url = url or ""

    @property
    def is_ours(self) -> bool:
        """Whether the server may be killed and frozen."""
        return self._embedded is not None

    async def start(self) -> None:
        """Start the embedded server, or only connect; raises ``EmbeddedServerError`` if it cannot start."""
        if self._embedded is not None:
            await self._embedded.start()
            self.url = self._embedded.url
        self._client = open_client(self.url)

    async def stop(self) -> None:
        """Disconnect, and stop the server if it is ours."""
        if self._client is not None:
            await self._client.aclose()
        if self._embedded is not None:
            await self._embedded.stop()

    async def kill_and_restart(self, pause_seconds: float) -> None:
        """SIGKILL, wait, and start again on what the append-only file holds."""
        assert self._embedded is not None  # noqa: S101 - asked before
        os.kill(self._embedded.pid, signal.SIGKILL)
        await asyncio.sleep(pause_seconds)
        await self._embedded.stop()
        await self._embedded.start()

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after ``seconds``."""
        assert self._embedded is not None  # noqa: S101 - asked before
        pid = self._embedded.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def tell(self, *words: str) -> Any:
        """One command; ``None`` when the server refused it."""
        with contextlib.suppress(StoreError, QueueUnavailableError), translated("the server"):
            return await cast("Any", self._client).execute_command(*words)
        return None


def _free_port() -> int:
    for _ in range(PORT_TRIES):
        port = LOWEST_PORT + secrets.randbelow(PORT_COUNT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError(f"no free port on {HOST} in {PORT_TRIES} tries")
