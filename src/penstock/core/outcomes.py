"""What can become of an attempt, and what a claim hands over."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

OutcomeKind: TypeAlias = Literal[
    "complete", "fail", "retry", "back_off", "cancel", "release", "defer", "lapse", "suspend"
]
SettleCode: TypeAlias = Literal["ok", "already", "lost", "gone", "corrupt", "unknown"]


class Claimed(NamedTuple):
    """A job as handed to a worker: its lease, its spec as stored, and what it has been through.

    ``steps`` is the number of durable steps that earlier attempts stored.
    """

    id: str
    lease: str
    spec: bytes
    attempt: int
    crashes: int
    steps: int


class Claim(NamedTuple):
    """The answer to one claim. Times are ``None`` when nothing is known to come.

    ``lapse_in_ms`` is the time until the next lease may lapse, ``due_in_ms`` until the next
    delayed or retrying job is due.
    """

    jobs: list[Claimed]
    lapse_in_ms: int | None
    due_in_ms: int | None


class Outcome(NamedTuple):
    """How an attempt ended, ready to be settled under its lease.

    ``body`` is the result's JSON for ``complete``, the reason for ``suspend`` and the error text
    otherwise; ``detail`` a traceback for the dead letter, the signal (``<name>#<place>``) that a
    suspended job awaits, or for ``defer`` the ms after which the job fails instead. ``delay_ms`` is the
    wait before the next attempt; a suspended job with -1 wakes by a signal alone.
    """

    id: str
    lease: str
    kind: OutcomeKind
    body: bytes | str = b""
    delay_ms: int = 0
    detail: str = ""


class Promotion(NamedTuple):
    """What one look at the clock did.

    ``promoted`` jobs moved, the next is due in ``due_in_ms`` (``None``: none is), and ``crossings``
    endings wait to be told on other queues.
    """

    promoted: int
    due_in_ms: int | None
    crossings: int


class Beat(NamedTuple):
    """The answer to one heartbeat: leases that are gone, and jobs whose cancellation was asked for."""

    superseded: bool
    lost: list[str]
    cancelled: list[str]
