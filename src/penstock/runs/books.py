"""How changes become rows: the book of runs and the book of deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from sqlalchemy import text

from penstock.runs.changes import Change
from penstock.runs.statements import NUMBER_STEPS, WRITE_DELIVERIES, WRITE_RUNS, WRITE_STEPS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

#: Characters of a value that an index holds; PostgreSQL limits an entry to 2,704 bytes.
INDEXED_CHARACTERS: Final = 512
_NUL_IN_JSON: Final = b"\\u0000"
_NUL: Final = "\x00"
_INSTEAD: Final = "\N{REPLACEMENT CHARACTER}"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class Book(Protocol):
    """Where the changes of one queue's jobs are written."""

    async def write(self, connection: AsyncConnection, queue: str, changes: Sequence[Change]) -> None:
        """Write the changes within the connection's transaction; again, or out of order, does no harm."""


class RunBook:
    """Writes runs and their steps."""

    async def write(self, connection: AsyncConnection, queue: str, changes: Sequence[Change]) -> None:
        """Write rows of ``runs`` and ``run_steps``."""
        rows = [_run_row(queue, change) for change in changes]
        await connection.execute(text(WRITE_RUNS), {"rows": rows_json(rows)})
        steps = [row for change in changes for row in _step_rows(change)]
        if steps:
            await connection.execute(text(WRITE_STEPS), {"rows": rows_json(steps)})
            ids = [change.job_id for change in changes if change.steps]
            await connection.execute(text(NUMBER_STEPS), {"ids": ids})


class DeliveryBook:
    """Writes webhook deliveries."""

    async def write(self, connection: AsyncConnection, queue: str, changes: Sequence[Change]) -> None:
        """Write rows of ``deliveries``."""
        rows = [_delivery_row(change) for change in changes]
        await connection.execute(text(WRITE_DELIVERIES), {"rows": rows_json(rows)})


def rows_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as JSON that PostgreSQL takes: it has no NUL character, so another stands in its place."""
    encoded = _encoder.encode(rows)
    if _NUL_IN_JSON in encoded:
        encoded = _encoder.encode(_without_nul(_decoder.decode(encoded)))
    return encoded.decode()


def without_nul(value: str) -> str:
    """Text that PostgreSQL takes."""
    return value.replace(_NUL, _INSTEAD)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): _without_nul(item) for name, item in value.items()}
    return value


def _run_row(queue: str, change: Change) -> dict[str, Any]:
    state = change.state[1]
    return {
        "run_id": change.job_id,
        "queue": queue,
        "status": state.status,
        "attempt": state.attempt,
        "started_at": _seconds(change.started_at_ms),
        "completed_at": _seconds(state.completed_at_ms),
        "result": None if state.result is None else msgspec.Raw(state.result),
        "progress": change.progress[1],
        "current_step": change.current_step[1],
        "error": change.error[1],
        **_places(change),
        **_identity(change),
    }


def _identity(change: Change) -> dict[str, Any]:
    """What the caller asked for; nothing of it while only later facts are known."""
    if change.spec is None or change.raw_spec is None:
        return {"created_at": change.first_at_ms / 1000}
    spec = change.spec
    payload = spec.payload if isinstance(spec.payload, dict) else {}
    parent = str(spec.trace.get("traceparent", "")).split("-")
    return {
        "kind": spec.type,
        "actor": _indexed(payload.get("actor") or spec.metadata.get("actor")),
        "goal": _text(payload.get("goal")),
        "autonomy_level": _text(payload.get("autonomy_level")),
        "webhook_url": _text(payload.get("webhook_url")),
        "trace_id": _text(spec.metadata.get("trace_id")) or (parent[1] if len(parent) > 1 else None),
        "context": payload.get("context"),
        "created_at": spec.created_at,
        "spec": msgspec.Raw(change.raw_spec),
    }


def _step_rows(change: Change) -> list[dict[str, Any]]:
    return [
        {
            "run_id": change.job_id,
            "name": name,
            "attempt": step.attempt,
            "finished_at": step.at_ms / 1000,
            "inputs": step.inputs,
            "result": msgspec.Raw(step.result),
            "event_ms": step.place.at_ms,
            "event_seq": step.place.number,
        }
        for name, step in sorted(change.steps.items())
    ]


def _delivery_row(change: Change) -> dict[str, Any]:
    state = change.state[1]
    row = {
        "delivery_id": change.job_id,
        "status": state.status,
        "attempts": state.attempt,
        "completed_at": _seconds(state.completed_at_ms),
        "created_at": change.first_at_ms / 1000,
        "error": change.error[1],
        **_places(change),
    }
    if change.spec is not None:
        payload = change.spec.payload if isinstance(change.spec.payload, dict) else {}
        row |= {
            "run_id": _indexed(payload.get("run_id")),
            "event": _text(payload.get("event")),
            "url": _text(payload.get("url")),
            "created_at": change.spec.created_at,
        }
    return row


def _places(change: Change) -> dict[str, int]:
    places = {
        "last_event": change.state[0],
        "progress_event": change.progress[0],
        "step_event": change.current_step[0],
        "error_event": change.error[0],
    }
    return {
        f"{name}_{part}": value
        for name, place in places.items()
        for part, value in zip(("ms", "seq"), place, strict=True)
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _indexed(value: object) -> str | None:
    return value[:INDEXED_CHARACTERS] if isinstance(value, str) else None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
