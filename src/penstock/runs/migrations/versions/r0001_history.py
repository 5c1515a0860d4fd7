"""The first tables: runs, their steps, deliveries, and facts set aside."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_runs()
    _make_steps()
    _make_deliveries()
    _make_facts_set_aside()


def downgrade() -> None:
    """Drop the tables, with all history."""
    for table in ("facts_set_aside", "deliveries", "run_steps", "runs"):
        op.drop_table(table)


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("goal", sa.Text),
        sa.Column("autonomy_level", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.Double, nullable=False, server_default="0"),
        sa.Column("current_step", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        _moment("created_at", nullable=False),
        _moment("started_at"),
        _moment("completed_at"),
        sa.Column("result", JSONB),
        sa.Column("error", sa.Text),
        sa.Column("webhook_url", sa.Text),
        sa.Column("trace_id", sa.Text),
        sa.Column("context", JSONB),
        sa.Column("spec", JSONB),
        *_place("last_event"),
        *_place("progress_event"),
        *_place("step_event"),
        *_place("error_event"),
    )
    op.create_index("runs_newest", "runs", [sa.text("created_at DESC"), "run_id"])
    op.create_index("runs_by_actor", "runs", ["actor", sa.text("created_at DESC")])
    op.create_index("runs_by_status", "runs", ["status", sa.text("created_at DESC")])


def _make_steps() -> None:
    op.create_table(
        "run_steps",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False),
        _moment("finished_at", nullable=False),
        sa.Column("inputs", sa.Text),
        sa.Column("result", JSONB),
        *_place("event"),
    )


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text),
        sa.Column("event", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        _moment("created_at", nullable=False),
        _moment("completed_at"),
        *_place("last_event"),
        *_place("error_event"),
    )
    op.create_index("deliveries_by_run", "deliveries", ["run_id", "created_at"])
    op.create_index("deliveries_by_status", "deliveries", ["status", sa.text("created_at DESC")])


def _make_facts_set_aside() -> None:
    op.create_table(
        "facts_set_aside",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("fact_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fields", sa.LargeBinary, nullable=False),
        _moment("set_aside_at", nullable=False),
    )
    op.create_index("facts_set_aside_once", "facts_set_aside", ["queue", "fact_id"], unique=True)


def _moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _place(name: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(f"{name}_{part}", sa.BigInteger, nullable=False, server_default="0")
        for part in ("ms", "seq")
    ]
