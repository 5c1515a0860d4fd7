"""A queue in plain Python: what each script is to do, written down a second time and without Redis."""

from collections.abc import Iterable, Mapping, Sequence

from tests.torture.model_books import Books
from tests.torture.model_parts import LANES, LET_GO, RELEASED, Message, ModelJob, Request

FREE_RELEASES = 20


class Queue(Books):
    """One queue. Every verb answers as its script does, and moves the jobs as the script is to."""

    def enqueue(self, job: ModelJob, delay_ms: int, now: int) -> str:
        if job.id in self.jobs:
            return "kept"
        self.jobs[job.id] = job
        if delay_ms > 0:
            job.status = "scheduled"
            self.scheduled[job.id] = now + delay_ms
        else:
            self.add_message(job, job.lane)
        self.counts[job.status] += 1
        self.record(job, "enqueued")
        return "ok"

    def lapsed(self, now: int, most: int, *, least: int = -(10**9)) -> list[str]:
        due = sorted((score, job_id) for job_id, score in self.leases.items() if least <= score <= now)
        return [job_id for _, job_id in due[:most]]

    def take(self, job: ModelJob, request: Request, now: int) -> None:
        job.attempt += 1
        job.lease = f"{job.attempt + job.releases}:{request.id}"
        self.move(job, "processing")
        job.holder, job.unrenewed = request.consumer, request.unrenewed
        self.leases[job.id] = now + request.lease_ms
        self.record(job, "started")

    def renew(
        self,
        worker: str,
        incarnation: str,
        leases: Iterable[tuple[str, str]],
        now: int,
        *,
        starting: bool = False,
    ) -> tuple[bool, list[str], list[str]]:
        """Answers whether the worker is superseded, what it lost and what is to be cancelled."""
        self.amnesty_until(now)
        known = self.registry.get(worker)
        if known and not starting and known[0] != incarnation:
            return True, [], []
        self.registry[worker] = (incarnation, now)
        self.pulse = now
        lost, cancelled = [], []
        for job_id, lease in leases:
            job = self.running(job_id, lease)
            if job is None:
                lost.append(job_id)
                continue
            self.leases[job_id] = now + self.timings.lease
            if job.cancel:
                cancelled.append(job_id)
        return False, lost, cancelled

    def running(self, job_id: str, lease: str) -> ModelJob | None:
        job = self.jobs.get(job_id)
        if job is None or job.damage or job.lease != lease or job.status != "processing":
            return None
        return job

    def settle(
        self, job_id: str, lease: str, kind: str, now: int, *, delay_ms: int = 0, large: bool = False
    ) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "gone"
        if job.damage:
            self.quarantine(job, "processing", now)
            return "corrupt"
        if job.lease != lease:
            return "lost"
        if job.status != "processing":
            return "already"
        self._outcome(job, kind, now, delay_ms, large=large)
        return "ok"

    def _outcome(self, job: ModelJob, kind: str, now: int, delay_ms: int, *, large: bool) -> None:
        if kind == "complete":
            job.result_apart = large
            self.finish(job, "completed", now)
        elif kind == "fail":
            self.finish(job, "failed", now)
        elif kind == "lapse":
            self.leases[job.id] = LET_GO
        elif kind == "cancel" or job.cancel:
            self.finish(job, "cancelled", now)
        elif kind == "release":
            self._release(job, now)
        else:
            self.record(job, "deferred" if kind == "defer" else "retrying")
            self.leave(job)
            if kind == "defer":
                job.attempt, job.releases = job.attempt - 1, job.releases + 1
            self.scheduled[job.id] = now + delay_ms
            self.move(job, "retrying")

    def _release(self, job: ModelJob, now: int) -> None:
        charged = job.idle_releases >= FREE_RELEASES
        if charged and job.attempt >= job.max_attempts:
            self.finish(job, "failed", now)
            return
        self.record(job, "released")
        if not charged:
            job.attempt, job.releases = job.attempt - 1, job.releases + 1
        job.idle_releases += 1
        job.lease = ""
        self.move(job, "pending")
        self.leases[job.id] = RELEASED

    def progress(self, job_id: str, lease: str) -> str:
        job = self.running(job_id, lease)
        if job is None:
            return "lost"
        self.record(job, "progress")
        return "cancel" if job.cancel else "ok"

    def step(self, job_id: str, lease: str, name: str, body: bytes) -> str:
        job = self.running(job_id, lease)
        if job is None:
            return "lost"
        if name not in job.steps:
            if len(job.steps) >= self.timings.most_steps:
                return "full"
            job.steps[name] = body
            job.idle_releases = 0
            self.record(job, "step")
        return "cancel" if job.cancel else "ok"

    def cancel(self, job_id: str, now: int) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "gone"
        if job.damage:
            return "corrupt"
        if job.status == "cancelled":
            return "cancelled"
        if job.ended:
            return "ended"
        if job.status == "processing":
            job.cancel = True
            return "cancelling"
        self.finish(job, "cancelled", now)
        return "cancelled"

    def promote(self, now: int, most: int) -> tuple[int, int | None]:
        due = sorted((at, job_id) for job_id, at in self.scheduled.items() if at <= now)[:most]
        promoted = 0
        for _, job_id in due:
            job = self.jobs[job_id]
            if job.damage:
                self.quarantine(job, "scheduled", now)
                continue
            del self.scheduled[job_id]
            self.add_message(job, "suspects" if job.is_suspect else job.lane)
            self.move(job, "pending")
            self.record(job, "promoted")
            promoted += 1
        return promoted, max(min(self.scheduled.values()) - now, 0) if self.scheduled else None

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

    def deliver(self, read_to: Mapping[str, tuple[int, int]]) -> list[tuple[str, list[Message]]]:
        """What a claim has read of each lane, in order, given how far the group has come."""
        visited = []
        for lane in LANES:
            upto = read_to.get(lane, (0, 0))
            fresh = [
                message
                for message in self.lanes[lane]
                if not message.delivered and message.id and place(message.id) <= upto
            ]
            for message in fresh:
                message.delivered = True
            visited.append((lane, fresh))
        return visited

    def destroy_groups(self, lanes: Sequence[str]) -> None:
        for lane in lanes:
            for message in self.lanes[lane]:
                message.delivered = False


def place(message_id: str) -> tuple[int, int]:
    """A stream id as something that can be compared."""
    time, _, serial = message_id.partition("-")
    return int(time), int(serial)
