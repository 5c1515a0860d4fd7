"""Threads for plain functions: as many as there is work for, reused, and never in the way of an end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")


class _Task(NamedTuple):
    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class ThreadCrew:
    """Runs each function in a thread of its own.

    A pool of fixed size would make new jobs wait for functions that were told to stop and have not;
    and threads of the standard pools hold up the end of the process until their function returns.
    """

    def __init__(self) -> None:
        """Nobody is in the crew yet."""
        self._idle: deque[queue.SimpleQueue[_Task | None]] = deque()
        self._is_closed = False

    async def run(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Call ``function`` in a thread, within the caller's context, and return or raise what it does.

        When the caller is cancelled the function goes on, and what becomes of it is dropped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value] = loop.create_future()
        call = partial(contextvars.copy_context().run, function, *arguments)
        self._member().put(_Task(call, loop, future))
        try:
            return await future
        finally:
            # What it raises leads here, and would lead back: only the garbage collector could part the two.
            del future

    def close(self) -> None:
        """Let idle threads end now and busy ones when their function returns."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().put(None)

    def _member(self) -> queue.SimpleQueue[_Task | None]:
        self._is_closed = False
        try:
            return self._idle.pop()
        except IndexError:
            inbox: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox,), name="penstock-job", daemon=True).start()
            return inbox

    def _serve(self, inbox: queue.SimpleQueue[_Task | None]) -> None:
        while (task := inbox.get()) is not None:
            value, error = None, None
            try:
                value = task.call()
            except BaseException as raised:
                error = raised
            self._idle.append(inbox)
            if self._is_closed:
                self.close()
            try:
                task.loop.call_soon_threadsafe(_conclude, task.future, value, error)
            except RuntimeError:
                # The loop has ended, and nobody waits any more.
                return
            del task, value, error


def _conclude(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, concurrent.futures.CancelledError | asyncio.CancelledError):
        future.cancel()
    elif isinstance(error, StopIteration):
        # A future cannot carry it.
        future.set_exception(RuntimeError(f"the function raised {error!r}"))
    else:
        future.set_exception(error)
