"""``EmbeddedPostgres``: the one PostgreSQL of a data directory, found or started, stopped in order."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.runs.embedded.account import account_for_root
from penstock.runs.embedded.conversation import look, signal_server
from penstock.runs.embedded.directory import DataDirectory, checked
from penstock.runs.embedded.process import Start, launch
from penstock.runs.embedded.programs import find_programs, programs_for
from penstock.store.embedded.lifecycle import EmbeddedServer, NotReady, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from penstock.runs.embedded.account import Account
    from penstock.store.embedded.child import ServerProcess
    from penstock.store.embedded.lock import FileLock
    from penstock.store.embedded.place import Endpoint


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server for this machine that keeps its data, and everything else, in one directory.

    Any number of processes may open the same data directory. The first starts the server, the
    others use the one that runs, and the last one out stops it; so there is never a second
    server, and none is stopped under a user. Who uses it is counted by a lock the kernel keeps: a
    user that is killed is out, and a server whose users were all killed runs on until the next
    one opens the directory, uses it, and stops it on leaving. Clients that only know the url are
    not counted; they are disconnected.

    What is committed is on disk. Root starts it as the account ``penstock`` if there is one, else as
    ``nobody``, to whom the cluster then belongs; nothing above the data directory has to be open to it.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        start_timeout_seconds: float = 120.0,
        stop_timeout_seconds: float = 30.0,
    ) -> None:
        """Nothing happens before ``start``.

        Args:
            data_dir: made when missing, for this user alone.
            port: a fixed port on 127.0.0.1; by default the last one used here, or a free one.
            settings: PostgreSQL settings over the defaults, used if this object starts the server;
                a server that already runs keeps its own.
            start_timeout_seconds: how long to wait for the server, making its cluster or
                recovering from a crash included.
            stop_timeout_seconds: how long the server may take to write and end.

        Raises:
            ConfigurationError: a setting that Penstock decides, or a malformed one.
        """
        self._data = DataDirectory(Path(data_dir))
        super().__init__(self._data, port, start_timeout_seconds, stop_timeout_seconds)
        self._settings = checked(settings or {})
        self._programs = Path()
        self._account: Account | None = None

    def _prepare(self) -> None:
        programs = find_programs()
        self._data.prepare()
        self._account = account_for_root(self._data.owner_id)
        self._programs = programs_for(self._account, programs)

    async def _look(self) -> Running | NotReady:
        return await look(self._data)

    async def _launch(self, lock: FileLock) -> tuple[ServerProcess, Running]:
        start = Start(self._programs, self._account, lock, self._port, self._settings, self._report)
        return await launch(self._data, start)

    async def _ask_to_stop(self, endpoint: Endpoint) -> str:
        """The fast shutdown: clients are disconnected, everything is written."""
        if self._process is not None and not self._process.ended():
            self._process.signal(signal.SIGINT)
            return ""
        return await signal_server(self._data, signal.SIGINT)


@contextlib.asynccontextmanager
async def engine(database_url: str | None, data_dir: Path | str) -> AsyncIterator[str]:
    """The url of the server to use: ``database_url`` if one is given, else an embedded one's.

    The embedded server is used as long as the context lasts, under the rules of
    ``EmbeddedPostgres``; a server given by url is neither started nor stopped.

    Raises:
        EmbeddedServerError: no url is given, and the embedded server cannot be started.
    """
    if database_url:
        yield database_url
        return
    async with EmbeddedPostgres(data_dir) as server:
        yield server.url
