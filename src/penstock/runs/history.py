"""Reading the history: plain values out of PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Select, func, select

from penstock.runs.books import INDEXED_CHARACTERS
from penstock.runs.database import Database
from penstock.runs.models import deliveries, run_steps, runs
from penstock.runs.status import RunStatus

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping
    from sqlalchemy.sql import ColumnElement

MOST_RUNS: Final = 1000

Record = TypeVar("Record", "RunRecord", "RunStep", "DeliveryRecord")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as history has it. Times are UTC; ``progress`` is from 0 to 100.

    ``actor``, ``goal`` and ``kind`` are empty while history knows only later facts of the run. ``spec`` is
    the whole job as asked for; ``list_runs`` leaves it and ``context`` out.
    """

    run_id: str
    queue: str
    kind: str
    actor: str
    goal: str
    autonomy_level: str | None
    status: str
    progress: float
    current_step: str | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    webhook_url: str | None
    trace_id: str | None
    result: Any = None
    context: Any = None
    spec: Any = None


@dataclass(frozen=True, slots=True)
class RunStep:
    """A finished step of a run; ``position`` counts from 1, ``inputs`` is the step's fingerprint."""

    run_id: str
    name: str
    position: int
    attempt: int
    finished_at: datetime
    inputs: str | None
    result: Any


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A webhook delivery; ``status`` is one of a run's, ``completed`` meaning delivered."""

    delivery_id: str
    run_id: str | None
    event: str | None
    url: str | None
    status: str
    attempts: int
    error: str | None
    created_at: datetime
    completed_at: datetime | None


class HistoryReader:
    """Questions to the history. Each raises ``HistoryUnavailableError`` while PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        """Ask ``database``, which stays the caller's."""
        self._database = database

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run, or ``None`` when history has none of this id."""
        found = await self._all(select(runs).where(runs.c.run_id == run_id))
        return _record(RunRecord, found[0]) if found else None

    async def list_runs(
        self,
        limit: int = 50,
        before: datetime | None = None,
        actor: str | None = None,
        status: RunStatus | str | None = None,
    ) -> list[RunRecord]:
        """At most ``limit`` (up to 1,000) runs, newest first, with their results.

        ``before`` leaves out runs created at that moment or later; ``actor`` and ``status`` those of
        others.
        """
        wanted: list[ColumnElement[bool]] = []
        if before is not None:
            wanted.append(runs.c.created_at < before)
        if actor is not None:
            wanted.append(runs.c.actor == actor[:INDEXED_CHARACTERS])
        if status is not None:
            wanted.append(runs.c.status == str(status))
        query = select(*_LISTED).where(*wanted).order_by(runs.c.created_at.desc(), runs.c.run_id)
        return [_record(RunRecord, row) for row in await self._all(query.limit(min(limit, MOST_RUNS)))]

    async def steps_of(self, run_id: str) -> list[RunStep]:
        """The finished steps of a run, in the order they were finished."""
        query = select(run_steps).where(run_steps.c.run_id == run_id).order_by(run_steps.c.position)
        return [_record(RunStep, row) for row in await self._all(query)]

    async def deliveries_of(self, run_id: str) -> list[DeliveryRecord]:
        """The webhook deliveries of a run, oldest first."""
        query = (
            select(deliveries)
            .where(deliveries.c.run_id == run_id)
            .order_by(deliveries.c.created_at, deliveries.c.delivery_id)
        )
        return [_record(DeliveryRecord, row) for row in await self._all(query)]

    async def count_runs(self, actor: str | None = None) -> dict[str, int]:
        """How many runs are in each status; every status is named."""
        query = select(runs.c.status, func.count().label("number")).group_by(runs.c.status)
        if actor is not None:
            query = query.where(runs.c.actor == actor[:INDEXED_CHARACTERS])
        found = {row["status"]: int(row["number"]) for row in await self._all(query)}
        return {status.value: found.get(status.value, 0) for status in RunStatus}

    async def ping(self) -> None:
        """Ask PostgreSQL for a sign of life; raises ``HistoryUnavailableError`` without one."""
        await self._database.ping()

    async def _all(self, query: Select[Any]) -> list[RowMapping]:
        async with self._database.begin() as connection:
            return list((await connection.execute(query)).mappings().all())


_LISTED = [column for column in runs.c if column.name not in {"context", "spec"}]


@asynccontextmanager
async def open_history(database_url: str | None) -> AsyncIterator[HistoryReader | None]:
    """The history at ``database_url``, or ``None`` when no URL is given.

    Nothing is connected before the first question, so PostgreSQL may be away meanwhile. Raises
    ``ConfigurationError`` for a URL that is not one of PostgreSQL.
    """
    if database_url is None:
        yield None
        return
    async with Database(database_url) as database:
        yield HistoryReader(database)


def _record(kind: type[Record], row: RowMapping) -> Record:
    known = {item.name for item in fields(kind)}
    values = {name: value for name, value in row.items() if name in known}
    for name in ("kind", "actor", "goal"):
        if name in known:
            values[name] = values[name] or ""
    return kind(**values)
