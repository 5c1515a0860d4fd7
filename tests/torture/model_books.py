"""The books of the model: where every job stands, and what several verbs do alike."""

from collections import Counter

from tests.torture.model_parts import INDEXED, LANES, LET_GO, Kept, Message, ModelJob, Timings
from tests.torture.model_rates import Rates

Ending = tuple[str, str, str, bytes]


class Books:
    """Where the jobs of one queue stand."""

    def __init__(self, timings: Timings) -> None:
        self.timings = timings
        self.forget_all()

    def forget_all(self) -> None:
        """FLUSHALL."""
        self.jobs: dict[str, ModelJob] = {}
        self.lanes: dict[str, list[Message]] = {lane: [] for lane in LANES}
        self.made_lanes: set[str] = set()
        self.departing: list[Message] | None = None
        self.leases: dict[str, int] = {}
        self.scheduled: dict[str, int] = {}
        self.index: dict[str, dict[str, int]] = {status: {} for status in INDEXED}
        self.counts: Counter[str] = Counter()
        self.letters: list[str] = []
        self.events: list[tuple[int, str, str, int]] = []
        self.event_serial = self.agreed = 0
        self.registry: dict[str, tuple[str, int]] = {}
        self.claims: dict[str, tuple[str, list[str]]] = {}
        self.pulse: int | None = None
        self.amnesty: int | None = None
        self.spared_until = self.seated = 0
        self.drifted = self.unordered = self.blind = False
        self.destroyed: set[str] = set()
        self._forget_flow()

    def _forget_flow(self) -> None:
        self.rates = Rates()
        self.credits = dict.fromkeys(("high", "normal", "low", "side"), 0)
        self.lines: dict[tuple[str, str], list[str]] = {}
        self.turns: dict[str, dict[str, int]] = {}
        self.asleep: dict[tuple[str, str], dict[str, int]] = {}
        self.turns_given = 0
        self.holders: dict[str, set[str]] = {}
        self.timers: dict[str, int] = {}
        self.unique: dict[str, tuple[str, int]] = {}
        self.parents: dict[str, set[str]] = {}
        self.children: dict[str, set[str]] = {}
        self.inputs: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.fanout: list[str] = []
        self.crossings: list[Ending] = []
        self.signals: dict[str, dict[str, list[bytes]]] = {}
        self.live: dict[str, list[tuple[str, bytes]]] = {}
        self.usage: dict[int, dict[str, float]] = {}
        self.paused = False
        self.cron: dict[str, Kept] = {}
        self.cron_due: dict[str, int] = {}

    def move(self, job: ModelJob, status: str) -> None:
        self.counts[job.status] -= 1
        self.counts[status] += 1
        job.status = status

    def record(self, job: ModelJob, event: str) -> None:
        if job.recorded:
            self.event_serial += 1
            job.last_event = self.event_serial
            self.events.append((self.event_serial, event, job.id, job.attempt))

    def adopt_order(self, seen: list[tuple[str, str, int]]) -> None:
        """Facts of one call about several jobs may come in any order, those about one job may not."""
        fresh = [event for event in self.events if event[0] > self.agreed]
        self.agreed = self.event_serial
        tail = seen[len(seen) - len(fresh) :]
        for job_id in {event[2] for event in fresh}:
            if [event[1:] for event in fresh if event[2] == job_id] != [
                event for event in tail if event[1] == job_id
            ]:
                return
        first = len(self.events) - len(fresh)
        for at, (event, job_id, attempt) in enumerate(tail):
            serial = fresh[at][0]
            self.events[first + at] = (serial, event, job_id, attempt)
            if job_id in self.jobs:
                self.jobs[job_id].last_event = serial

    def remove_message(self, message: Message | None) -> None:
        if message is None:
            return
        if self.departing is not None:
            self.departing.append(message)
            return
        for waiting in self.lanes.values():
            waiting[:] = [other for other in waiting if other is not message]

    def remove_departed(self) -> None:
        """At the end of a call that gathered what leaves."""
        departed, self.departing = self.departing or [], None
        for message in departed:
            self.remove_message(message)

    def add_message(self, job: ModelJob, lane: str) -> None:
        job.lane = lane
        job.message = Message(job.id)
        self.lanes[lane].append(job.message)
        self.made_lanes.add(lane)

    def count_in(self, job: ModelJob, status: str) -> None:
        """A job that is new, or comes back from where it was not counted."""
        self.counts[status] += 1
        job.status = status

    def amnesty_until(self, now: int) -> int:
        gone_back = 0 if self.pulse is None else self.pulse - now
        jumped_back = gone_back > self.timings.beat
        if jumped_back:
            self.leases = {name: end - gone_back if end > now else end for name, end in self.leases.items()}
        if self.pulse is None or jumped_back or now - self.pulse > 2 * self.timings.beat:
            self.amnesty = now + self.timings.lease
            self.pulse = now
            return self.amnesty
        ends = self.amnesty or 0
        return 0 if ends - now > self.timings.lease else ends

    def is_spared(self, job: ModelJob, until: int, now: int) -> bool:
        """Whether an amnesty holds for the job's lapsed lease: its holder may be alive."""
        return until > now and self.leases[job.id] > LET_GO and not job.unrenewed
