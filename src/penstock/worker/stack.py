"""Whose code is on the event loop's stack right now, written where another process can read it."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")


class StackMark(Protocol):
    """Takes the serial of the attempt that is about to run a piece of code; 0 when it pauses."""

    def __call__(self, serial: int) -> None:
        """Write the mark."""


@types.coroutine
def watched(
    coroutine: Coroutine[Any, Any, Value], mark: StackMark, serial: int
) -> Generator[Any, Any, Value]:
    """Await ``coroutine``, marking ``serial`` whenever its own code runs.

    A handler that blocks the loop can thus be told from its neighbours, by a process that is not
    blocked itself.
    """
    resume: Any = coroutine.send
    value: Any = None
    try:
        while True:
            mark(serial)
            paused = resume(value)
            mark(0)
            try:
                value = yield paused
                resume = coroutine.send
            except BaseException as error:
                resume, value = coroutine.throw, error
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        mark(0)
        # What is raised leads to this frame, and these would lead back to what is raised.
        value = paused = None
