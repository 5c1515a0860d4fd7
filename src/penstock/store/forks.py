"""Forks: a new job that begins with what another one has finished, and pays only for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from penstock.core.acceptance import AcceptedJob, accept
from penstock.core.codec import decode, decode_spec
from penstock.core.compression import compressed
from penstock.core.errors import EventsBacklogError, InvalidJobError, JobNotFoundError, StepError
from penstock.core.job import Job
from penstock.core.names import check_job_id, new_job_id
from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.packing import terms_of

# What the new job has in common with the old one. The rest was about that one: its unique key, its
# expiry, the jobs that it waited for or joined.
_SHARED_OPTIONS = frozenset({"key", "limit", "rate", "units", "keep_shift"})


class _Placed(msgspec.Struct):
    """What a fork needs to know of a stored step."""

    place: int = 0
    result: Any = None


_placed_decoder = msgspec.json.Decoder(_Placed)
_encoder = msgspec.json.Encoder()


class _Source(NamedTuple):
    """The job that is forked, as stored."""

    fields: Mapping[str, bytes]
    payload: bytes | None
    steps: dict[str, bytes]


async def fork_job(
    engine: Engine, job_id: str, from_step: str | None, payload: Any = None, new_id: str | None = None
) -> str:
    """Enqueue a copy of the job that has finished what was called before ``from_step``; returns its id.

    The new job has the old one's type, options and, unless ``payload`` is given, payload. It runs the
    handler from its beginning: steps called before ``from_step`` return what the old job stored,
    ``from_step`` and all after it run. ``None`` copies every finished step, to go on where a failed job
    stopped. Signals that copied waits took are copied too, and what parents ended with; signals for
    later waits are to be given anew. The old job is left as it is.

    Raises ``JobNotFoundError`` when the job is not kept, ``StepError`` when it has no finished step of
    that name, ``InvalidJobError`` when ``new_id`` is taken.
    """
    source = await _load(engine, job_id)
    chosen = check_job_id(new_id) if new_id is not None else new_job_id()
    accepted = _accepted(engine, source, chosen, payload, {"forked_from": job_id, "from_step": from_step})
    copies = _copies(job_id, source.steps, from_step)
    _check(await send_fork(engine, job_id, accepted, copies), job_id, chosen)
    return chosen


async def send_fork(
    engine: Engine, job_id: str, accepted: AcceptedJob, copies: Sequence[tuple[str, str]]
) -> str:
    """Accept a job that begins with copies of what ``job_id`` has: ``ok``, ``kept``, ``backlog`` or ``gone``.

    ``copies`` are ``("step", name)`` and ``("signal", field)``.
    """
    once = {
        "group": engine.config.consumer_group,
        "keep_ms": engine.keep_ms,
        "max_events": engine.config.max_events,
        "source": job_id,
        "id": accepted.id,
        "spec": accepted.spec,
        "terms": terms_of(accepted),
        "apart": compressed(accepted.payload, engine.config.compress_above_bytes),
    }
    (code,) = await engine.call("fork", once, copies)
    return str(code.decode())


async def _load(engine: Engine, job_id: str) -> _Source:
    keys = engine.keys
    with translated(engine.where):
        pipe = cast("Any", engine.client.pipeline(transaction=False))
        pipe.hgetall(keys.job + job_id)
        pipe.get(keys.payload + job_id)
        fields, payload = await pipe.execute()
    if not fields:
        raise _not_found(job_id)
    return _Source(
        {name.decode(): value for name, value in fields.items()},
        payload,
        await engine.load_steps(job_id),
    )


def _accepted(
    engine: Engine, source: _Source, new_id: str, payload: Any, origin: dict[str, Any]
) -> AcceptedJob:
    spec = decode_spec(source.fields["spec"])
    if payload is None:
        payload = decode(source.payload) if spec.payload_apart and source.payload else spec.payload
    moved_ms = engine.clock.script_time_ms()
    job = Job(
        payload=payload,
        type=spec.type,
        id=new_id,
        max_attempts=spec.max_attempts,
        priority=spec.priority,
        timeout_seconds=spec.timeout_seconds,
        idle_timeout_seconds=spec.idle_timeout_seconds,
        record=spec.record,
        partition_key=spec.partition_key,
        metadata=spec.metadata | {"fork": origin},
        trace=spec.trace,
    )
    if moved_ms is not None:
        job.created_at = moved_ms / 1000
    flow = decode(source.fields.get("flow") or b"{}")
    shared = {name: value for name, value in flow.items() if name in _SHARED_OPTIONS}
    return msgspec.structs.replace(accept(job, 0, {}), flow=_encoder.encode(shared) if shared else b"")


def _copies(job_id: str, steps: Mapping[str, bytes], from_step: str | None) -> list[tuple[str, str]]:
    placed = {name: _placed_decoder.decode(body) for name, body in steps.items()}
    end = _place_of(job_id, placed, from_step)
    finished = [name for name, step in placed.items() if end is None or step.place < end]
    copies = [("step", name) for name in finished]
    for name in finished:
        result = placed[name].result
        if isinstance(result, dict) and name.startswith(("signal:", "suspend:")) and "signal" in result:
            copies.append(("signal", str(result["signal"])))
    return copies


def _place_of(job_id: str, placed: Mapping[str, _Placed], from_step: str | None) -> int | None:
    if from_step is None:
        return None
    step = placed.get(from_step)
    if step is None:
        known = ", ".join(sorted(placed, key=lambda name: placed[name].place)) or "none"
        raise StepError(
            f"job {job_id} has no finished step {from_step!r}; in the order of their calls it has: {known}"
        )
    if step.place == 0:
        raise StepError(
            f"step {from_step!r} of job {job_id} was stored by a version that did not keep the order of "
            "steps: fork from a later one, or enqueue a new job"
        )
    return step.place


def _check(code: str, job_id: str, new_id: str) -> None:
    if code == "ok":
        return
    if code == "gone":
        raise _not_found(job_id)
    if code == "kept":
        raise InvalidJobError(f"job {job_id} cannot be forked as {new_id}: a job of that id is kept already")
    raise EventsBacklogError(
        f"job {job_id} cannot be forked: it is recorded, and the events stream is full of facts that "
        "history has not read; start a keeper or raise max_events"
    )


def _not_found(job_id: str) -> JobNotFoundError:
    return JobNotFoundError(f"job {job_id} is not kept: it was never enqueued, or its retention is over")
