"""Middleware: what is put around every handler of a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Protocol

from penstock.core.errors import ConfigurationError
from penstock.worker.context import JobContext


class CallNext(Protocol):
    """What is further in: the next middleware, or the handler."""

    def __call__(self, ctx: JobContext, /) -> Awaitable[Any]:
        """Go on with the attempt; await the result."""


class Middleware(Protocol):
    """An object that is called in place of each handler and decides whether and how to go on.

    ``await call_next(ctx)`` runs what is further in and returns the job's result; what it returns
    or raises in turn is the outcome of the attempt. It runs on the worker's loop, whatever the
    kind of the handler. An attempt that is stopped raises ``asyncio.CancelledError`` out of
    ``call_next``, which must be let through.
    """

    async def __call__(self, ctx: JobContext, call_next: CallNext) -> Any:
        """Run one attempt, by way of ``call_next``."""


def check_middleware(middleware: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """All of them, outermost first; raises ``ConfigurationError`` for one that cannot be called."""
    for each in middleware:
        if isinstance(each, type) or not callable(each):
            raise ConfigurationError(
                f"middleware {each!r} cannot be called: expected an object with "
                "`async def __call__(self, ctx, call_next)`, or an async function of the two"
            )
    return tuple(middleware)


async def call_through(middleware: Sequence[Middleware], innermost: CallNext, context: JobContext) -> Any:
    """Call the first of ``middleware`` around the others, and those around ``innermost``."""
    call_next = innermost
    for each in reversed(middleware):
        call_next = partial(_call, each, call_next)
    return await call_next(context)


def _call(middleware: Middleware, call_next: CallNext, context: JobContext) -> Awaitable[Any]:
    return middleware(context, call_next)
