"""The parts of the model: messages, jobs, requests, timings."""

from dataclasses import dataclass, field

ENDED = ("completed", "failed", "cancelled")
SUSPECT_CRASHES = 2
RELEASED, LET_GO = 0, 1
LANES = ("normal", "high", "low", "suspects")


@dataclass
class Message:
    """An entry of a lane; `id` is learnt from the server once, and must not change then."""

    job: str
    id: str | None = None
    delivered: bool = False


@dataclass
class ModelJob:
    """What a job has been through, and what its hash is to say."""

    id: str
    lane: str
    recorded: bool
    max_attempts: int
    apart: bool
    status: str = "pending"
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
    result_apart: bool = False
    damage: str | None = None
    quarantined: bool = False
    letter: bool = False
    last_event: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_suspect(self) -> bool:
        return self.crashes >= SUSPECT_CRASHES


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
    """Milliseconds."""

    lease: int
    beat: int
    ttl: int
    most_steps: int
