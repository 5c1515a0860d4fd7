"""The listener: what a queue's scripts call out at the moment, heard over one connection.

Calls are hints. One that is lost does no harm, because whoever waits for one also looks by itself
every few seconds, and at once when the listener had to connect anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from redis.asyncio import RedisCluster

from penstock.core.errors import PenstockError, QueueUnavailableError
from penstock.store.connect import translated
from penstock.store.engine import Engine

LOOK_SECONDS = 5.0
# How often to look where nothing can be heard.
LOOK_WITHOUT_CALLS_SECONDS = 0.25
SILENCE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0

logger = logging.getLogger("penstock.store")


class Listener:
    """Hears the calls of one queue: ``cancel <id> <lease>``, ``emit <id>``, ``end <id>``.

    It connects by itself again whenever it must. The client of a cluster cannot listen: then nothing
    is heard, and ``look_seconds`` says to look more often.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is connected before ``start``."""
        self._engine = engine
        self._hearers: dict[str, list[Callable[[str], None]]] = {}
        self._after_gap: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._is_live = False

    @property
    def look_seconds(self) -> float:
        """After how long a user should look for itself, calls or not."""
        return LOOK_SECONDS if self._is_live else LOOK_WITHOUT_CALLS_SECONDS

    def on(self, word: str, hear: Callable[[str], None]) -> None:
        """Have ``hear`` called with what follows ``word`` in each call that begins with it."""
        self._hearers.setdefault(word, []).append(hear)

    def on_gap(self, look: Callable[[], None]) -> None:
        """Have ``look`` called whenever calls may have been missed: after each new connection."""
        self._after_gap.append(look)

    async def start(self) -> bool:
        """Listen from now on; whether it already does, which it may not while the server is away."""
        if isinstance(self._engine.client, RedisCluster):
            return False
        if self._task is None or self._task.done():
            self._tried.clear()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="penstock-listener")
        await self._tried.wait()
        return self._is_live

    async def stop(self) -> None:
        """Stop listening; ``start`` may follow."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        try:
            while True:
                try:
                    with translated(self._engine.where):
                        await self._listen()
                except PenstockError as error:
                    pause = FIRST_PAUSE_SECONDS if self._is_live else min(pause * 2, LONGEST_PAUSE_SECONDS)
                    logger.debug("listener of %s: %s; connecting again", self._engine.keys.base, error)
                self._is_live = False
                self._tried.set()
                await asyncio.sleep(pause)
        finally:
            self._is_live = False
            self._tried.set()

    async def _listen(self) -> None:
        pool = cast("Any", self._engine.client).connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_command("SUBSCRIBE", self._engine.keys.calls)
            await connection.read_response()
            self._is_live = True
            self._tried.set()
            for look in self._after_gap:
                look()
            await self._hear(connection)
        finally:
            # It is subscribed: nobody else could use it.
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def _hear(self, connection: Any) -> None:
        is_silent = False
        while True:
            told = await connection.read_response(timeout=SILENCE_SECONDS)
            if told is None:
                if is_silent:
                    raise QueueUnavailableError("the connection is silent")
                # A connection that died without a word would never be noticed otherwise.
                await connection.send_command("PING")
                is_silent = True
                continue
            is_silent = False
            if told[0] == b"message":
                self._pass_on(told[2].decode(errors="replace"))

    def _pass_on(self, call: str) -> None:
        word, _, rest = call.partition(" ")
        for hear in self._hearers.get(word, ()):
            try:
                hear(rest)
            except Exception:
                logger.exception("listener of %s: a hearer of %r failed", self._engine.keys.base, call)
