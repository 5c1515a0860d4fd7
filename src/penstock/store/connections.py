"""Our connections: commands are packed in C, a cancellation while sending is never lost, and a pool is cheap.

A batch of 64 jobs is a command of several hundred arguments; hiredis packs them in C, where the
client library loops over each. The library sends under ``asyncio.wait_for``, which
before Python 3.12 swallows a cancellation that arrives just as the sending ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import hiredis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object


class _OwnSending(_Base):
    def pack_command(self, *args: Any) -> list[bytes]:
        # Only scripts are worth it; other commands keep the library's own way with words and types.
        return [hiredis.pack_command(args)] if args[0] == "EVALSHA" else super().pack_command(*args)

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        limit = self.socket_timeout
        if limit is None or not self.is_connected:
            await super().send_packed_command(command, check_health)
            return
        writer = self._writer
        if writer is not None and isinstance(command, list) and not self.health_check_interval:
            writer.writelines(command)
            # Nearly always the kernel has taken it at once: then there is nothing to wait for, and no
            # time limit to set. A connection that has broken is found out by who reads the reply.
            if not writer.transport.get_write_buffer_size():
                return
            command = []
        # One caller at a time uses a connection, so nobody else can see the missing timeout.
        self.socket_timeout = None
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = limit


class OwnConnection(_OwnSending, Connection):
    """A TCP connection."""


class OwnSSLConnection(_OwnSending, SSLConnection):
    """A TLS connection."""


class OwnUnixConnection(_OwnSending, UnixDomainSocketConnection):
    """A connection through a Unix socket."""


class OwnSentinelConnection(_OwnSending, SentinelManagedConnection):
    """A TCP connection to whichever server Sentinel says is the master."""


class OwnSentinelSSLConnection(_OwnSending, SentinelManagedSSLConnection):
    """A TLS connection to whichever server Sentinel says is the master."""


class OwnPool(ConnectionPool):
    """A pool that hands connections on without a lock, events and statistics.

    For one that is open and quiet there is nothing to wait for between taking it and giving it away; the
    library's way takes as long as sending a command. Any other goes the library's way.
    """

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """An open connection that nobody else uses."""
        if self._available_connections and self._available_connections[-1].is_connected:
            connection = self._available_connections.pop()
            self._in_use_connections.add(connection)
            with contextlib.suppress(RedisError, OSError):
                if not await connection.can_read():
                    return connection
            self._in_use_connections.discard(connection)
            self._available_connections.append(connection)
        return await cast("Any", super()).get_connection()

    async def release(self, connection: Any) -> None:
        """Give a connection back. Where credentials are renewed, the library does that on this occasion."""
        renews = self.connection_kwargs.get("credential_provider") is not None
        if renews or not connection.is_connected or connection.should_reconnect():
            await super().release(connection)
            return
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)


#: Ours in place of the library's.
OWN_CONNECTIONS: dict[type, type] = {
    Connection: OwnConnection,
    SSLConnection: OwnSSLConnection,
    UnixDomainSocketConnection: OwnUnixConnection,
    SentinelManagedConnection: OwnSentinelConnection,
    SentinelManagedSSLConnection: OwnSentinelSSLConnection,
}
