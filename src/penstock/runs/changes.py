"""What a batch of facts changes, folded to one change a job; pure, and the same in any order.

Facts come at least once, and two projectors may have neighbours in hand at the same time. So each
group of fields remembers the place of the fact it came from, here and in the tables, and only a
later fact replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from penstock.core.codec import JobSpec, decode, decode_spec
from penstock.core.errors import InvalidJobError
from penstock.core.job import JobStatus
from penstock.runs.status import RunStatus, run_status
from penstock.store.events import Fact


class Place(NamedTuple):
    """Where a fact stands in its events stream: milliseconds, and its number within them."""

    at_ms: int = 0
    number: int = 0


class State(NamedTuple):
    """Where a job stands, by its latest fact that says so."""

    status: RunStatus = RunStatus.RUNNING
    attempt: int = 0
    completed_at_ms: int | None = None
    result: bytes | None = None


class Step(NamedTuple):
    """A finished step, with its stored body."""

    place: Place
    attempt: int
    at_ms: int
    inputs: str | None
    result: bytes


class StepBody(msgspec.Struct):
    """What a worker stores of a finished step."""

    result: msgspec.Raw
    inputs: str | None = None


@dataclass(slots=True)
class Change:
    """All that a batch says about one job."""

    job_id: str
    first_at_ms: int
    spec: JobSpec | None = None
    raw_spec: bytes | None = None
    spec_place: Place | None = None
    started_at_ms: int | None = None
    state: tuple[Place, State] = (Place(), State())
    progress: tuple[Place, float] = (Place(), 0.0)
    current_step: tuple[Place, str | None] = (Place(), None)
    error: tuple[Place, str | None] = (Place(), None)
    steps: dict[str, Step] = field(default_factory=dict)


_STATUS_AFTER: Final[Mapping[str, JobStatus]] = {
    "enqueued": JobStatus.PENDING,
    "started": JobStatus.PROCESSING,
    "retrying": JobStatus.RETRYING,
    "deferred": JobStatus.RETRYING,
    "suspended": JobStatus.SUSPENDED,
    "released": JobStatus.PENDING,
    "crashed": JobStatus.PENDING,
    "promoted": JobStatus.PENDING,
    "requeued": JobStatus.PENDING,
    "completed": JobStatus.COMPLETED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
}
#: After these the job has its attempt back, so that the next one has the same number.
_ATTEMPT_RETURNED: Final = frozenset({"released", "deferred", "suspended"})
_WHOLE: Final = 100.0
_step_decoder = msgspec.json.Decoder(StepBody)


def place_of(fact: Fact) -> Place:
    """Where the fact stands in its stream."""
    at_ms, _, number = fact.id.partition("-")
    return Place(int(at_ms), int(number))


def fold(facts: Iterable[Fact]) -> list[Change]:
    """One change a job, in the order of job ids, so that two writers never wait for each other in turn.

    Raises ``InvalidJobError`` for a fact that cannot be read.
    """
    changes: dict[str, Change] = {}
    for fact in facts:
        change = changes.setdefault(fact.job_id, Change(fact.job_id, fact.at_ms))
        change.first_at_ms = min(change.first_at_ms, fact.at_ms)
        try:
            _apply(change, fact)
        except InvalidJobError:
            raise
        except Exception as error:
            # Whatever is wrong with it, one fact must not hold up all that come after.
            raise InvalidJobError(f"fact {fact.id} ({fact.event}) cannot be read: {error!r}") from error
    return [changes[job_id] for job_id in sorted(changes)]


def _apply(change: Change, fact: Fact) -> None:
    place = place_of(fact)
    if fact.event == "progress":
        _note_progress(change, place, fact)
    elif fact.event == "step":
        _note_step(change, place, fact)
    elif fact.event in _STATUS_AFTER:
        _note_state(change, place, fact)
    else:
        raise InvalidJobError(f"fact {fact.id} is a {fact.event!r}, which this version does not know")


def _note_state(change: Change, place: Place, fact: Fact) -> None:
    status = run_status(_STATUS_AFTER[fact.event])
    attempt = max(fact.attempt - 1, 0) if fact.event in _ATTEMPT_RETURNED else fact.attempt
    ended_ms = fact.at_ms if status.is_final else None
    result = fact.fields.get("result")
    if result is not None:
        decode(result)
    state = State(status, attempt, ended_ms, result)
    change.state = _later(change.state, (place, state))
    if fact.event == "enqueued" or (fact.event == "requeued" and "spec" in fact.fields):
        _note_spec(change, place, fact.fields["spec"])
    elif fact.event == "started":
        change.started_at_ms = max(change.started_at_ms or 0, fact.at_ms)
    elif fact.event == "completed":
        change.progress = _later(change.progress, (place, _WHOLE))
        change.error = _later(change.error, (place, None))
    if fact.event == "requeued":
        change.error = _later(change.error, (place, None))
    if "error" in fact.fields:
        change.error = _later(change.error, (place, fact.fields["error"].decode(errors="replace")))


def _note_spec(change: Change, place: Place, raw: bytes) -> None:
    """What was asked for: at first, or with a payload that was edited since."""
    spec = decode_spec(raw)
    if change.spec_place is None or place > change.spec_place:
        change.spec, change.raw_spec, change.spec_place = spec, raw, place


def _note_progress(change: Change, place: Place, fact: Fact) -> None:
    change.progress = _later(change.progress, (place, float(fact.fields["percent"])))
    if fact.fields.get("step"):
        change.current_step = _later(
            change.current_step, (place, fact.fields["step"].decode(errors="replace"))
        )


def _note_step(change: Change, place: Place, fact: Fact) -> None:
    name = fact.fields["name"].decode(errors="replace")
    body = _step_decoder.decode(fact.fields["body"])
    change.current_step = _later(change.current_step, (place, name))
    change.steps.setdefault(name, Step(place, fact.attempt, fact.at_ms, body.inputs, bytes(body.result)))


def _later(known: tuple[Place, Any], new: tuple[Place, Any]) -> tuple[Place, Any]:
    return new if new[0] > known[0] else known
