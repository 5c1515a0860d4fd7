"""Rates in the model: when a key may start one more job, from a log of starts and of booked units."""

from dataclasses import dataclass, field

from tests.torture.model_parts import Booking, ModelJob


@dataclass(frozen=True)
class Limits:
    """What was set for a key; 0 is no limit."""

    places: int = 0
    jobs: int = 0
    units: int = 0
    window: int = 0


@dataclass
class Rates:
    """The limits and pauses of all keys, and what happened within their windows."""

    limits: dict[str, Limits] = field(default_factory=dict)
    pauses: dict[str, int] = field(default_factory=dict)
    starts: dict[str, list[int]] = field(default_factory=dict)
    booked: dict[str, list[Booking]] = field(default_factory=dict)

    def of(self, key: str) -> Limits:
        """The limits of `key`."""
        return self.limits.get(key, Limits())

    def opens_at(self, key: str, units: int, now: int) -> int:
        """When a job that books `units` may start: at once if that is not after `now`."""
        if key in self.pauses:
            if self.pauses[key] > now:
                return self.pauses[key]
            del self.pauses[key]
        limits, at = self.of(key), 0
        if limits.jobs:
            starts = self.starts.get(key, [])
            while starts and starts[0] + limits.window <= now:
                starts.pop(0)
            if len(starts) >= limits.jobs:
                at = starts[-limits.jobs] + limits.window
        if limits.units:
            bookings = self.booked.get(key, [])
            while bookings and bookings[0].at + limits.window <= now:
                bookings.pop(0)
            at = max(at, _units_free_at(bookings, units, limits))
        return at

    def start(self, key: str, job: ModelJob, now: int) -> None:
        """Note a start of the job, and the units that it books."""
        limits, units = self.of(key), job.options.units
        if limits.jobs:
            self.starts.setdefault(key, []).append(now)
        if limits.units and units:
            self._book(key, job.id, units, now)
            job.booked_at, job.booked, job.used = now, units, 0

    def use(self, key: str, job: ModelJob, units: int, now: int) -> None:
        """What it had booked goes first, the rest is booked now."""
        if not self.of(key).units:
            return
        job.used += units
        if job.used > job.booked:
            self._book(key, job.id, job.used - job.booked, now)
            job.booked = job.used

    def give_back(self, key: str, job: ModelJob) -> bool:
        """What was booked at the start and, by the job's own reports, not used; whether there was any."""
        if job.booked_at is None or not 0 < job.used < job.booked:
            return False
        for booking in self.booked.get(key, []):
            if (booking.at, booking.units, booking.job) == (job.booked_at, job.booked, job.id):
                booking.units = job.used
                return True
        return False

    def _book(self, key: str, job_id: str, units: int, now: int) -> None:
        self.booked.setdefault(key, []).append(Booking(now, units, job_id))


def _units_free_at(bookings: list[Booking], units: int, limits: Limits) -> int:
    """A job that books more than the limit goes when nothing else is booked."""
    spent = sum(booking.units for booking in bookings)
    missing = min(spent + units - limits.units, spent)
    at = 0
    for booking in bookings:
        if missing <= 0:
            break
        missing -= booking.units
        at = booking.at + limits.window
    return at
