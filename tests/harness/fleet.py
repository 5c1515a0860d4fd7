"""The servers of one test session: shared ones started once, own ones for tests that break them."""

from collections.abc import Mapping

import pytest

from tests.harness.binaries import ServerMissing
from tests.harness.guardian import Guardian
from tests.harness.servers import Server, ServerOptions


class ServerFleet:
    """Starts servers on demand and stops every one it started."""

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian
        self._shared: dict[tuple[str, bool], Server] = {}
        self._own: list[Server] = []

    def shared(self, version: str, *, cluster: bool = False) -> Server:
        """The session's server of that version, cleared. Tests must not stop or configure it."""
        if (version, cluster) not in self._shared:
            self._shared[version, cluster] = self._start(version, ServerOptions(cluster=cluster))
        server = self._shared[version, cluster]
        if not server.running:
            pytest.fail(f"an earlier test ended the shared {version}; it should take its own")
        server.clear()
        return server

    def own(
        self,
        version: str = "valkey-9",
        *,
        appendonly: bool = True,
        appendfsync: str = "everysec",
        maxmemory: str = "0",
        cluster: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> Server:
        """A started server that only this test uses, to be stopped, killed, frozen, configured."""
        options = ServerOptions(appendonly, appendfsync, maxmemory, cluster, settings or {})
        server = self._start(version, options)
        self._own.append(server)
        return server

    def stop_own(self) -> None:
        """End what `own` handed out, in whatever state the test left it."""
        while self._own:
            _end(self._own.pop())

    def close(self) -> None:
        """End every server."""
        self.stop_own()
        for server in self._shared.values():
            _end(server)

    def _start(self, version: str, options: ServerOptions) -> Server:
        try:
            server = Server(version, self._guardian.directory(version), options)
        except ServerMissing as missing:
            pytest.skip(str(missing))
        server.start()
        return server


def _end(server: Server) -> None:
    if server.running:
        server.kill()
