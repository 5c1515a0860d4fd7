"""Calling a provider of any kind: its value now, and its closing later."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any

from penstock.tasks.markers import Provider
from penstock.worker.thread_crew import ThreadCrew


async def provide(
    provider: Provider, arguments: dict[str, Any], stack: AsyncExitStack, threads: ThreadCrew
) -> Any:
    """The value of ``provider``; what follows the ``yield`` of a generator runs when ``stack`` closes.

    A generator is told of the error that ended the job, but cannot make it undone.
    """
    if _is(inspect.isasyncgenfunction, provider):
        manager = contextlib.asynccontextmanager(provider)(**arguments)
        value = await manager.__aenter__()
        stack.push_async_exit(partial(_close_async, manager))
        return value
    if _is(inspect.isgeneratorfunction, provider):
        blocking = contextlib.contextmanager(provider)(**arguments)
        entering = asyncio.ensure_future(threads.run(blocking.__enter__))
        # On the stack before it is entered: an attempt that is stopped meanwhile closes it all the same.
        stack.push_async_exit(partial(_close_blocking, blocking, threads, entering))
        return await asyncio.shield(entering)
    if _is(inspect.iscoroutinefunction, provider):
        return await provider(**arguments)
    value = await threads.run(partial(provider, **arguments))
    return await value if inspect.isawaitable(value) else value


async def _close_async(
    manager: contextlib.AbstractAsyncContextManager[Any],
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> bool:
    await manager.__aexit__(kind, error, trace)
    return False


async def _close_blocking(
    manager: AbstractContextManager[Any],
    threads: ThreadCrew,
    entering: asyncio.Future[Any],
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> bool:
    await asyncio.wait([entering])
    if entering.exception() is None:
        await threads.run(manager.__exit__, kind, error, trace)
    return False


def _is(kind: Callable[[Any], bool], provider: Provider) -> bool:
    """Whether a function, or the call of an object, is of that kind."""
    call = None if inspect.isclass(provider) else getattr(provider, "__call__", None)  # noqa: B004 - of what kind is it
    return kind(provider) or kind(call)
