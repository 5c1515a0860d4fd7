"""The tables of the history. ``migrations`` makes them; a test holds the two against each other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _moment(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), **options)


def _order(name: str) -> Column[Any]:
    """Part of a fact's place in its events stream; what is written came from there or later."""
    return Column(name, BigInteger, nullable=False, server_default="0")


#: One row a run. ``last_event_*`` is the fact that status, attempt, result and ``completed_at`` came
#: from; progress, step and error each remember theirs, so facts may come in any order.
runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("kind", Text),
    Column("actor", Text),
    Column("goal", Text),
    Column("autonomy_level", Text),
    Column("status", Text, nullable=False),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("current_step", Text),
    Column("attempt", Integer, nullable=False, server_default="0"),
    _moment("created_at", nullable=False),
    _moment("started_at"),
    _moment("completed_at"),
    Column("result", JSONB),
    Column("error", Text),
    Column("webhook_url", Text),
    Column("trace_id", Text),
    Column("context", JSONB),
    Column("spec", JSONB),
    _order("last_event_ms"),
    _order("last_event_seq"),
    _order("progress_event_ms"),
    _order("progress_event_seq"),
    _order("step_event_ms"),
    _order("step_event_seq"),
    _order("error_event_ms"),
    _order("error_event_seq"),
)
Index("runs_newest", runs.c.created_at.desc(), runs.c.run_id)
Index("runs_by_actor", runs.c.actor, runs.c.created_at.desc())
Index("runs_by_status", runs.c.status, runs.c.created_at.desc())

#: Finished steps. ``inputs`` is the step's fingerprint, so that a job can be given its steps back.
run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False),
    _moment("finished_at", nullable=False),
    Column("inputs", Text),
    Column("result", JSONB),
    _order("event_ms"),
    _order("event_seq"),
)

#: One row a webhook delivery.
deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("run_id", Text),
    Column("event", Text),
    Column("url", Text),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    _moment("created_at", nullable=False),
    _moment("completed_at"),
    _order("last_event_ms"),
    _order("last_event_seq"),
    _order("error_event_ms"),
    _order("error_event_seq"),
)
Index("deliveries_by_run", deliveries.c.run_id, deliveries.c.created_at)
Index("deliveries_by_status", deliveries.c.status, deliveries.c.created_at.desc())

#: Facts that could not be read or kept, as they were: JSON of the fields, bytes in base64.
facts_set_aside = Table(
    "facts_set_aside",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False),
    Column("fact_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    _moment("set_aside_at", nullable=False),
    Index("facts_set_aside_once", "queue", "fact_id", unique=True),
)
