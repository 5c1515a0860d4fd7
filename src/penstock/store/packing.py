"""Connections that write commands with hiredis.

A batch of 64 jobs is a command of several hundred arguments; packing them in C takes a tenth of the
time that the client library's own loop needs.
"""

from __future__ import annotations

from typing import Any

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection


class PackedConnection(Connection):
    """A TCP connection."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command in the wire protocol."""
        return _pack(args) or super().pack_command(*args)


class PackedSSLConnection(SSLConnection):
    """A TLS connection."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command in the wire protocol."""
        return _pack(args) or super().pack_command(*args)


class PackedUnixConnection(UnixDomainSocketConnection):
    """A connection through a Unix socket."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command in the wire protocol."""
        return _pack(args) or super().pack_command(*args)


CONNECTION_CLASSES = {"redis": PackedConnection, "rediss": PackedSSLConnection, "unix": PackedUnixConnection}


def _pack(args: tuple[Any, ...]) -> list[bytes] | None:
    # Only scripts are worth it; other commands keep the library's own way with words and types.
    return [hiredis.pack_command(args)] if args[0] == "EVALSHA" else None
