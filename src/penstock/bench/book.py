"""What came out, written down while it is measured: values and failures by system and measure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

GIVE_UP_AFTER = 2
HOPELESS_AFTER = 2


@dataclass(slots=True)
class Book:
    """Values of each measure of each system, one a round, and why a measure came to nothing."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    ruled_out: dict[tuple[str, str], str] = field(default_factory=dict)
    worked: set[tuple[str, str]] = field(default_factory=set)

    def write(self, system: str, measure: str, value: float | None) -> None:
        """Add a round's value; ``None`` is left out."""
        if value is not None:
            self.values[system, measure].append(value)

    def succeed(self, system: str, measure: str) -> None:
        """Say that a measure worked, whatever figures it wrote."""
        self.worked.add((system, measure))

    def rule_out(self, system: str, measure: str, reason: str) -> None:
        """Say that a system cannot do this at all; that is no failure."""
        self.ruled_out[system, measure] = reason

    def fail(self, system: str, measure: str, reason: str) -> None:
        """Say why a round has no value."""
        self.failures[system, measure].append(reason)

    def is_given_up(self, system: str, measure: str) -> bool:
        """Whether trying again would only take time: it cannot, or failed twice and has never worked."""
        if (system, measure) in self.ruled_out:
            return True
        failed = len(self.failures.get((system, measure), []))
        return (system, measure) not in self.worked and failed >= GIVE_UP_AFTER

    def is_hopeless(self, system: str) -> bool:
        """Whether a system has failed at two measures and worked at none: it would only take time."""
        failed = [key for key, found in self.failures.items() if key[0] == system and found]
        return len(failed) >= HOPELESS_AFTER and not any(name == system for name, _ in self.worked)

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
        last = {key: found[-1] for key, found in self.failures.items() if found}
        return {measure: why for (name, measure), why in (last | self.ruled_out).items() if name == system}

    def spread(self, system: str) -> dict[str, list[float]]:
        """The least and the greatest value of each measure with more than one."""
        return {
            measure: [float(f"{min(found):.4g}"), float(f"{max(found):.4g}")]
            for (name, measure), found in self.values.items()
            if name == system and len(found) > 1
        }
