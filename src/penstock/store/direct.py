"""Scripts sent over a connection of the pool, without the client library's way around.

The library wraps each command in a retry, closures and its own telemetry. None of it serves a client that
never resends, and for a script of one job it costs as much as the script itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError, ResponseError

from penstock.store.connect import Client


class DirectScript:
    """One script of one client; ``sha`` is what EVALSHA calls it by."""

    def __init__(self, client: Client, source: str) -> None:
        """Nothing is sent before the first call."""
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._source = source
        self._client = cast("Any", client)
        # A cluster finds the node by the keys, and a client of one connection must take turns.
        self._is_direct = not isinstance(client, RedisCluster) and not client.single_connection_client
        self._pool = self._client.connection_pool if self._is_direct else None

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run the script and return its reply; a server that lacks it is given the source first."""
        try:
            return await self._send("EVALSHA", self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            await self._client.script_load(self._source)
            return await self._send("EVALSHA", self.sha, len(keys), *keys, *arguments)

    @property
    def may_follow(self) -> bool:
        """Whether the script can be sent behind another command on one connection."""
        return self._pool is not None

    async def behind(self, blocking: Sequence[Any], keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Send ``blocking`` and the script at once, and return the script's reply.

        A server holds back what comes behind a blocking command until it has answered that, and drops it
        if the connection is closed before.
        """
        script = ("EVALSHA", self.sha, len(keys), *keys, *arguments)
        connection = await cast("Any", self._pool).get_connection()
        try:
            await connection.send_packed_command(connection.pack_commands([blocking, script]))
            await connection.read_response()
            return await connection.read_response()
        except NoScriptError:
            return await self(keys, arguments)
        except BaseException:
            # The second reply may be left: nobody else is to read it as the answer to something else.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await cast("Any", self._pool).release(connection)

    async def in_turn(
        self, keys: Sequence[str], calls: Iterable[Sequence[Any]], most_in_flight: int
    ) -> list[Any]:
        """Run the script once for each of ``calls``, which are arguments; the replies, or errors, in order.

        Each call is made ready while the server is at work on those before it. After an error no more are
        sent, so there may be fewer replies than calls.
        """
        connection = await cast("Any", self._pool).get_connection()
        replies: list[Any] = []
        sent, failed = 0, False
        try:
            for arguments in calls:
                if sent - len(replies) >= most_in_flight:
                    replies.append(await _reply(connection))
                    failed = isinstance(replies[-1], ResponseError)
                if failed:
                    break
                await connection.send_command("EVALSHA", self.sha, len(keys), *keys, *arguments)
                sent += 1
                # Some event loops write when nothing else is to be done; the server is to begin now.
                await asyncio.sleep(0)
            while len(replies) < sent:
                replies.append(await _reply(connection))
        except BaseException:
            # Replies may be left: nobody else is to read them as answers to something else.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await cast("Any", self._pool).release(connection)
        return replies

    async def _send(self, *command: Any) -> Any:
        if self._pool is None:
            return await self._client.execute_command(*command)
        connection = await self._pool.get_connection()
        try:
            # A failure in the middle of either closes the connection, so no reply is left to the next user.
            await connection.send_command(*command)
            return await connection.read_response()
        finally:
            await self._pool.release(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal
