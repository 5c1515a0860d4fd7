"""``EmbeddedValkey``: the one server of a data directory, found or started, stopped in order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.store.embedded.binary import find_binary
from penstock.store.embedded.conversation import ask_to_stop, look
from penstock.store.embedded.directory import DataDirectory, checked
from penstock.store.embedded.lifecycle import EmbeddedServer, NotReady, Running
from penstock.store.embedded.process import launch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from penstock.store.embedded.child import ServerProcess
    from penstock.store.embedded.lock import FileLock
    from penstock.store.embedded.place import Endpoint


class EmbeddedValkey(EmbeddedServer):
    """A Valkey server for this machine that keeps its data, and everything else, in one directory.

    Any number of processes may open the same data directory. The first starts the server, the
    others use the one that runs, and the last one out stops it; so there is never a second
    server, and none is stopped under a user. Who uses it is counted by a lock the kernel keeps: a
    user that is killed is out, and a server whose users were all killed runs on until the next
    one opens the directory, uses it, and stops it on leaving. Clients that only know the url are
    not counted.

    Writes are on disk within a second (append-only file, ``everysec``) and survive ``stop``.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        start_timeout_seconds: float = 60.0,
        stop_timeout_seconds: float = 20.0,
    ) -> None:
        """Nothing happens before ``start``.

        Args:
            data_dir: made when missing, for this user alone.
            port: a fixed port on 127.0.0.1; by default the last one used here, or a free one.
            settings: Valkey settings over the defaults, used if this object starts the server;
                a server that already runs keeps its own.
            start_timeout_seconds: how long to wait for the server, loading its data included.
            stop_timeout_seconds: how long the server may take to write and end.

        Raises:
            ConfigurationError: a setting that Penstock decides, or a malformed one.
        """
        self._data = DataDirectory(Path(data_dir))
        super().__init__(self._data, port, start_timeout_seconds, stop_timeout_seconds)
        self._settings = checked(settings or {})
        self._binary = Path()

    def _prepare(self) -> None:
        self._binary = find_binary()
        self._data.prepare()

    async def _look(self) -> Running | NotReady:
        return await look(self._data)

    async def _launch(self, lock: FileLock) -> tuple[ServerProcess, Running]:
        return await launch(self._binary, self._data, lock, self._port, self._settings, self._report)

    async def _ask_to_stop(self, endpoint: Endpoint) -> str:
        return await ask_to_stop(endpoint)


@contextlib.asynccontextmanager
async def engine(redis_url: str | None, data_dir: Path | str) -> AsyncIterator[str]:
    """The url of the server to use: ``redis_url`` if one is given, else an embedded one's.

    The embedded server is used as long as the context lasts, under the rules of
    ``EmbeddedValkey``; a server given by url is neither started nor stopped.

    Raises:
        EmbeddedServerError: no url is given, and the embedded server cannot be started.
    """
    if redis_url:
        yield redis_url
        return
    async with EmbeddedValkey(data_dir) as server:
        yield server.url
