"""The watchdog: stops an attempt that takes too long, or that shows no sign of life for too long."""

from __future__ import annotations

import asyncio
import logging

from penstock.core.errors import IdleTimeoutError
from penstock.worker.holdings import Holding

logger = logging.getLogger("penstock.worker")


class Watchdog:
    """Watches one attempt by the wall clock; made only for jobs that have a limit.

    A handler on the loop is cancelled, a process killed. A thread cannot be stopped from outside: it
    is told through ``ctx.cancelled`` and interrupted in ``ctx.wait``, and the attempt ends, as out of
    time, when the function has ended.
    """

    __slots__ = (
        "_alarm",
        "_holding",
        "_idle_seconds",
        "_last_sign",
        "_limit",
        "_limit_seconds",
        "_loop",
        "error",
        "has_told_a_thread",
    )

    def __init__(self, holding: Holding, limit_seconds: float | None, idle_seconds: float | None) -> None:
        """Begin to watch now; at least one limit is given."""
        self._holding = holding
        self._limit_seconds = limit_seconds
        self._idle_seconds = idle_seconds
        self._loop = asyncio.get_running_loop()
        self._last_sign = self._loop.time()
        self._limit = None if limit_seconds is None else self._last_sign + limit_seconds
        self.error: TimeoutError | None = None
        self.has_told_a_thread = False
        self._alarm: asyncio.TimerHandle | None = None
        self._look()

    def sign_of_life(self, lasting_seconds: float = 0) -> None:
        """Note that the attempt lives, and will be silent on purpose for ``lasting_seconds``."""
        self._last_sign = max(self._last_sign, self._loop.time() + lasting_seconds)

    def stop(self) -> None:
        """Watch no longer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        # A sign of life only moves a number; the alarm finds out when it rings.
        now = self._loop.time()
        idle_until = None if self._idle_seconds is None else self._last_sign + self._idle_seconds
        if self._limit is not None and now >= self._limit:
            self._expire(
                TimeoutError(f"the attempt took longer than timeout_seconds={self._limit_seconds:g}")
            )
        elif idle_until is not None and now >= idle_until:
            self._expire(
                IdleTimeoutError(
                    "the attempt reported no progress, event, step or usage for "
                    f"idle_timeout_seconds={self._idle_seconds:g}"
                )
            )
        else:
            moment = min(at for at in (self._limit, idle_until) if at is not None)
            self._alarm = self._loop.call_at(moment, self._look)

    def _expire(self, error: TimeoutError) -> None:
        self._alarm = None
        if self._holding.stopping is not None:
            return
        self.error = error
        if self._holding.in_thread:
            self.has_told_a_thread = True
            logger.warning(
                "job %s: %s; its function runs in a thread, keeps its slot and is waited for",
                self._holding.claimed.id,
                error,
            )
        self._holding.stop("timeout")
