"""What came out, written down while it is measured: values and failures by system and measure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

GIVE_UP_AFTER = 1
HOPELESS_AFTER = 2


@dataclass(slots=True)
class Book:
    """Values of each measure of each system, one a round, and why a measure came to nothing."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def write(self, system: str, measure: str, value: float | None) -> None:
        """Add a round's value; ``None`` is left out."""
        if value is not None:
            self.values[system, measure].append(value)

    def fail(self, system: str, measure: str, reason: str) -> None:
        """Say why a round has no value."""
        self.failures[system, measure].append(reason)

    def is_given_up(self, system: str, measure: str) -> bool:
        """Whether trying again would only take time: it failed and has never worked."""
        return not self.values[system, measure] and len(self.failures[system, measure]) >= GIVE_UP_AFTER

    def is_hopeless(self, system: str) -> bool:
        """Whether a system has failed at two measures and worked at none: it would only take time."""
        failed = [measure for name, measure in self.failures if name == system]
        worked = any(name == system and found for (name, _), found in self.values.items())
        return len(failed) >= HOPELESS_AFTER and not worked

    def last(self, system: str, measure: str) -> float | None:
        """The newest value."""
        values = self.values[system, measure]
        return values[-1] if values else None

    def median(self, system: str, measure: str) -> float | None:
        """The median of the rounds, to four digits."""
        values = self.values[system, measure]
        return float(f"{statistics.median(values):.4g}") if values else None

    def reasons(self, system: str) -> dict[str, str]:
        """The last failure of each measure that has one."""
        return {
            measure: found[-1] for (name, measure), found in self.failures.items() if name == system and found
        }

    def spread(self, system: str) -> dict[str, list[float]]:
        """The least and the greatest value of each measure with more than one."""
        return {
            measure: [float(f"{min(found):.4g}"), float(f"{max(found):.4g}")]
            for (name, measure), found in self.values.items()
            if name == system and len(found) > 1
        }
