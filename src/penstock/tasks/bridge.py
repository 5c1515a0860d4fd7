"""From code without an event loop to one: a single daemon thread that runs coroutines for all."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

Value = TypeVar("Value")

_LAST_WORDS_SECONDS: Final = 2.0


class _Bridge:
    """A thread with an event loop, ended when the process ends."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="penstock-bridge", daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("the thread that answers synchronous calls cannot wait for itself")
        # The caller's context goes along: trace, and the connection that its block uses.
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_LAST_WORDS_SECONDS)

    def _serve(self) -> None:
        asyncio.run(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()


_lock = threading.Lock()
_bridge: _Bridge | None = None


def run_blocking(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Run ``coroutine`` in the bridge's loop and wait; may be called in any thread, and in a running loop.

    In a running loop it blocks that loop for the time of the call.
    """
    return _the_bridge().run(coroutine)


def _the_bridge() -> _Bridge:
    global _bridge  # noqa: PLW0603 - one thread a process, however many callers
    with _lock:
        if _bridge is None:
            _bridge = _Bridge()
            atexit.register(_bridge.close)
        return _bridge


def _forget() -> None:
    """After a fork: the child has the object but not its thread."""
    global _bridge, _lock  # noqa: PLW0603 - the lock may have been held at the fork
    _lock = threading.Lock()
    if _bridge is not None:
        atexit.unregister(_bridge.close)
        _bridge = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
