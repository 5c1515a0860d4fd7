"""One story in which the scripts of flow control give every answer they have."""

from tests.torture.actors import MOST_ENTRIES, MOST_EVENTS, MOST_SIGNALS, SimulatedWorker
from tests.torture.model_parts import Options
from tests.torture.rules_flow import ABROAD
from tests.torture.stories import QueueMachine

#: What is answered besides the statuses of jobs.
ANSWERS = {
    "enqueue": {"ok", "kept", "backlog", "orphan", "unjoinable", "circular", "unique", "rejected"},
    "enqueue_children": {"ok", "kept", "lost"},
    "emit": {"ok", "cancel", "lost", "full"},
    "usage": {"ok", "cancel", "lost"},
    "watch": {"gone"},
    "signal": {"woken", "stored", "ended", "gone", "full"},
    "settle": {"ok", "already", "lost", "gone", "corrupt"},
    "link": {"linked", "gone"},
    "tell": {"ready", "waiting", "ended", "known"},
    "requeue": {"ok", "gone", "damaged", "unique"},
    "discard": {"ok", "gone", "corrupt", "unread", "untold"},
    "fork": {"ok", "kept", "gone"},
    "schedule": {"ok", "kept", "again", "gone"},
    "fire": {"fired", "taken", "changed", "backlog"},
}


class AnsweringMachine(QueueMachine):
    """A queue that is asked everything, in an order that leads to every answer."""

    def hears_every_answer(self) -> None:
        """All of it, one queue."""
        self._are_accepted()
        self._run()
        self._are_told_by_families()
        self._are_put_back()
        self._come_again()
        self._are_too_many()

    def _add(self, job_id: str, *, recorded: bool = False, **options: object) -> list[str]:
        chosen = Options(**options)  # type: ignore[arg-type]
        return self.enqueue([self.new_job(job_id, recorded=recorded, options=chosen)])

    def _are_accepted(self) -> None:
        self._add("job-0", unique="u")
        self._add("job-0")
        self._add("job-1", parents=("nobody",))
        self._add("job-1", joins=("nobody",))
        self._add("job-1", unique="u")
        self._add("job-1", unique="u", policy="reject")

    def _run(self) -> None:
        worker, nobody = self.workers["ann"], ("job-0", "1:nothing")
        (claimed,) = self.take(worker, ["job-0"])
        held = claimed.id, claimed.lease
        child = [self.new_job("job-1", options=Options(parents=("job-0",), on_failure="run"))]
        for under in (held, held, nobody):
            self.enqueue(child, under=under)
        for lease in [held] * (MOST_ENTRIES + 1) + [nobody]:
            self.emit(*lease)
        self.report(*held, "units", 5)
        self.report(*nobody, "units", 5)
        for job_id in ("job-0", "job-1", "nobody"):
            self.watch(job_id)
        self.settle([held], "suspend", -1, awaited="go#0")
        self.settle([held, nobody, ("nobody", "1:nothing")], "complete")
        self.signal("job-0", "go")
        for _ in range(2 * MOST_SIGNALS):
            self.signal("job-0", "stop")
        self.signal("nobody", "go")
        self._is_cancelled_while_it_runs(worker)

    def _is_cancelled_while_it_runs(self, worker: SimulatedWorker) -> None:
        (claimed,) = self.take(worker, ["job-0"])
        held = claimed.id, claimed.lease
        self._add("job-2")
        (other,) = self.take(worker, ["job-2"])
        self.cancels(["job-2"])
        self.emit(other.id, other.lease)
        self.report(other.id, other.lease, "cost", 5)
        self.end(worker, other, "cancel")
        self.damage("job-0", "attempt")
        self.settle([held], "complete")
        worker.held.clear()
        self.signal("job-0", "go")

    def _are_told_by_families(self) -> None:
        worker = self.workers["ann"]
        for job_id in ("job-3", "job-4"):
            self._add(job_id)
        self._add("job-5", parents=(f"{ABROAD}job-3", f"{ABROAD}job-4"), on_failure="run")
        self._add("job-6", parents=(f"{ABROAD}job-4",))
        self._link("job-5")
        for claimed in self.take(worker, ["job-3", "job-4"]):
            self.end(worker, claimed, "fail" if claimed.id == "job-4" else "complete")
        # Told by those who link them, and by a ferry that comes second.
        for child in ("job-5", "job-6"):
            self._link(child)
        self.time_passes(0)
        self.ferry_carries()
        self._link("job-5")
        self._add("job-7", parents=(f"{ABROAD}nobody",))
        self._link("job-7")

    def _are_put_back(self) -> None:
        worker = self.workers["bob"]
        self._add("job-8", recorded=True, unique="w")
        self._add("job-9", parents=("job-8",), on_failure="run")
        self._add("story-8", parents=("job-9",))
        self._add("story-9", parents=("story-8",), joins=("job-9",))
        self.cancels(["story-8"])
        (claimed,) = self.take(worker, ["job-8"])
        self.end(worker, claimed, "fail")
        self.discard(["job-8", "nobody"])
        self.history_reads(1_000)
        self.janitor_sweeps()
        self.discard(["job-8"])
        self.time_passes(0)
        self._add("job-10", unique="w")
        self.requeue(["job-8", "job-0", "nobody", "job-10"])
        self.cancels(["job-10"])
        self.requeue(["job-8"])
        self.forks("job-8", "job-11", "read", "go#0", key=False)
        self.forks("job-8", "job-11", "read", "go#0", key=False)
        self.forks("nobody", "story-1", "read", "go#0", key=False)
        self.damage("job-11", "attempt")
        self.discard(["job-11", "job-0"])

    def _come_again(self) -> None:
        for action in ("put", "put", "pause", "resume", "remove", "remove"):
            self.schedules(action, "hourly", 1, 60_000, begins_paused=False)
        for meanwhile in ("nothing", "put", "clock"):
            self.slot_comes(
                name="nightly",
                chosen=Options(),
                late_ms=5_000,
                again=True,
                meanwhile=meanwhile,
                fresh=["story-0"],
            )
        self.schedules("resume", "nightly", 1, 600_000, begins_paused=False)

    def _are_too_many(self) -> None:
        worker = self.workers["cid"]
        self._add("story-2", recorded=True)
        (claimed,) = self.take(worker, ["story-2"])
        while len(self.queue.events) < MOST_EVENTS:
            self._note_progress(claimed.id, claimed.lease)
        self._add("story-3", recorded=True)
        seen = self.queue.cron_due["nightly"]
        pairs = [self.new_job("story-3", recorded=True)]
        self.fire("nightly", self.queue.cron["nightly"].body, pairs, seen, seen + 1_000)
