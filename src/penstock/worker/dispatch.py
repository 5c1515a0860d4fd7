"""The one place where an attempt becomes a call: on the loop, in a thread or in a process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from penstock.worker.context import JobContext
from penstock.worker.handlers import Found, HandlerKind, HandlerTable
from penstock.worker.holdings import Holding
from penstock.worker.middleware import Middleware, call_through
from penstock.worker.stack import StackMark, watched


class Place(NamedTuple):
    """Where a handler that was prepared on the loop lets its function run."""

    dispatcher: Dispatcher
    holding: Holding

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` in a thread of its own; a cancelled job's function is waited for."""
        return await self.dispatcher.run_in_thread(self.holding, function)

    async def in_process(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Call ``function(argument)`` in a process, which is killed when the attempt is stopped."""
        return await self.dispatcher.run_in_process(function, argument)


class Dispatcher:
    """Calls handlers where they belong, by way of the middleware if there is any.

    ``run(holding, context, found)`` is what an attempt calls. Without middleware nothing stands
    between it and the handler.
    """

    def __init__(
        self,
        handlers: HandlerTable,
        mark: StackMark,
        post: Callable[[], None],
        middleware: Sequence[Middleware] = (),
    ) -> None:
        """``mark`` and ``post`` tell the heartbeat's board whose code runs."""
        self._handlers = handlers
        self._mark = mark
        self._post = post
        self._middleware = middleware
        self.run = self._run_through if middleware else self._run

    async def run_in_thread(self, holding: Holding, function: Callable[[], Any]) -> Any:
        """Call ``function`` in a thread of its own and return or raise what it does."""
        # On the board before the function runs: code that holds the GIL must be found to be to blame.
        holding.in_thread = True
        self._post()
        try:
            return await self._handlers.threads.run(function)
        finally:
            holding.in_thread = False

    async def run_in_process(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Call ``function(argument)`` in a process of its own and return or raise what it does."""
        return await self._handlers.run_in_process(function, argument)

    async def _run(self, holding: Holding, context: JobContext, found: Found) -> Any:
        handler: Any = found.handler
        call = handler(context) if found.kind is HandlerKind.LOOP else self._call(holding, found, context)
        return await watched(call, self._mark, holding.serial)

    async def _run_through(self, holding: Holding, context: JobContext, found: Found) -> Any:
        innermost = partial(self._call, holding, found)
        call = call_through(self._middleware, innermost, context)
        return await watched(call, self._mark, holding.serial)

    async def _call(self, holding: Holding, found: Found, context: JobContext) -> Any:
        handler: Any = found.handler
        if found.kind is HandlerKind.LOOP:
            return await handler(context)
        if found.kind is HandlerKind.PREPARED:
            return await handler(context, Place(self, holding))
        if found.kind is HandlerKind.PROCESS:
            return await self.run_in_process(handler.function, context.payload)
        result = await self.run_in_thread(holding, partial(handler, context))
        # A function that makes a coroutine, say a lambda around an async function.
        return await result if inspect.isawaitable(result) else result
