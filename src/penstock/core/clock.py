"""Where time comes from.

Production leaves script time to the server, the one clock all workers share. Tests hand in a
``ManualClock`` and move everything at once: leases, delays, retention.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """What the store asks for the time it passes to scripts."""

    def script_time_ms(self) -> int | None:
        """Milliseconds since the epoch, or ``None`` to let the server take its own time."""


class ServerClock:
    """The server's own clock; what production uses."""

    def script_time_ms(self) -> int | None:
        """Always ``None``: each script asks the server."""
        return None


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        """Start at ``now_ms``, milliseconds since the epoch."""
        self.now_ms = now_ms

    def script_time_ms(self) -> int | None:
        """The time the test has set."""
        return self.now_ms

    def advance(self, *, seconds: float = 0.0, days: float = 0.0) -> None:
        """Move the clock; a negative amount moves it back, as a broken server clock would."""
        self.now_ms += round((seconds + days * 86_400) * 1000)
