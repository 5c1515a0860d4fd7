"""The two engines of a stack: servers that were given, or embedded ones that are kept alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from penstock.core.errors import EmbeddedServerError

if TYPE_CHECKING:
    from penstock.store.embedded.lifecycle import EmbeddedServer

LOOK_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 2.0
#: What the API has accepted is on disk by then, so that not even a killed server loses it.
VALKEY_SETTINGS: Final = {"appendfsync": "always"}


class Engines:
    """Valkey and PostgreSQL below a data directory, each replaced by a server whose url is given.

    An embedded one that dies is started anew, under the same url.
    """

    def __init__(
        self,
        directory: Path,
        tell: Callable[[str], None],
        *,
        redis_url: str | None = None,
        database_url: str | None = None,
    ) -> None:
        """Nothing happens before it is entered; `tell` hears what is worth a line to the user."""
        self._directory = directory
        self._tell = tell
        self._given = {"redis": redis_url, "database": database_url}
        self._urls: dict[str, str] = {}
        self._stack = AsyncExitStack()

    @property
    def redis_url(self) -> str:
        """What clients of Redis or Valkey connect with."""
        return self._urls["redis"]

    @property
    def database_url(self) -> str:
        """What clients of PostgreSQL connect with."""
        return self._urls["database"]

    async def __aenter__(self) -> Self:
        """Start what is not given. Raises `EmbeddedServerError` when that cannot be."""
        from penstock.runs.embedded import EmbeddedPostgres
        from penstock.store.embedded import EmbeddedValkey

        def valkey() -> EmbeddedServer:
            return EmbeddedValkey(self._directory / "valkey", settings=VALKEY_SETTINGS)

        def postgres() -> EmbeddedServer:
            return EmbeddedPostgres(self._directory / "postgres")

        async with AsyncExitStack() as stack:
            await self._open(stack, "redis", "Valkey", valkey)
            await self._open(stack, "database", "PostgreSQL", postgres)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop what was started; its data stays."""
        await self._stack.aclose()

    async def _open(
        self, stack: AsyncExitStack, role: str, name: str, make: Callable[[], EmbeddedServer]
    ) -> None:
        url = self._given[role]
        if url is None:
            kept = KeptAlive(name, make, self._tell)
            await stack.enter_async_context(kept)
            url = kept.url
        self._urls[role] = url


class KeptAlive:
    """An embedded server that is started anew whenever it ends."""

    def __init__(self, name: str, make: Callable[[], EmbeddedServer], tell: Callable[[str], None]) -> None:
        """`make` gives a server object that is not started, of the same data directory each time."""
        self._name = name
        self._make = make
        self._tell = tell
        self._server = make()
        self._watching: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """What clients connect with; the same after a new start."""
        return self._server.url

    async def __aenter__(self) -> Self:
        await self._server.start()
        self._tell(f"{self._name} is started." if not self._server.adopted else f"{self._name} was running.")
        self._watching = asyncio.create_task(self._watch(), name=f"watch over {self._name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._server.stop()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._server.has_ended():
                self._tell(f"{self._name} ended by itself; it is started anew.")
                await self._start_anew()

    async def _start_anew(self) -> None:
        while True:
            fresh = self._make()
            try:
                await fresh.start()
            except EmbeddedServerError as error:
                self._tell(f"{self._name} cannot be started: {error}")
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            # Only now: the last user to leave would take the data directory's server down.
            ended, self._server = self._server, fresh
            await ended.stop()
            self._tell(f"{self._name} is back.")
            return
