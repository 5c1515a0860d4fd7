"""How quickly death is noticed; apart from other settings, since the heartbeat process needs it alone."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """How quickly death is noticed. All workers of a queue should use the same.

    A heartbeat goes out every ``beat_seconds``; a worker silent for ``presumed_dead_seconds`` is
    presumed dead and its jobs go to others. An event loop that has not turned for
    ``stall_seconds`` is a stall: its stack is dumped and its jobs are let go.
    """

    beat_seconds: float = 5.0
    presumed_dead_seconds: float = 15.0
    stall_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Refuse timings under which healthy workers would lose their jobs."""
        if not 0 < self.beat_seconds * 2 <= self.presumed_dead_seconds:
            raise ConfigurationError(
                "presumed_dead_seconds must be at least twice beat_seconds, got "
                f"{self.presumed_dead_seconds} and {self.beat_seconds}"
            )
        if self.stall_seconds < self.presumed_dead_seconds:
            raise ConfigurationError(
                "stall_seconds must not be below presumed_dead_seconds, got "
                f"{self.stall_seconds} and {self.presumed_dead_seconds}"
            )

    @property
    def beat_ms(self) -> int:
        """Time between heartbeats, in milliseconds."""
        return round(self.beat_seconds * 1000)

    @property
    def lease_ms(self) -> int:
        """Length of a worker's lease, in milliseconds."""
        return round(self.presumed_dead_seconds * 1000)
