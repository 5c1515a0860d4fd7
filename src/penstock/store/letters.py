"""Dead letters as they are read from their stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock.core.codec import JobSpec, decode_spec
from penstock.core.errors import InvalidJobError


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good, as it was when it failed.

    ``letter_id`` is its place among the dead letters, for paging. ``failed_at`` is in seconds since the
    epoch. ``payload`` is ``None`` in lists if it is stored apart; ``get`` has it. A ``damaged`` job could
    not be read and cannot be put back; ``raw`` is all that was found of it.
    """

    job_id: str
    letter_id: str
    type: str | None
    error: str
    traceback: str
    attempts: int
    crashes: int
    failed_at: float
    payload: Any = None
    damaged: bool = False
    raw: str | None = None


class Swept(NamedTuple):
    """What became of many: the ids that were dealt with, and why others were not."""

    done: list[str]
    refused: dict[str, str]


def order_of(letter_id: str) -> tuple[int, int]:
    """What letter ids are ordered by."""
    at_ms, _, number = letter_id.partition("-")
    return int(at_ms), int(number or 0)


def read_letter(letter_id: bytes, raw: Mapping[bytes, bytes]) -> DeadLetter:
    """A dead letter from its entry in the stream; whatever it holds, it can be shown."""
    fields = {name.decode(errors="replace"): value for name, value in raw.items()}
    told = {name: value.decode(errors="replace") for name, value in fields.items()}
    damaged = "kind" in told
    spec = None if damaged else _spec_of(fields.get("snapshot", b""))
    return DeadLetter(
        job_id=told.get("job", ""),
        letter_id=letter_id.decode(),
        type=None if spec is None else spec.type,
        error=told.get("error", ""),
        traceback=told.get("traceback", ""),
        attempts=int(told.get("attempts", 0)),
        crashes=int(told.get("crashes", 0)),
        failed_at=int(told.get("at", 0)) / 1000,
        payload=None if spec is None else spec.payload,
        damaged=damaged,
        raw=told.get("snapshot") if spec is None else None,
    )


def _spec_of(raw: bytes) -> JobSpec | None:
    try:
        return decode_spec(raw)
    except InvalidJobError:
        return None
