"""Moves that time, deaths and hands make in the model: promotion, take-over, dead letters put back."""

from collections.abc import Sequence

from tests.torture.model_flow import Flow
from tests.torture.model_parts import RELEASED, ModelJob, Request

EXPIRED = "Expired: the job had not started by its expires_at"


class Moves(Flow):
    """Verbs about jobs that nobody runs."""

    def take(self, job: ModelJob, request: Request, now: int) -> None:
        job.attempt += 1
        job.lease = f"{job.attempt + job.releases}:{request.id}"
        self.move(job, "processing")
        job.holder, job.unrenewed = request.consumer, request.unrenewed
        self.leases[job.id] = now + request.lease_ms
        self.record(job, "started")

    def promote(self, now: int, most: int) -> tuple[int, int | None, int]:
        """Answers the jobs that moved, the time until the next is due, and the endings to carry over."""
        promoted = sum(self._promote(self.jobs[job_id], now) for job_id in _due(self.scheduled, now, most))
        promoted += sum(self._ring(timer, now) for timer in _due(self.timers, now, most))
        self.resolve(most, now)
        return promoted, self.next_due(now), len(self.crossings)

    def next_due(self, now: int) -> int | None:
        """Children that have not been told are due at once."""
        if self.fanout:
            return 0
        times = [*self.scheduled.values(), *self.timers.values()]
        return max(min(times) - now, 0) if times else None

    def _promote(self, job: ModelJob, now: int) -> bool:
        if job.damage:
            self.quarantine(job, "scheduled", now)
            return False
        del self.scheduled[job.id]
        if job.is_late(now):
            self.finish(job, "cancelled", now, EXPIRED)
            return False
        self.make_ready(job, now)
        self.record(job, "promoted")
        return True

    def _ring(self, timer: str, now: int) -> bool:
        self.timers.pop(timer, None)
        kind, about = timer.split(" ", 1)
        if kind == "rate":
            lane, rate = about.split(" ", 1)
            self.open_rate(lane, rate, now)
            return False
        job = self.jobs.get(about)
        if job is None:
            return False
        if kind == "late":
            self._give_up_on(job, now)
            return False
        if job.damage:
            self.quarantine(job, "suspended", now)
        elif job.status == "suspended":
            self.wake(job, now)
            return True
        return False

    def _give_up_on(self, job: ModelJob, now: int) -> None:
        """It did not start in time; one that has started goes on, whatever it waits for now."""
        if not job.damage and not job.ended and not job.has_started:
            self.finish(job, "cancelled", now, EXPIRED)

    def lapsed(self, now: int, most: int, *, least: int = -(10**9)) -> list[str]:
        due = sorted((score, job_id) for job_id, score in self.leases.items() if least <= score <= now)
        return [job_id for _, job_id in due[:most]]

    def reclaim(self, now: int, idle_ms: int, most: int) -> int:
        since = min(now, now - idle_ms + self.timings.lease)
        ready = self.lapsed(since, most, least=1)
        spared = self.amnesty_until(now) if ready else 0
        seen = 0
        for job_id in ready:
            job = self.jobs[job_id]
            if job.damage:
                self.quarantine(job, "processing", now)
            elif not self.is_spared(job, spared, now) and self.charge_crash(job, now):
                self._put_back(job)
                seen += 1
        return seen

    def _put_back(self, job: ModelJob) -> None:
        if job.is_suspect:
            self.seat_among_suspects(job)
            return
        job.lease = ""
        self.leases[job.id] = RELEASED
        self.move(job, "pending")

    def requeue(self, job_id: str, now: int) -> str:
        """A dead letter with all its attempts before it, and its finished steps."""
        job = self.jobs.get(job_id)
        if job is None:
            return "gone"
        if job.damage or job.quarantined:
            return "damaged"
        if job.status != "failed":
            return job.status
        key = job.options.unique
        if key is not None:
            holder = self.unique_holder(key, now)
            if holder not in (None, job_id):
                return f"unique {holder}"
            # What is left of its window stays.
            self.unique[key] = (job_id, now if holder is None else self.unique[key][1])
        self.letters.remove(job_id)
        del self.index["failed"][job_id]
        if self.live.get(job_id) and self.live[job_id][-1][0] == "end":
            self.live[job_id].pop()
        job.releases, job.attempt, job.crashes, job.idle_releases = job.releases + job.attempt, 0, 0, 0
        job.cancel = job.unrenewed = job.late = job.letter = job.left_to_janitor = False
        job.error, job.lane = "", job.home_lane
        job.requeues += 1
        self.record(job, "requeued")
        self.make_ready(job, now)
        return "ok"

    def discard(self, job_id: str, *, waits_for_history: bool) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "gone"
        if job.damage:
            return "corrupt"
        if job.status != "failed":
            return job.status
        if waits_for_history and self.is_unread(job):
            return "unread"
        if job_id in self.children:
            return "untold"
        self.forget(job)
        return "ok"

    def is_unread(self, job: ModelJob) -> bool:
        """Whether some fact about the job's end is still there for history to read."""
        return any(event[0] == job.last_event for event in self.events)

    def forget(self, job: ModelJob) -> None:
        """With every key it had."""
        del self.index[job.status][job.id], self.jobs[job.id]
        self.counts[job.status] -= 1
        if job.letter:
            self.letters.remove(job.id)
        self.inputs.pop(job.id, None)
        self.signals.pop(job.id, None)
        self.live.pop(job.id, None)

    def copy_to(self, source_id: str, job: ModelJob, steps: Sequence[str], signals: Sequence[str]) -> None:
        """What a fork begins with: finished steps, the signals they took, what its parents ended with."""
        source = self.jobs[source_id]
        for name in steps:
            if name in source.steps:
                job.steps[name] = source.steps[name]
                self.record(job, "step")
        for field in signals:
            name, _, place = field.partition("#")
            given = self.signals.get(source_id, {}).get(name, [])
            if int(place) < len(given):
                self.signals.setdefault(job.id, {}).setdefault(name, []).append(given[int(place)])
        if source_id in self.inputs:
            self.inputs[job.id] = dict(self.inputs[source_id])


def _due(times: dict[str, int], now: int, most: int) -> list[str]:
    return [name for _, name in sorted((at, name) for name, at in times.items() if at <= now)[:most]]
