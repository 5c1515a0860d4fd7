"""A clock that stands still until a test moves it, and that everything on its queues obeys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue


class MovableClock:
    """The time by which delays, retries, leases, expiry, retention, rates and schedules go.

    What handlers ask of ``time.time()`` is not moved. It starts at the real time. Give it to a queue as
    ``clock``, and call ``obeyed_by`` so that ``advance`` also makes the queue's due jobs ready.
    """

    def __init__(self, now_ms: int | None = None) -> None:
        """Start at ``now_ms``, milliseconds since the epoch; at the real time if ``None``."""
        self._now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        self._queues: list[RedisStreamsQueue] = []

    @property
    def now(self) -> datetime:
        """The time it shows, in UTC; for ``run_at``, ``expires_at`` and the like."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    def script_time_ms(self) -> int:
        """The time it shows, in milliseconds since the epoch; what the store asks for."""
        return self._now_ms

    def obeyed_by(self, queue: RedisStreamsQueue) -> None:
        """Make jobs of ``queue`` ready when the clock is moved past the time they wait for."""
        self._queues.append(queue)

    async def advance(self, seconds: float | timedelta) -> int:
        """Move the clock, and make ready what has become due; returns how many jobs did.

        Raises ``ConfigurationError`` for a negative time: scripts would see the past again.
        """
        distance = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        if distance < timedelta():
            raise ConfigurationError(f"a clock is moved forward: expected 0 seconds or more, got {seconds!r}")
        self._now_ms += round(distance.total_seconds() * 1000)
        promoted = 0
        for queue in self._queues:
            await queue.prepare()
            while (count := (await queue.engine.promote()).promoted) > 0:
                promoted += count
        return promoted
