"""The parts of the model: messages, options, jobs, requests, timings."""

from dataclasses import dataclass, field
from typing import Any

ENDED = ("completed", "failed", "cancelled")
PARKED = ("waiting", "suspended")
INDEXED = (*ENDED, *PARKED)
SUSPECT_CRASHES = 2
RELEASED, LET_GO = 0, 1
HOME_LANES = ("high", "normal", "low")
LANES = ("normal", "high", "low", "suspects", "keyed")


@dataclass
class Message:
    """An entry of a lane; `id` is learnt from the server once, and must not change then."""

    job: str
    id: str | None = None
    delivered: bool = False


@dataclass(frozen=True)
class Options:
    """What was asked for a job beyond its lane and delay. Times in ms, `keep_ms` a retention of its own."""

    key: str | None = None
    limit: int | None = None
    rate: str | None = None
    units: int = 0
    unique: str | None = None
    policy: str = "existing"
    window_ms: int = 0
    expires_at: int | None = None
    parents: tuple[str, ...] = ()
    on_failure: str = "cancel"
    joins: tuple[str, ...] = ()
    keep_ms: int | None = None

    @property
    def line_key(self) -> str | None:
        """The key in whose line the job stands, if it has one."""
        return self.key or self.rate

    def job_fields(self) -> dict[str, Any]:
        """The same as fields of a `Job`."""
        return {
            "concurrency_key": self.key,
            "concurrency_limit": self.limit,
            "rate_key": self.rate,
            "rate_units": self.units,
            "unique_key": self.unique,
            "unique_policy": self.policy,
            "unique_window_seconds": self.window_ms / 1000,
            "expires_at": None if self.expires_at is None else self.expires_at / 1000,
            "parents": list(self.parents),
            "on_parent_failure": self.on_failure,
            "joins": list(self.joins),
            "result_ttl_seconds": None if self.keep_ms is None else self.keep_ms / 1000,
        }


@dataclass
class Booking:
    """Units booked on a rate key by one job at one time."""

    at: int
    units: int
    job: str


@dataclass
class ModelJob:
    """What a job has been through, and what its hash is to say.

    `error` is how the text begins; `due` when a delay that it was enqueued with is over; `bears` says
    that others wait for its end, `late` that an expiry still counts, `is_scarred` that it completed with
    a number that cannot be read and that nobody needed.
    """

    id: str
    home_lane: str
    recorded: bool
    max_attempts: int
    apart: bool
    options: Options = field(default_factory=Options)
    status: str = "pending"
    lane: str = ""
    due: int | None = None
    attempt: int = 0
    crashes: int = 0
    releases: int = 0
    idle_releases: int = 0
    steps: dict[str, bytes] = field(default_factory=dict)
    cancel: bool = False
    lease: str | None = None
    message: Message | None = None
    holder: str = ""
    unrenewed: bool = False
    result: bytes = b""
    result_apart: bool = False
    error: str = ""
    awaits: str = ""
    bears: bool = False
    watched: bool = False
    late: bool = False
    booked_at: int | None = None
    booked: int = 0
    used: int = 0
    requeues: int = 0
    left_to_janitor: bool = False
    is_scarred: bool = False
    damage: str | None = None
    quarantined: bool = False
    letter: bool = False
    last_event: int | None = None

    def __post_init__(self) -> None:
        self.lane = self.lane or self.home_lane

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_suspect(self) -> bool:
        return self.crashes >= SUSPECT_CRASHES

    @property
    def has_started(self) -> bool:
        """Every claim adds one to the sum, and nothing takes from it."""
        return self.attempt + self.releases > 0

    def is_under(self, lease: str) -> bool:
        """Whether this lease may write for the job."""
        return not self.damage and self.status == "processing" and self.lease == lease

    def is_late(self, now: int) -> bool:
        """Whether it is too late for its first start."""
        expires_at = self.options.expires_at
        return self.late and expires_at is not None and not self.has_started and expires_at <= now


@dataclass
class Kept:
    """A schedule: its text, the newest slot dealt with, and whether it is paused."""

    body: str
    last: int = 0
    paused: bool = False


@dataclass(frozen=True)
class Request:
    """One claim as sent."""

    consumer: str
    id: str
    count: int
    seats: int
    lease_ms: int
    unrenewed: bool = False


@dataclass(frozen=True)
class Timings:
    """Milliseconds, and the bounds of what a job may pile up."""

    lease: int
    beat: int
    ttl: int
    letter_ttl: int
    most_steps: int
    most_entries: int
    most_signals: int
    most_events: int
