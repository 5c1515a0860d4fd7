"""The history of the demo's runs, out of PostgreSQL and onto the screen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.cli.demo.view import shortened
from penstock.runs.history import DeliveryRecord, HistoryReader, RunRecord

MOST_ROWS: Final = 500
_ID_WIDTH: Final = 8
_GOAL_WIDTH: Final = 44
_ANSWER_WIDTH: Final = 44


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A run as PostgreSQL has it, its number of steps, and the deliveries of its webhook."""

    run: RunRecord
    steps: int
    deliveries: tuple[DeliveryRecord, ...]


async def count_ended(history: HistoryReader, actor: str) -> int:
    """How many rows of runs that have ended PostgreSQL has for an actor."""
    counts = await history.count_runs(actor)
    return counts["completed"] + counts["failed"] + counts["cancelled"]


async def read_rows(history: HistoryReader, actor: str) -> list[HistoryRow]:
    """All of an actor's runs, oldest first."""
    runs = await history.list_runs(limit=MOST_ROWS, actor=actor)
    steps = await asyncio.gather(*(history.steps_of(run.run_id) for run in runs))
    deliveries = await asyncio.gather(*(history.deliveries_of(run.run_id) for run in runs))
    rows = [
        HistoryRow(run, len(own), tuple(sent)) for run, own, sent in zip(runs, steps, deliveries, strict=True)
    ]
    return sorted(rows, key=lambda row: row.run.created_at)


def print_history(console: Console, rows: list[HistoryRow]) -> None:
    """Print the rows as a table."""
    table = Table(title="History, from PostgreSQL", title_justify="left", show_lines=False)
    table.add_column("Run", no_wrap=True, min_width=_ID_WIDTH)
    table.add_column("Goal", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("Answer", no_wrap=True, overflow="ellipsis", ratio=2)
    for heading in ("Status", "Attempts", "Steps", "Seconds", "Webhook"):
        table.add_column(heading, no_wrap=True, min_width=max(len(heading), len("completed")))
    for row in rows:
        run = row.run
        table.add_row(
            run.run_id[:_ID_WIDTH],
            Text(shortened(run.goal, _GOAL_WIDTH)),
            Text(shortened(_answer(run), _ANSWER_WIDTH)),
            run.status,
            str(run.attempt),
            str(row.steps),
            _seconds(run),
            ", ".join(_delivery(one) for one in row.deliveries) or "none",
        )
    console.print(table)


def _answer(run: RunRecord) -> str:
    return str(run.result.get("answer", "")) if isinstance(run.result, dict) else run.error or ""


def _seconds(run: RunRecord) -> str:
    if run.completed_at is None:
        return ""
    return f"{(run.completed_at - run.created_at).total_seconds():.1f}"


def _delivery(delivery: DeliveryRecord) -> str:
    return "delivered" if delivery.status == "completed" else delivery.status
