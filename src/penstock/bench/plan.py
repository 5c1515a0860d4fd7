"""How much is measured, and with how much patience."""

from __future__ import annotations

from dataclasses import dataclass

CONCURRENCIES = (1, 16, 100, 500)
MIDDLE = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds, counts and limits of a run.

    ``drain_s`` is about how long a drain is to take: the number of jobs follows from the speed seen
    before, up to ``most_jobs``. ``limit_s`` is when rounds are cut short so that the run ends in time.
    """

    rounds: int = 3
    concurrencies: tuple[int, ...] = CONCURRENCIES
    enqueue_s: float = 1.0
    singles: int = 5000
    bulk: int = 40_000
    drain_s: float = 1.5
    window_s: float = 3.0
    least_jobs: int = 300
    most_jobs: int = 100_000
    pickups: int = 100
    pickup_s: float = 3.0
    held: int = 10_000
    waiting: int = 1_000_000
    claims: int = 200
    recovery_s: float = 120.0
    idle_s: float = 20.0
    measure_limit_s: float = 75.0
    limit_s: float = 1500.0

    @classmethod
    def quick(cls, rounds: int = 1) -> Plan:
        """A look within about half a minute: too short for figures to be quoted."""
        return cls(
            rounds=rounds,
            concurrencies=(1, MIDDLE),
            enqueue_s=0.3,
            singles=1500,
            bulk=10_000,
            drain_s=0.4,
            window_s=2.0,
            pickups=50,
            pickup_s=2.0,
            held=3000,
            waiting=20_000,
            claims=50,
            recovery_s=0,
            idle_s=2.0,
        )

    @classmethod
    def of_features(cls, rounds: int = 7) -> Plan:
        """For comparing two revisions: more and longer pairs of fewer things."""
        return cls(rounds=rounds, drain_s=1.5, pickups=150, recovery_s=0, waiting=0, idle_s=0)
