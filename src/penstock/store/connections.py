"""Our connections: commands are packed in C, and a cancellation while sending is never lost.

A batch of 64 jobs is a command of several hundred arguments; hiredis packs them in C, where the
client library loops over each. The library sends under ``asyncio.wait_for``, which
before Python 3.12 swallows a cancellation that arrives just as the sending ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
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


#: Ours in place of the library's.
OWN_CONNECTIONS: dict[type, type] = {
    Connection: OwnConnection,
    SSLConnection: OwnSSLConnection,
    UnixDomainSocketConnection: OwnUnixConnection,
    SentinelManagedConnection: OwnSentinelConnection,
    SentinelManagedSSLConnection: OwnSentinelSSLConnection,
}
