"""What the runner tells a worker process on the first line of its standard input."""

from __future__ import annotations

import msgspec

from penstock.core.timings import LeaseTimings

#: Short enough that a run of half a minute sees many deaths, long enough for a busy machine.
QUICK_TIMINGS = LeaseTimings(beat_seconds=0.5, presumed_dead_seconds=2.0, stall_seconds=30.0)
DEFAULT_TIMINGS = LeaseTimings()
QUEUE = "torture"
MOST_ATTEMPTS = 20
#: For jobs that fail on purpose: soon enough that a drain does not wait for them.
RETRY_BASE_SECONDS, RETRY_MOST_SECONDS = 0.1, 1.0


class Orders(msgspec.Struct):
    """Where a worker works, and where it writes what it did.

    ``clock`` is the file of a clock that jumps, empty for the server's own. ``bare`` workers write no
    ledger: they count each start in the byte of its job in the file ``ledger``.
    """

    url: str
    key_prefix: str
    worker_id: str
    concurrency: int
    ledger: str
    timings: LeaseTimings
    clock: str = ""
    bare: bool = False
