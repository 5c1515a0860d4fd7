"""The fault proxy in a thread with a loop of its own, for clients that block the test's loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.harness.faultproxy import FaultProxy

T = TypeVar("T")


class ProxyThread:
    """A running FaultProxy that may be driven from any other thread.

    with ProxyThread(server.port) as proxy:
        rule = proxy.do(lambda inside: inside.swallow("SET"))
        ...
        proxy.wait(lambda inside: inside.saw("SET", 2))
    """

    def __init__(self, target_port: int) -> None:
        self._proxy = FaultProxy(target_port)
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(target_port)))

    @property
    def url(self) -> str:
        """What a client is to be given as its Redis URL."""
        return self._proxy.url

    def do(self, act: Callable[[FaultProxy], T]) -> T:
        """Call `act` with the proxy inside its loop and return what it returns."""

        async def inside() -> T:
            return act(self._proxy)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result()

    def wait(self, act: Callable[[FaultProxy], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine that `act` makes of the proxy to its end inside the proxy's loop."""
        return asyncio.run_coroutine_threadsafe(act(self._proxy), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    async def _live(self, target_port: int) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._proxy.start()
        except BaseException as error:
            self._started.set_exception(error)
            raise
        self._started.set_result(None)
        await self._ending.wait()
        await self._proxy.stop()
