"""What the runner tells a worker process on the first line of its standard input."""

from __future__ import annotations

import msgspec

from penstock.core.timings import LeaseTimings

#: Short enough that a run of half a minute sees many deaths, long enough for a busy machine.
TIMINGS = LeaseTimings(beat_seconds=0.5, presumed_dead_seconds=2.0, stall_seconds=30.0)
QUEUE = "torture"
MOST_ATTEMPTS = 20


class Orders(msgspec.Struct):
    """Where a worker works, and where it writes what it did."""

    url: str
    key_prefix: str
    worker_id: str
    concurrency: int
    ledger: str
