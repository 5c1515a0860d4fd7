"""What the ledger says of each job, and what the blows explain of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from penstock.torture.faults import Blow, Struck
from penstock.torture.ledger import Entry

#: How a handler's run may end; each is sworn before anything else can start the job again.
ENDS = ("end", "raise", "stop", "refused")


@dataclass
class History:
    """One job's entries in the order in which they happened."""

    entries: list[Entry] = field(default_factory=list)

    def first(self, fact: str) -> Entry | None:
        """The first entry of a fact."""
        return next((entry for entry in self.entries if entry.fact == fact), None)

    def has(self, fact: str) -> bool:
        """Whether there is an entry of a fact."""
        return self.first(fact) is not None

    def accepted(self, *kinds: str) -> list[Entry]:
        """Settles of these kinds that the server accepted."""
        wanted = {f"{kind} ok" for kind in kinds}
        return [entry for entry in self.entries if entry.fact == "settled" and entry.detail in wanted]

    @property
    def extra_starts(self) -> list[tuple[Entry, Entry]]:
        """Each start beyond the first that no failure on purpose asked for, with the start before it."""
        found = []
        before: Entry | None = None
        failed = False
        for entry in self.entries:
            if entry.fact == "raise":
                failed = True
            elif entry.fact == "start":
                if before is not None and not failed:
                    found.append((before, entry))
                before, failed = entry, False
        return found


class Histories:
    """All jobs, and the blows."""

    def __init__(self, ledger: Sequence[Entry], blows: Sequence[Blow]) -> None:
        """Sort the ledger by job."""
        self.by_job: dict[str, History] = defaultdict(History)
        # A process that was frozen in the middle of writing wrote late what had happened before.
        for entry in sorted(ledger, key=lambda entry: entry.at):
            if entry.job:
                self.by_job[entry.job].entries.append(entry)
        self._to_workers: dict[int, list[Blow]] = defaultdict(list)
        for blow in blows:
            if blow.struck is Struck.WORKER:
                self._to_workers[blow.pid].append(blow)
        self._to_data = [blow for blow in blows if blow.struck is Struck.DATA]
        self.in_flight = list(self._in_flight())

    @property
    def has_lost_data(self) -> bool:
        """Whether a blow may have taken what the server had acknowledged."""
        return bool(self._to_data)

    def of(self, job_id: str) -> History:
        """A job's history, empty if it never ran."""
        return self.by_job.get(job_id) or History()

    def is_in_lost_window(self, at: float) -> bool:
        """Whether what was written then may have been lost with a server's data."""
        return any(blow.lost_from <= at <= blow.ended_at for blow in self._to_data)

    def is_excused(self, history: History, before: Entry, after: Entry) -> bool:
        """Whether a blow explains a new start: one to the worker, or to what the server knew of the job."""
        for blow in self._to_workers[before.pid]:
            if before.at <= blow.ended_at and after.at >= blow.began_at:
                return True
        # A worker that was frozen between its claim and the handler's start wakes up as a zombie, and may
        # write so before the one who woke it has noted the time.
        woke = any(blow.began_at <= after.at for blow in self._to_workers[after.pid])
        if woke and after.attempt < before.attempt:
            return True
        written = [entry.at for entry in history.entries if before.at <= entry.at <= after.at]
        return any(self.is_in_lost_window(at) for at in written if at < after.at)

    def recoveries(self) -> list[float]:
        """Seconds from the blow to a worker to the next start of each job that it held."""
        found = []
        for job_id, blow in self.in_flight:
            starts = (entry.at for entry in self.of(job_id).entries if entry.fact == "start")
            again = [at - blow.began_at for at in starts if at > blow.began_at]
            found += again[:1]
        return found

    def spans(self, history: History) -> Iterator[tuple[float, float]]:
        """When a job's handler ran, as far as is certain: until its end, or its worker was struck."""
        for place, entry in enumerate(history.entries):
            earlier = (other for other in history.entries[:place] if other.fact == "start")
            # One that began under a lease that was lost before is a zombie, and holds no place.
            if entry.fact != "start" or any(other.attempt > entry.attempt for other in earlier):
                continue
            later = history.entries[place + 1 :]
            ends = [other.at for other in later if other.pid == entry.pid and other.fact in ENDS]
            ends += [blow.began_at for blow in self._to_workers[entry.pid] if blow.ended_at >= entry.at]
            end = min(ends, default=entry.at)
            if end > entry.at:
                yield entry.at, end

    def _in_flight(self) -> Iterator[tuple[str, Blow]]:
        for job_id, history in list(self.by_job.items()):
            for place, entry in enumerate(history.entries):
                for blow in self._to_workers[entry.pid] if entry.fact == "start" else ():
                    if entry.at <= blow.ended_at and not _is_over(history.entries[place + 1 :], entry, blow):
                        yield job_id, blow


def _is_over(later: Sequence[Entry], start: Entry, blow: Blow) -> bool:
    """Whether the run that began with ``start`` was settled, or had stopped, before the blow."""
    return any(
        entry.pid == start.pid and entry.at < blow.began_at and entry.fact in ("settled", "stop", "refused")
        for entry in later
    )


def p99(seconds: Sequence[float]) -> float | None:
    """The 99th percentile, ``None`` of nothing."""
    if not seconds:
        return None
    return round(sorted(seconds)[max(math.ceil(len(seconds) * 0.99) - 1, 0)], 2)
