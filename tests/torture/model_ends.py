"""Ways out of a state in the model, and the end of a job with all that it lets go of."""

from tests.torture.model_lines import Lines
from tests.torture.model_parts import ENDED, ModelJob


class Ends(Lines):
    """Leaving, becoming ready, ending, being set aside."""

    def leave(self, job: ModelJob) -> None:
        """Take the job from where it stands."""
        if job.status == "suspended":
            del self.index["suspended"][job.id]
            self.timers.pop(f"job {job.id}", None)
        elif job.status == "waiting":
            del self.index["waiting"][job.id]
            self.parents.pop(job.id, None)
            self.leave_line(job)
        elif job.status in ("pending", "processing"):
            self.remove_message(job.message)
            self.leases.pop(job.id, None)
        else:
            self.scheduled.pop(job.id, None)

    def make_ready(self, job: ModelJob, now: int) -> None:
        """On its lane, or in its key's line; it stands nowhere now."""
        if job.options.line_key is not None:
            self.stand_in_line(job)
            self.index["waiting"][job.id] = now
            self.move(job, "waiting")
            return
        self.add_message(job, "suspects" if job.is_suspect else job.lane)
        self.move(job, "pending")

    def finish(self, job: ModelJob, status: str, now: int, error: str | None = None) -> None:
        self.leave(job)
        self.let_go(job, status, now)
        if error is not None:
            job.error = error
        self.record(job, status)
        self.move(job, status)
        own = job.options.keep_ms
        self.index[status][job.id] = (
            now if own is None or status == "failed" else now + own - self.timings.ttl
        )
        if status == "failed":
            job.letter = True
            self.letters.append(job.id)

    def let_go(self, job: ModelJob, status: str, now: int) -> None:
        """Its place, its unique key, its expiry; its children and followers are told."""
        self.free_place(job)
        self.free_unique(job, now)
        if job.late:
            self.timers.pop(f"late {job.id}", None)
        if job.bears:
            self.fanout.append(job.id)
        if job.watched:
            self.live.setdefault(job.id, []).append(("end", status.encode()))

    def unique_holder(self, key: str, now: int) -> str | None:
        """Who holds the key: within its window anybody, else a job that has not ended."""
        if key not in self.unique:
            return None
        job_id, until = self.unique[key]
        job = self.jobs.get(job_id)
        is_live = job is not None and job.damage != "type" and job.status not in ENDED
        return job_id if until > now or is_live else None

    def free_unique(self, job: ModelJob, now: int) -> None:
        key = job.options.unique
        if key is None or key not in self.unique:
            return
        holder, until = self.unique[key]
        if holder == job.id and until <= now:
            del self.unique[key]

    def charge_crash(self, job: ModelJob, now: int) -> bool:
        """Whether the job goes on."""
        if job.cancel:
            self.finish(job, "cancelled", now)
            return False
        job.crashes += 1
        if job.crashes >= max(3, job.max_attempts):
            self.finish(job, "failed", now, "WorkerDied")
            return False
        self.record(job, "crashed")
        return True

    def seat_among_suspects(self, job: ModelJob) -> None:
        self.leave(job)
        self.add_message(job, "suspects")
        job.lease = ""
        self.move(job, "pending")
        self.seated += 1

    def quarantine(self, job: ModelJob, guess: str | None, now: int) -> None:
        """Set aside; counted under what its hash says, or where it was found if that is unreadable.

        What a readable hash says that it holds is let go. A key's place that an unreadable one held is
        found by the auditor.
        """
        counted_as = job.status if job.damage == "attempt" else guess
        if counted_as is not None:
            self.counts[counted_as] -= 1
        self.counts["failed"] += 1
        self.drifted |= counted_as != job.status
        if job.damage == "type":
            job.recorded, job.last_event = False, None
            self.blind = True
            if job.id in self.children:
                self.fanout.append(job.id)
        else:
            self.remove_message(job.message)
            self.leave_line(job)
            self.let_go(job, "failed", now)
        job.attempt, job.crashes, job.releases, job.lease = 0, 0, 0, None
        job.status, job.quarantined, job.letter, job.damage = "failed", True, True, None
        job.error = "damaged"
        self.record(job, "failed")
        self.leases.pop(job.id, None)
        self.scheduled.pop(job.id, None)
        self.index["waiting"].pop(job.id, None)
        self.index["suspended"].pop(job.id, None)
        self.parents.pop(job.id, None)
        for kind in ("job", "late"):
            self.timers.pop(f"{kind} {job.id}", None)
        self.index["failed"][job.id] = now
        self.letters.append(job.id)
