"""A projector in a process of its own that stops dead at a place named by its argument.

    projector_process.py (before-commit | after-commit)

It says "stuck" when it has come to that place with its third batch.
"""

from __future__ import annotations

import asyncio
import os
import sys

from penstock.core.settings import ServiceSettings
from penstock.runs.books import RunBook
from penstock.runs.changes import Change
from penstock.runs.database import Database
from penstock.runs.projector import Projector
from penstock.runs.queues import open_run_queue
from penstock.store.events import EventReader

ROUNDS_BEFORE = 2


async def stuck() -> None:
    """Say so, and go no further."""
    sys.stdout.write("stuck\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


class Sticky:
    """Goes through a few times, then no more."""

    def __init__(self) -> None:
        self.rounds = 0

    async def pass_by(self) -> None:
        """One more time."""
        self.rounds += 1
        if self.rounds > ROUNDS_BEFORE:
            await stuck()


class StickyBook(RunBook):
    """Has the batch written, and never commits it."""

    def __init__(self) -> None:
        self.sticky = Sticky()

    async def write(self, connection: object, queue: str, changes: object) -> None:
        """Write, then stick."""
        known: list[Change] = list(changes)  # type: ignore[call-overload]
        await super().write(connection, queue, known)  # type: ignore[arg-type]
        await self.sticky.pass_by()


async def main(place: str) -> None:
    """Project until stuck."""
    if place == "after-commit":
        sticky, acknowledge = Sticky(), EventReader.acknowledge

        async def sticking(self: EventReader, facts: list[object]) -> None:
            await sticky.pass_by()
            await acknowledge(self, facts)  # type: ignore[arg-type]

        EventReader.acknowledge = sticking  # type: ignore[assignment,method-assign]
    book = StickyBook() if place == "before-commit" else RunBook()
    queue = await open_run_queue(ServiceSettings())
    async with Database(os.environ["PENSTOCK_DATABASE_URL"]) as database:
        await Projector(queue, database, book, batch=20).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
