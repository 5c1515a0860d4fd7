"""A schedule: a job that comes again and again, at the slots of a cron expression."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from penstock.core.acceptance import accept
from penstock.core.codec import PAYLOAD_LIMIT_BYTES
from penstock.core.errors import InvalidJobError, InvalidNameError, InvalidScheduleError, NewerFormatError
from penstock.core.job import Job
from penstock.core.names import check_job_type, check_queue_name, new_nonce
from penstock.core.slots import Slots, slots_of, stamp

CatchUp: TypeAlias = Literal["latest", "all", "skip"]

SCHEDULE_FORMAT: Final = 1
SCHEDULE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
#: A slot that is found this much later is late, not missed: it comes whatever the catch-up policy.
LATE_SECONDS: Final = 20
MOST_CAUGHT_UP: Final = 1000
_POLICIES: Final = get_args(CatchUp)
#: What a schedule says itself, and what of a job is of no meaning for the next.
_SAID: Final = frozenset(
    {"type", "payload", "priority", "max_attempts", "record", "timeout_seconds", "metadata", "queue_name"}
)
_LEFT_OUT: Final = frozenset(
    {"id", "status", "created_at", "started_at", "completed_at", "attempts", "crashes", "error", "result"}
    | {"worker_id", "progress", "current_step", "suspended_for", "trace"}
)
_NOT_OPTIONS: Final = _SAID | _LEFT_OUT | {"parents", "joins", "on_parent_failure", "expires_at"}
_OPTIONS: Final = frozenset(item.name for item in fields(Job)) - _NOT_OPTIONS
_encoder = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When which job is to come, and what of missed times.

    ``cron`` has five fields (minute, hour, day of the month, month, day of the week) or six, with the
    second in front; ``zone`` is the IANA time zone they are meant in. Each slot makes one job of type
    ``type`` with ``payload``, whose id is ``cron:<name>:<slot in UTC>`` and whose metadata name the
    ``schedule`` and the ``slot``.

    **Clock changes.** If none of the second, minute and hour fields begins with ``*``, each time named
    comes once a day: one that the clocks skip comes right after the gap, one that they show twice comes
    the first time. All other expressions are due whenever the clocks show a matching time: what is
    skipped does not come, what is shown twice comes twice. This is the rule of Debian's cron.

    **After downtime.** A slot at most 20 seconds late always comes. Of the slots missed for longer,
    ``catch_up="latest"`` makes the newest one, ``"all"`` each (of one schedule at most the newest
    1,000), ``"skip"`` none.

    ``paused`` says how the schedule begins; afterwards pausing and resuming decide. ``priority``,
    ``max_attempts``, ``record``, ``timeout_seconds`` and ``metadata`` are the jobs'; ``options`` holds
    further fields of ``Job``, such as ``{"unique_key": "report"}``. ``queue_name`` is the queue the jobs
    belong on, ``None`` meaning the one the schedule is put on.

    Raises ``InvalidScheduleError`` saying what is wrong, or what ``Job`` and enqueueing would raise.
    """

    name: str
    cron: str
    type: str
    payload: Any = field(default_factory=dict)
    zone: str = "UTC"
    catch_up: CatchUp = "latest"
    paused: bool = False
    priority: int = 0
    max_attempts: int | None = None
    record: bool = False
    timeout_seconds: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    queue_name: str | None = None

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        name: str,
        cron: str,
        zone: str = "UTC",
        catch_up: CatchUp = "latest",
        paused: bool = False,
    ) -> Schedule:
        """A schedule whose jobs are like ``job``: ``Schedule.of(send.job(to="ada"), name=…, cron=…)``.

        So the arguments of a typed task are checked here too. The job's id, times and state count for
        nothing. Raises as the class does, and for a job with parents or an expiry.
        """
        usual = Job(id=job.id, max_attempts=job.max_attempts)
        given = {item.name for item in fields(job) if getattr(job, item.name) != getattr(usual, item.name)}
        return cls(
            name=name,
            cron=cron,
            type=job.type,
            payload=job.payload,
            zone=zone,
            catch_up=catch_up,
            paused=paused,
            priority=job.priority,
            max_attempts=job.max_attempts,
            record=job.record,
            timeout_seconds=job.timeout_seconds,
            metadata=job.metadata,
            options={option: getattr(job, option) for option in sorted(given - _SAID - _LEFT_OUT)},
            queue_name=job.queue_name,
        )

    def __post_init__(self) -> None:
        """Check everything that can be known to be wrong before a slot comes."""
        check_schedule_name(self.name)
        check_job_type(self.type)
        self._check_options()
        if self.catch_up not in _POLICIES:
            raise InvalidScheduleError(
                f"schedule {self.name}: catch_up {self.catch_up!r} is not one of {', '.join(_POLICIES)}"
            )
        if self.queue_name is not None:
            check_queue_name(self.queue_name)
        try:
            slots_of(self.cron, self.zone)
            accept(job_at(self, 0), 0, {})
        except InvalidScheduleError as error:
            raise InvalidScheduleError(f"schedule {self.name}: {error}") from None
        except InvalidJobError as error:
            raise InvalidScheduleError(
                f"schedule {self.name}: its jobs could not be accepted: {error}"
            ) from error

    def _check_options(self) -> None:
        for what in ("options", "metadata"):
            if not isinstance(getattr(self, what), Mapping):
                raise InvalidScheduleError(f"schedule {self.name}: {what} must be a dict")
        for given in self.options:
            if given not in _OPTIONS:
                close = difflib.get_close_matches(str(given), _OPTIONS, n=1)
                meant = f": did you mean {close[0]!r}?" if close else "."
                raise InvalidScheduleError(
                    f"schedule {self.name}: {given!r} is no option of a scheduled job{meant} "
                    f"Expected some of {', '.join(sorted(_OPTIONS))}"
                )

    @property
    def slots(self) -> Slots:
        """When it is due."""
        return slots_of(self.cron, self.zone)


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule as a queue keeps it. Times are seconds since the epoch.

    ``next_at`` is its next slot, ``None`` while it is paused; ``last_at`` the newest slot that was dealt
    with, ``None`` before the first.
    """

    schedule: Schedule
    paused: bool
    next_at: float | None
    last_at: float | None


def check_schedule_name(name: object) -> str:
    """Return ``name`` if a schedule may be called so; raise ``InvalidNameError`` otherwise."""
    if isinstance(name, str) and SCHEDULE_NAME.fullmatch(name):
        return name
    raise InvalidNameError(f"schedule name {name!r} is not allowed: expected 1 to 128 of A-Z a-z 0-9 _ . -")


def job_at(schedule: Schedule, slot: int) -> Job:
    """The job of one slot (seconds since the epoch): the same, whoever makes it."""
    job = _job(schedule, f"cron:{schedule.name}:{stamp(slot)}")
    job.metadata["slot"] = datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    job.created_at = float(slot)
    return job


def job_now(schedule: Schedule) -> Job:
    """A job of the schedule apart from its slots, under an id of its own."""
    return _job(schedule, f"cron:{schedule.name}:now:{new_nonce()}")


def due_slots(schedule: Schedule, first: int, now: int) -> list[int]:
    """Which slots are to make a job, given that ``first`` is the oldest not dealt with; oldest first."""
    slots = schedule.slots
    # The stored slot counts even if this machine's time zone data would put it elsewhere.
    if schedule.catch_up == "all":
        later = slots.newest(first + 1, now, MOST_CAUGHT_UP)
        return later if len(later) == MOST_CAUGHT_UP else [first, *later]
    if schedule.catch_up == "latest" and now - first > LATE_SECONDS:
        return [newest_slot(schedule, first, now)]
    in_time = max(first + 1, now - LATE_SECONDS)
    return [slot for slot in (first, *slots.between(in_time, now)) if now - slot <= LATE_SECONDS]


def newest_slot(schedule: Schedule, first: int, now: int) -> int:
    """The last slot that has come, given that ``first`` has."""
    return (schedule.slots.newest(first + 1, now, 1) or [first])[0]


def encode_schedule(schedule: Schedule) -> bytes:
    """The schedule as JSON, the same for equal ones; how it begins (``paused``) is no part of it."""
    values = {item.name: getattr(schedule, item.name) for item in fields(schedule) if item.name != "paused"}
    encoded = _encoder.encode({"format": SCHEDULE_FORMAT} | values)
    if len(encoded) > PAYLOAD_LIMIT_BYTES:
        raise InvalidScheduleError(
            f"schedule {schedule.name} is {len(encoded):,} bytes of JSON, the limit is "
            f"{PAYLOAD_LIMIT_BYTES:,}: store the payload elsewhere and pass a reference"
        )
    return encoded


def decode_schedule(raw: bytes) -> Schedule:
    """Read a stored schedule.

    Raises ``InvalidScheduleError`` for a damaged one, ``NewerFormatError`` for one of a newer version.
    """
    try:
        values = msgspec.json.decode(raw)
        found = values.pop("format")
    except (msgspec.DecodeError, AttributeError, KeyError, ValueError) as error:
        raise InvalidScheduleError(f"the stored schedule cannot be read: {error!r}") from error
    if type(found) is not int or found > SCHEDULE_FORMAT:
        raise NewerFormatError(
            f"the stored schedule has format {found!r}, this version of Penstock reads format "
            f"{SCHEDULE_FORMAT}: upgrade this worker"
        )
    try:
        return Schedule(**values)
    except TypeError as error:
        raise InvalidScheduleError(f"the stored schedule cannot be read: {error}") from error


def by_name(schedules: Sequence[Schedule]) -> dict[str, Schedule]:
    """The schedules by name; raise ``InvalidScheduleError`` for two of one name."""
    named: dict[str, Schedule] = {}
    for schedule in schedules:
        if schedule.name in named:
            raise InvalidScheduleError(
                f"two schedules are called {schedule.name!r}: a queue keeps one of a name; rename one"
            )
        named[schedule.name] = schedule
    return named


def _job(schedule: Schedule, job_id: str) -> Job:
    given: dict[str, Any] = {} if schedule.max_attempts is None else {"max_attempts": schedule.max_attempts}
    return Job(
        payload=schedule.payload,
        type=schedule.type,
        id=job_id,
        priority=schedule.priority,
        record=schedule.record,
        timeout_seconds=schedule.timeout_seconds,
        metadata={**schedule.metadata, "schedule": schedule.name},
        queue_name=schedule.queue_name,
        **given,
        **schedule.options,
    )
