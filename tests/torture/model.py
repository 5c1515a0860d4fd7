"""A queue in plain Python: what each script is to do, written down a second time and without Redis."""

from collections.abc import Iterable, Sequence

from tests.torture.model_moves import Moves
from tests.torture.model_parts import LANES, LET_GO, RELEASED, ModelJob, Options

FREE_RELEASES = 20


class Queue(Moves):
    """One queue. Every verb answers as its script does, and moves the jobs as the script is to."""

    def enqueue(self, jobs: Sequence[ModelJob], delay_ms: int, now: int) -> list[str]:
        """A full events stream refuses recorded jobs, seen once a call."""
        self._is_full = len(self.events) >= self.timings.most_events
        return [self._accept(job, delay_ms, now) for job in jobs]

    def _accept(self, job: ModelJob, delay_ms: int, now: int) -> str:
        if job.id in self.jobs:
            return "kept"
        if job.recorded and self._is_full:
            return "backlog"
        if refused := self._refusal(job.options, now):
            return refused
        self.jobs[job.id] = job
        self.record(job, "enqueued")
        options = job.options
        if options.unique is not None:
            self.unique[options.unique] = (job.id, now + options.window_ms)
        if options.expires_at is not None:
            job.late = True
            self.timers[f"late {job.id}"] = options.expires_at
        self.join(job)
        job.due = now + delay_ms if delay_ms > 0 else None
        if options.parents:
            self.count_in(job, "waiting")
            self.stand_by_parents(job, now)
        elif delay_ms > 0:
            self.count_in(job, "scheduled")
            self.scheduled[job.id] = now + delay_ms
        else:
            self.count_in(job, "")
            self.make_ready(job, now)
        return "ok"

    def _refusal(self, options: Options, now: int) -> str | None:
        for parent in options.parents:
            if "/" not in parent and parent not in self.jobs:
                return f"orphan {parent}"
        line = self.line_of(options.parents)
        for target in options.joins:
            if target not in self.parents:
                return f"unjoinable {target}"
            if target in line:
                return f"circular {target}"
        holder = None if options.unique is None else self.unique_holder(options.unique, now)
        if holder is None:
            return None
        if options.policy == "replace":
            self._replace(holder, now)
            return None
        return f"{'rejected' if options.policy == 'reject' else 'unique'} {holder}"

    def _replace(self, holder: str, now: int) -> None:
        job = self.jobs.get(holder)
        if job is None or job.damage or job.ended:
            return
        if job.status == "processing":
            job.cancel = True
        else:
            self.finish(job, "cancelled", now, "Replaced")

    def enqueue_children(
        self, parent_id: str, lease: str, jobs: Sequence[ModelJob], delay_ms: int, now: int
    ) -> list[str]:
        """Under the lease of the job that makes them."""
        if self.running(parent_id, lease) is None:
            return ["lost"] * len(jobs)
        return self.enqueue(jobs, delay_ms, now)

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
        return job if job is not None and job.is_under(lease) else None

    def settle(
        self,
        job_id: str,
        lease: str,
        kind: str,
        now: int,
        *,
        body: bytes = b"1",
        delay_ms: int = 0,
        detail: str = "",
        leave_to_janitor: bool = False,
    ) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "gone"
        # A worker's completion of a job without history looks only at what it needs.
        looks_away = kind == "complete" and leave_to_janitor and not job.recorded
        if job.damage and not (looks_away and job.damage == "attempt"):
            self.quarantine(job, "processing", now)
            return "corrupt"
        if job.lease != lease:
            return "lost"
        if job.status != "processing":
            return "already"
        if job.damage:
            job.damage, job.is_scarred = None, True
        if kind == "suspend" and not job.cancel:
            self.suspend(job, delay_ms, detail, now)
        else:
            self._outcome(job, kind, now, body, delay_ms)
        return "ok"

    def _outcome(self, job: ModelJob, kind: str, now: int, body: bytes, delay_ms: int) -> None:
        if kind == "complete":
            job.result, job.result_apart = body, len(body) > 16_384
            self.finish(job, "completed", now)
        elif kind == "fail":
            self.finish(job, "failed", now, body.decode())
        elif kind == "lapse":
            self.leases[job.id] = LET_GO
        elif kind == "back_off":
            self._back_off(job, body, delay_ms, now)
        elif kind == "cancel" or job.cancel:
            self.finish(job, "cancelled", now)
        elif kind == "release":
            self._release(job, now)
        else:
            self._wait(job, kind, body, delay_ms, now)

    def _back_off(self, job: ModelJob, body: bytes, delay_ms: int, now: int) -> None:
        """The others of the rate key wait as well, whatever becomes of this one."""
        key, until = job.options.rate, now + delay_ms
        if key is not None:
            self.rates.pauses[key] = max(self.rates.pauses.get(key, until), until)
        self._outcome(job, "retry", now, body, delay_ms)

    def _wait(self, job: ModelJob, kind: str, body: bytes, delay_ms: int, now: int) -> None:
        self.record(job, "deferred" if kind == "defer" else "retrying")
        self.leave(job)
        self.free_place(job)
        if kind == "defer":
            job.attempt, job.releases = job.attempt - 1, job.releases + 1
        job.error = body.decode()
        self.scheduled[job.id] = now + delay_ms
        self.move(job, "retrying")

    def _release(self, job: ModelJob, now: int) -> None:
        charged = job.idle_releases >= FREE_RELEASES
        if charged and job.attempt >= job.max_attempts:
            self.finish(job, "failed", now, "ReleasedTooOften")
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

    def destroy_groups(self) -> None:
        for lane in LANES:
            for message in self.lanes[lane]:
                message.delivered = False
