"""One attempt of one job, as a line of verbs: prepare, perform, judge, settle."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any, NamedTuple

from penstock.core.codec import JobSpec, decode, decode_spec, encode_result
from penstock.core.errors import InvalidJobError, LeaseLostError, NewerFormatError, UnknownJobTypeError
from penstock.core.outcomes import Claimed, Outcome, OutcomeKind
from penstock.core.retry import RetryPolicy, retry_after_seconds
from penstock.observe.tracing import continued
from penstock.store.engine import Engine
from penstock.worker.context import JobContext
from penstock.worker.dispatch import Dispatcher
from penstock.worker.handlers import Found, HandlerTable
from penstock.worker.holdings import Holding
from penstock.worker.patience import patiently
from penstock.worker.reporter import Reporter
from penstock.worker.watchdog import Watchdog

UNKNOWN_TYPE_DELAY_MS = 15_000
UNKNOWN_TYPE_GRACE_MS = 3_600_000
LONGEST_ERROR = 2000
LONGEST_TRACEBACK = 8000


class AttemptRoom(NamedTuple):
    """What all attempts of a worker share."""

    engine: Engine
    queue_name: str
    worker_id: str
    handlers: HandlerTable
    policy: RetryPolicy
    reporter: Reporter
    dispatcher: Dispatcher


async def perform_attempt(room: AttemptRoom, holding: Holding) -> Outcome | None:
    """Run one attempt to its outcome; ``None`` when the lease was lost and nothing may be written."""
    claimed = holding.claimed
    spec: JobSpec | None = None
    holding.has_begun = True
    try:
        if holding.stopping is not None:
            raise asyncio.CancelledError
        spec = decode_spec(claimed.spec)
        found = room.handlers.find(spec.type)
        if found is None:
            return _unknown_type(room, claimed, spec)
        payload = spec.payload if not spec.payload_apart else await _fetch_payload(room, claimed)
        return await _perform(room, holding, spec, payload, found)
    except asyncio.CancelledError as error:
        return _stopped(room, holding, spec, error)
    except LeaseLostError:
        return None
    except NewerFormatError as error:
        return Outcome(claimed.id, claimed.lease, "defer", str(error), UNKNOWN_TYPE_DELAY_MS)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Also SystemExit and what else handlers raise: it is their attempt that ends, not the worker.
        return _judge(room, claimed, spec, error)


async def _perform(
    room: AttemptRoom, holding: Holding, spec: JobSpec, payload: Any, found: Found
) -> Outcome | None:
    claimed = holding.claimed
    context = JobContext(
        holding, spec, payload, (room.queue_name, room.worker_id), room.reporter, room.handlers.threads
    )
    holding.on_stop = context.interrupt
    try:
        if spec.timeout_seconds is None and spec.idle_timeout_seconds is None and not spec.trace:
            result = await room.dispatcher.run(holding, context, found)
        else:
            result = await _invoke_within(room, holding, context, spec, found)
    except BaseException:
        if context.suspension is None:
            raise
        result = None
    if context.waits is not None and (parked := context.waits.raised) is not None:
        # However the handler came out, also with a result or an error: its job was parked before.
        # Its traceback leads to the context and that to it: only the garbage collector could part the two.
        parked.with_traceback(None)
        lost = holding.stopping == "lost"
        return None if lost else parked.outcome(claimed, room.reporter.now_seconds())
    if holding.stopping == "cancel" and context.has_seen_cancellation:
        return Outcome(claimed.id, claimed.lease, "cancel")
    return Outcome(claimed.id, claimed.lease, "complete", b"" if result is None else encode_result(result))


async def _invoke_within(
    room: AttemptRoom,
    holding: Holding,
    context: JobContext,
    spec: JobSpec,
    found: Found,
) -> Any:
    with continued(spec.trace):
        if spec.timeout_seconds is None and spec.idle_timeout_seconds is None:
            return await room.dispatcher.run(holding, context, found)
        watchdog = Watchdog(holding, spec.timeout_seconds, spec.idle_timeout_seconds)
        holding.watchdog = watchdog
        try:
            result = await room.dispatcher.run(holding, context, found)
        except BaseException as error:
            if watchdog.error is not None and holding.stopping == "timeout":
                raise watchdog.error from error
            raise
        finally:
            watchdog.stop()
        if watchdog.error is not None and watchdog.has_told_a_thread and holding.stopping == "timeout":
            # What a function returns when it is told to stop is no result.
            raise watchdog.error
        return result


async def _fetch_payload(room: AttemptRoom, claimed: Claimed) -> Any:
    raw = await patiently(lambda: room.engine.load_payload(claimed.id), f"payload of {claimed.id}")
    if raw is None:
        raise InvalidJobError("its payload is gone from the server")
    return decode(raw)


def _unknown_type(room: AttemptRoom, claimed: Claimed, spec: JobSpec) -> Outcome:
    known = ", ".join(room.handlers.types)
    error = UnknownJobTypeError(
        f"worker {room.worker_id} has no handler for type {spec.type!r}; it has {known}"
    )
    # In a rolling deploy a newer worker knows the type, so the job goes back unspent for a while. The server
    # keeps the time, from the first worker that did not know it.
    grace_ms = str(UNKNOWN_TYPE_GRACE_MS)
    return Outcome(claimed.id, claimed.lease, "defer", _text_of(error), UNKNOWN_TYPE_DELAY_MS, grace_ms)


def _stopped(
    room: AttemptRoom, holding: Holding, spec: JobSpec | None, error: asyncio.CancelledError
) -> Outcome | None:
    claimed = holding.claimed
    if holding.stopping == "lost":
        return None
    if holding.stopping is not None and holding.stopping != "timeout":
        return Outcome(claimed.id, claimed.lease, holding.stopping)
    # Nobody asked for it: the handler let a cancellation of its own escape.
    return _judge(room, claimed, spec, RuntimeError(f"the handler was cancelled from within: {error!r}"))


def _judge(room: AttemptRoom, claimed: Claimed, spec: JobSpec | None, error: BaseException) -> Outcome:
    problem = _text_of(error)
    max_attempts = 1 if spec is None else spec.max_attempts
    policy = room.policy if spec is None else room.handlers.policy_of(spec.type) or room.policy
    if policy.should_retry(claimed.attempt, error, max_attempts):
        delay_ms = round(policy.delay_seconds(claimed.attempt - 1, error) * 1000)
        # What a provider asks of one job it asks of all that share the job's rate key, if it has one.
        kind: OutcomeKind = "retry" if retry_after_seconds(error) is None else "back_off"
        return Outcome(claimed.id, claimed.lease, kind, problem, delay_ms)
    detail = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    return Outcome(claimed.id, claimed.lease, "fail", problem, 0, detail)


def _text_of(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}"[:LONGEST_ERROR] if text else type(error).__name__
