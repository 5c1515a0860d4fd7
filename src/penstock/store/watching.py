"""Watching jobs: any number of waiters share one listener, and their looks at the server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from penstock.core.job import Job
from penstock.store.coalescer import Coalescer
from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.listener import Listener
from penstock.store.records import load_jobs
from penstock.store.script_calls import BATCH

PAGE = 200


class Reading(NamedTuple):
    """A page of a live feed to read: what comes after entry ``after`` of the job ``job_id``."""

    job_id: str
    after: str


class Entry(NamedTuple):
    """An entry of a live feed as stored."""

    id: str
    kind: str
    at_ms: int
    body: bytes


class Watch:
    """What happens to the jobs of one queue, for those who wait for it now."""

    def __init__(self, engine: Engine, queue_name: str) -> None:
        """Nothing is connected before the first waiter comes."""
        self._engine = engine
        self._queue_name = queue_name
        self.listener = Listener(engine)
        self.listener.on("end", self._tell)
        self.listener.on("emit", self._tell_of_entry)
        self.listener.on_gap(self._tell_all)
        self._ends: dict[str, set[asyncio.Event]] = {}
        self._entries: dict[str, set[asyncio.Event]] = {}
        self._statuses: Coalescer[str, str] = Coalescer(self._ask_statuses)
        self._jobs: Coalescer[str, Job | None] = Coalescer(self._ask_jobs)
        self._pages: Coalescer[Reading, list[Entry]] = Coalescer(self._ask_pages)

    @contextmanager
    def waiting(self, job_id: str, *, for_entries: bool = False) -> Iterator[asyncio.Event]:
        """An event that is set when the job has ended, or also when its feed has grown."""
        event = asyncio.Event()
        groups = [self._ends, self._entries] if for_entries else [self._ends]
        for group in groups:
            group.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            for group in groups:
                group[job_id].discard(event)
                if not group[job_id]:
                    del group[job_id]

    async def pause(self, told: asyncio.Event) -> bool:
        """Wait until ``told``, or until it is time to look; whether it was told."""
        try:
            # A little apart, so that thousands of waiters do not look in the same moment.
            async with asyncio.timeout(self.listener.look_seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads load
                return await told.wait()
        except TimeoutError:
            return False

    async def status(self, job_id: str) -> str:
        """The job's status, or ``gone``; from now on its end is told."""
        return await self._statuses.ask(job_id)

    async def job(self, job_id: str) -> Job | None:
        """The job as it stands."""
        return await self._jobs.ask(job_id)

    async def page(self, job_id: str, after: str) -> list[Entry]:
        """The next entries of its live feed, at most 200."""
        return await self._pages.ask(Reading(job_id, after))

    async def last(self, job_id: str) -> Entry | None:
        """The last entry of its live feed."""
        with translated(self._engine.where):
            found = await cast("Any", self._engine.client.xrevrange(self._engine.keys.live + job_id, count=1))
        return _entry(*found[0]) if found else None

    async def stop(self) -> None:
        """Stop listening, and wait for the looks that are on their way."""
        await self.listener.stop()
        for looks in (self._statuses, self._jobs, self._pages):
            await looks.close()

    def _tell(self, job_id: str) -> None:
        for event in self._ends.get(job_id, ()):
            event.set()

    def _tell_of_entry(self, job_id: str) -> None:
        for event in self._entries.get(job_id, ()):
            event.set()

    def _tell_all(self) -> None:
        for group in (self._ends, self._entries):
            for events in group.values():
                for event in events:
                    event.set()

    async def _ask_statuses(self, ids: Sequence[str]) -> list[str]:
        wanted = list(dict.fromkeys(ids))
        found: dict[str, str] = {}
        for at in range(0, len(wanted), BATCH):
            batch = wanted[at : at + BATCH]
            found.update(zip(batch, await self._engine.watch(batch), strict=True))
        return [found[job_id] for job_id in ids]

    async def _ask_jobs(self, ids: Sequence[str]) -> list[Job | None]:
        wanted = list(dict.fromkeys(ids))
        found = dict(zip(wanted, await load_jobs(self._engine, wanted, self._queue_name), strict=True))
        return [found[job_id] for job_id in ids]

    async def _ask_pages(self, readings: Sequence[Reading]) -> list[list[Entry]]:
        wanted = list(dict.fromkeys(readings))
        live = self._engine.keys.live
        with translated(self._engine.where):
            pipe = cast("Any", self._engine.client.pipeline(transaction=False))
            for job_id, after in wanted:
                pipe.xrange(live + job_id, min=f"({after}", count=PAGE)
            answers = await pipe.execute()
        pages = [[_entry(entry_id, fields) for entry_id, fields in answer] for answer in answers]
        found = dict(zip(wanted, pages, strict=True))
        return [found[reading] for reading in readings]


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(entry_id.decode(), fields[b"kind"].decode(), int(fields[b"at"]), fields.get(b"body", b""))
