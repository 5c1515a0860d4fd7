"""Payloads and results that are kept apart from their facts, put back where they belong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from penstock.core.codec import decode_spec, encode_spec
from penstock.store.engine import Engine
from penstock.store.events import Fact

SLICE_BYTES: Final = 16 * 1024 * 1024
APART_BYTES: Final = 1024 * 1024

logger = logging.getLogger("penstock.runs")


def slices(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    """The facts in order, in pieces of about 16 MiB with what has to be loaded for them."""
    piece: list[Fact] = []
    size = 0
    for fact in facts:
        weight = _weight(fact)
        if piece and size + weight > SLICE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(fact)
        size += weight
    if piece:
        yield piece


async def made_whole(engine: Engine, facts: Sequence[Fact]) -> list[Fact]:
    """The facts with their payloads and results inside.

    Raises ``InvalidJobError`` for a spec that cannot be read, ``QueueUnavailableError`` when Redis is
    away. What is gone from Redis stays missing, and a warning says so.
    """
    return [await _made_whole(engine, fact) for fact in facts]


async def _made_whole(engine: Engine, fact: Fact) -> Fact:
    if b"payload_apart" in fact.fields.get("spec", b""):
        spec = decode_spec(fact.fields["spec"])
        if not spec.payload_apart:
            return fact
        raw = await engine.load_payload(fact.job_id)
        _note_missing(fact, "payload", raw)
        spec.payload = None if raw is None else msgspec.Raw(raw)
        spec.payload_apart = False
        return fact._replace(fields=fact.fields | {"spec": encode_spec(spec)})
    if fact.fields.get("result_apart"):
        raw = await engine.load_result(fact.job_id)
        _note_missing(fact, "result", raw)
        return fact if raw is None else fact._replace(fields=fact.fields | {"result": raw})
    return fact


def _note_missing(fact: Fact, what: str, raw: bytes | None) -> None:
    if raw is None:
        logger.warning(
            "history: the %s of job %s is gone from Redis; its row is without it", what, fact.job_id
        )


def _weight(fact: Fact) -> int:
    inside = sum(len(value) for value in fact.fields.values())
    is_apart = fact.fields.get("result_apart") or b"payload_apart" in fact.fields.get("spec", b"")[:4096]
    return inside + (APART_BYTES if is_apart else 0)
