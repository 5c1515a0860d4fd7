"""The books of the model: where every job stands, and what several verbs do alike."""

from collections import Counter

from tests.torture.model_parts import ENDED, LANES, LET_GO, Message, ModelJob, Timings


class Books:
    """Where the jobs of one queue stand, and the moves that several verbs share."""

    def __init__(self, timings: Timings) -> None:
        self.timings = timings
        self.forget_all()

    def forget_all(self) -> None:
        """FLUSHALL."""
        self.jobs: dict[str, ModelJob] = {}
        self.lanes: dict[str, list[Message]] = {lane: [] for lane in LANES}
        self.leases: dict[str, int] = {}
        self.scheduled: dict[str, int] = {}
        self.index: dict[str, dict[str, int]] = {status: {} for status in ENDED}
        self.counts: Counter[str] = Counter()
        self.letters: list[str] = []
        self.events: list[tuple[int, str, str, int]] = []
        self.event_serial = 0
        self.registry: dict[str, tuple[str, int]] = {}
        self.claims: dict[str, tuple[str, list[str]]] = {}
        self.pulse: int | None = None
        self.amnesty: int | None = None
        self.spared_until = 0
        self.seated = 0
        self.agreed = 0
        self.drifted = False

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

    def leave(self, job: ModelJob) -> None:
        self.remove_message(job.message)
        if job.status in ("pending", "processing"):
            self.leases.pop(job.id, None)
        else:
            self.scheduled.pop(job.id, None)

    def remove_message(self, message: Message | None) -> None:
        for waiting in self.lanes.values():
            waiting[:] = [other for other in waiting if other is not message]

    def add_message(self, job: ModelJob, lane: str) -> None:
        job.lane = lane
        job.message = Message(job.id)
        self.lanes[lane].append(job.message)

    def finish(self, job: ModelJob, status: str, now: int) -> None:
        self.leave(job)
        self.record(job, status)
        self.move(job, status)
        self.index[status][job.id] = now
        if status == "failed":
            job.letter = True
            self.letters.append(job.id)

    def quarantine(self, job: ModelJob, guess: str | None, now: int) -> None:
        """Set aside; counted under what its hash says, or where it was found if that is unreadable."""
        counted_as = job.status if job.damage == "attempt" else guess
        if counted_as is not None:
            self.counts[counted_as] -= 1
        self.counts["failed"] += 1
        self.drifted |= counted_as != job.status
        if job.damage == "type":
            job.recorded, job.last_event = False, None
        else:
            self.remove_message(job.message)
        job.attempt, job.crashes, job.releases, job.lease = 0, 0, 0, None
        job.status, job.quarantined, job.letter, job.damage = "failed", True, True, None
        self.record(job, "failed")
        self.leases.pop(job.id, None)
        self.scheduled.pop(job.id, None)
        self.index["failed"][job.id] = now
        self.letters.append(job.id)

    def amnesty_until(self, now: int) -> int:
        if self.pulse is None or self.pulse > now or now - self.pulse > 2 * self.timings.beat:
            self.amnesty = now + self.timings.lease
            self.pulse = now
            return self.amnesty
        ends = self.amnesty or 0
        return 0 if ends - now > self.timings.lease else ends

    def charge_crash(self, job: ModelJob, now: int) -> bool:
        """Whether the job goes on."""
        if job.cancel:
            self.finish(job, "cancelled", now)
            return False
        job.crashes += 1
        if job.crashes >= max(3, job.max_attempts):
            self.finish(job, "failed", now)
            return False
        self.record(job, "crashed")
        return True

    def is_spared(self, job: ModelJob, until: int, now: int) -> bool:
        """Whether an amnesty holds for the job's lapsed lease: its holder may be alive."""
        return until > now and self.leases[job.id] > LET_GO and not job.unrenewed

    def seat_among_suspects(self, job: ModelJob) -> None:
        self.leave(job)
        self.add_message(job, "suspects")
        job.lease = ""
        self.move(job, "pending")
        self.seated += 1
