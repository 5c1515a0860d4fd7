"""A witness to an agent's steps: what starts, finishes or is replayed is noted outside Redis."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from penstock.cli.builtin import Handler
from penstock.cli.demo.ledger import LedgerWriter
from penstock.worker.context import JobContext


def witnessed(handler: Handler, ledger: Path) -> Handler:
    """The same handler, each of whose jobs and durable steps leaves lines in the ledger."""

    async def run(context: JobContext) -> Any:
        writer = LedgerWriter(ledger, context.id, str(context.job.worker_id), context.attempt)
        await asyncio.to_thread(writer.note, "job started")
        result = await handler(cast("JobContext", WitnessedContext(context, writer)))
        await asyncio.to_thread(writer.note, "job finished")
        return result

    return run


class WitnessedContext:
    """A `JobContext` in all respects, that notes what becomes of each step."""

    def __init__(self, context: JobContext, ledger: LedgerWriter) -> None:
        self._context = context
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def step(self, name: str, function: Callable[[], Any], **options: Any) -> Any:
        """As `JobContext.step`."""
        ran = False

        def begin() -> None:
            nonlocal ran
            ran = True
            self._ledger.note("step started", name)

        async def noted() -> Any:
            await asyncio.to_thread(begin)
            return await function()

        def noted_plainly() -> Any:
            begin()
            return function()

        chosen = noted if inspect.iscoroutinefunction(function) else noted_plainly
        value = await self._context.step(name, chosen, **options)
        await asyncio.to_thread(self._ledger.note, "step finished" if ran else "step replayed", name)
        return value
