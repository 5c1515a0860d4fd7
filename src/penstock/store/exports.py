"""Exports: all that a job's handler was given, as one JSON object, to run it again offline."""

from __future__ import annotations

import time
from typing import Any, cast

from penstock.core.codec import decode, decode_spec
from penstock.core.errors import JobNotFoundError
from penstock.store.connect import translated
from penstock.store.engine import Engine

EXPORT_FORMAT = 1


async def export_job(engine: Engine, job_id: str) -> dict[str, Any]:
    """The job with its steps, signals and parents' outcomes; raise ``JobNotFoundError`` if it is not kept.

    ``exported_at`` is in seconds since the epoch, by the clock that delays are counted by.
    """
    keys = engine.keys
    with translated(engine.where):
        pipe = cast("Any", engine.client.pipeline(transaction=False))
        pipe.hgetall(keys.job + job_id)
        pipe.get(keys.payload + job_id)
        pipe.get(keys.result + job_id)
        stored, payload, result = await pipe.execute()
    if not stored:
        raise JobNotFoundError(f"job {job_id} is not kept: it was never enqueued, or its retention is over")
    moved_ms = engine.clock.script_time_ms()
    return {
        "format": EXPORT_FORMAT,
        "exported_at": time.time() if moved_ms is None else moved_ms / 1000,
        "job": _job(job_id, {name.decode(): value for name, value in stored.items()}, payload, result),
        "steps": {name: decode(body) for name, body in (await engine.load_steps(job_id)).items()},
        "signals": {name: decode(body) for name, body in (await engine.load_signals(job_id)).items()},
        "parents": {
            parent: {"status": status, "body": body.decode(errors="replace")}
            for parent, (status, body) in (await engine.load_inputs(job_id)).items()
        },
    }


def _job(
    job_id: str, fields: dict[str, bytes], payload: bytes | None, result: bytes | None
) -> dict[str, Any]:
    spec = decode_spec(fields["spec"])
    own_result = fields.get("result") or result
    return {
        "id": job_id,
        "type": spec.type,
        "payload": decode(payload) if spec.payload_apart and payload else spec.payload,
        "created_at": spec.created_at,
        "max_attempts": spec.max_attempts,
        "priority": spec.priority,
        "metadata": spec.metadata,
        "status": fields.get("status", b"failed").decode(),
        "attempts": int(fields.get("attempt", 0)),
        "result": decode(own_result) if own_result else None,
        "error": fields["error"].decode(errors="replace") if "error" in fields else None,
    }
