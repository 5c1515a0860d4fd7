"""The projector: writes what happens on a queue into PostgreSQL, so that it outlives Redis."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from sqlalchemy import text

from penstock.core.errors import InvalidJobError, PenstockError, UnwritableFactError
from penstock.runs.bodies import made_whole, slices
from penstock.runs.books import Book, DeliveryBook, RunBook, without_nul
from penstock.runs.changes import fold
from penstock.runs.database import Database
from penstock.runs.queues import HISTORY_GROUP
from penstock.runs.statements import SET_ASIDE
from penstock.store.events import EventReader, Fact
from penstock.store.streams import RedisStreamsQueue, default_worker_id

BATCH: Final = 250
BLOCK_MS: Final = 500
DEAD_READER_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0
REMIND_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
#: A read whose connection was cut may still wait on the server, and be given facts that never
#: arrive; after this time it has ended for certain.
GHOST_SECONDS: Final = 2.0

logger = logging.getLogger("penstock.runs")


@dataclass(frozen=True, slots=True)
class ProjectorStats:
    """What a projector has done since it was made.

    ``lag_seconds`` is the time between a fact and its commit, for the oldest fact of the last batch;
    while a batch cannot be written, it is the age of its oldest fact. ``longest_lag_seconds`` is the
    most it ever was.
    """

    facts_written: int = 0
    facts_set_aside: int = 0
    lag_seconds: float = 0.0
    longest_lag_seconds: float = 0.0


class Projector:
    """Reads the events of one queue as one of the group ``history``, and writes them in batches.

    Any number may run beside each other. Facts are acknowledged after their commit and repeat until
    then, whatever dies; what a reader silent for ``dead_reader_seconds`` had in hand is taken over.
    While PostgreSQL or Redis is away it waits, and nothing is lost. A fact that cannot be read or
    kept goes into the table ``facts_set_aside``, with an error in the log, and holds nobody up.
    """

    def __init__(
        self,
        queue: RedisStreamsQueue,
        database: Database,
        book: Book,
        *,
        consumer: str | None = None,
        batch: int = BATCH,
        dead_reader_seconds: float = DEAD_READER_SECONDS,
    ) -> None:
        """Read ``queue`` as ``consumer`` (by default a name of its own) into ``book``."""
        self._queue_name = queue.queue_name
        self._engine = queue.engine
        self._database = database
        self._book = book
        self._reader = EventReader(queue.engine, HISTORY_GROUP, consumer or default_worker_id())
        self._batch = batch
        self._dead_reader_seconds = dead_reader_seconds
        self._stats = ProjectorStats()
        self._oldest_unwritten_ms: int | None = None
        self._take_over_at = 0.0
        self._repeat_at = math.inf
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of_runs(cls, queue: RedisStreamsQueue, database: Database) -> Projector:
        """The projector of the run queue."""
        return cls(queue, database, RunBook())

    @classmethod
    def of_deliveries(cls, queue: RedisStreamsQueue, database: Database) -> Projector:
        """The projector of the webhook queue."""
        return cls(queue, database, DeliveryBook())

    @property
    def stats(self) -> ProjectorStats:
        """What was done so far, and how far history is behind."""
        if self._oldest_unwritten_ms is None:
            return self._stats
        return self._lagging(_age_seconds(self._oldest_unwritten_ms))

    def start(self) -> None:
        """Begin reading, in a task of its own."""
        self._stopping.clear()
        self._task = asyncio.get_running_loop().create_task(self.run(), name=f"projector-{self._queue_name}")

    async def stop(self) -> None:
        """Finish the batch in hand and end; what is not written by then repeats elsewhere."""
        self._stopping.set()
        task, self._task = self._task, None
        if task is None:
            return
        await asyncio.wait([task], timeout=STOP_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Read and write until ``stop``."""
        outage = _Outage(self._queue_name)
        while not self._stopping.is_set():
            try:
                await self.run_once(BLOCK_MS)
            except PenstockError as error:
                await self._rest(outage.note(error))
            except Exception:
                # A mistake of ours must not end history in silence; nothing is acknowledged meanwhile.
                logger.exception("history of %s: unexpected error, trying again", self._queue_name)
                await self._rest(LONGEST_PAUSE_SECONDS)
            else:
                outage.end()

    async def run_once(self, block_ms: int = 0) -> int:
        """One batch, if there is one within ``block_ms``; returns how many facts were dealt with.

        Raises ``QueueUnavailableError`` or ``HistoryUnavailableError`` while Redis or PostgreSQL is
        away, ``StoreError`` or ``ConfigurationError`` when it refuses; the batch then comes again.
        """
        try:
            if time.monotonic() >= self._repeat_at:
                self._reader.repeat()
                self._repeat_at = math.inf
            await self._take_over_when_due()
            facts = await self._reader.read(self._batch, max(block_ms, 1))
            for piece in slices(facts):
                self._oldest_unwritten_ms = min(fact.at_ms for fact in piece)
                written = await self._write(piece)
                await self._reader.acknowledge(piece)
                self._count(written, len(piece) - written)
        except BaseException:
            # Whether the reply to a read was lost is unknown; asking for it again does no harm.
            self._reader.repeat()
            self._repeat_at = time.monotonic() + GHOST_SECONDS
            raise
        return len(facts)

    async def _take_over_when_due(self) -> None:
        if time.monotonic() < self._take_over_at:
            return
        taken = await self._reader.take_over(round(self._dead_reader_seconds * 1000))
        self._take_over_at = time.monotonic() + self._dead_reader_seconds / 2
        if taken:
            logger.info("history of %s: took over %d facts of a dead reader", self._queue_name, taken)

    async def _write(self, facts: Sequence[Fact]) -> int:
        """Write the facts in one transaction, apart from those that cannot be; returns how many were."""
        try:
            changes = fold(await made_whole(self._engine, facts))
            async with self._database.begin() as connection:
                await self._book.write(connection, self._queue_name, changes)
        except (InvalidJobError, UnwritableFactError) as error:
            if len(facts) == 1:
                await self._set_aside(facts[0], error)
                return 0
            half = len(facts) // 2
            return await self._write(facts[:half]) + await self._write(facts[half:])
        return len(facts)

    async def _set_aside(self, fact: Fact, error: PenstockError) -> None:
        row = {
            "queue": self._queue_name,
            "fact_id": fact.id,
            "event": without_nul(fact.event),
            "job_id": without_nul(fact.job_id),
            "reason": without_nul(str(error)),
            "fields": msgspec.json.encode(
                {name: base64.b64encode(value).decode() for name, value in fact.fields.items()}
            ),
        }
        async with self._database.begin() as connection:
            await connection.execute(text(SET_ASIDE), row)
        logger.error(
            "history of %s: fact %s (%s of job %s) was set aside, see table facts_set_aside: %s",
            self._queue_name,
            fact.id,
            fact.event,
            fact.job_id,
            error,
        )

    def _count(self, written: int, set_aside: int) -> None:
        if self._oldest_unwritten_ms is not None:
            self._stats = self._lagging(_age_seconds(self._oldest_unwritten_ms))
        self._oldest_unwritten_ms = None
        self._stats = replace(
            self._stats,
            facts_written=self._stats.facts_written + written,
            facts_set_aside=self._stats.facts_set_aside + set_aside,
        )

    def _lagging(self, lag_seconds: float) -> ProjectorStats:
        longest = max(self._stats.longest_lag_seconds, lag_seconds)
        return replace(self._stats, lag_seconds=lag_seconds, longest_lag_seconds=longest)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


class _Outage:
    """One warning when it begins, one a minute while it lasts, one line when it is over."""

    def __init__(self, queue_name: str) -> None:
        self._queue_name = queue_name
        self._since: float | None = None
        self._remind_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def note(self, error: PenstockError) -> float:
        """Report the error if it is time to; returns how long to wait before trying again."""
        now = time.monotonic()
        if self._since is None:
            self._since, self._pause_seconds = now, FIRST_PAUSE_SECONDS
            self._remind_at = now
        if now >= self._remind_at:
            self._remind_at = now + REMIND_SECONDS
            logger.warning(
                "history of %s waits, for %.0f s so far: %s", self._queue_name, now - self._since, error
            )
        pause = self._pause_seconds
        self._pause_seconds = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return pause

    def end(self) -> None:
        """Say that it is over, if there was one."""
        if self._since is not None:
            logger.info(
                "history of %s goes on after %.0f s", self._queue_name, time.monotonic() - self._since
            )
            self._since = None


def _age_seconds(at_ms: int) -> float:
    return max(time.time() - at_ms / 1000, 0.0)
