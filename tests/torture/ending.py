"""The end of every example: left in peace, each job comes to its end, and in time nothing is left of it."""

from tests.torture.actors import TIMINGS
from tests.torture.model_rates import Limits
from tests.torture.rules_cron import CronRules
from tests.torture.strategies import KEYS, RATE

MOST_ROUNDS = 60
#: What may stand when all jobs are forgotten, by how the names begin: docs/keys.md says when each goes.
LEFT = {
    "stream", "counts", "credits", "dlq", "events", "crossings", "workers", "bell", "pulse", "amnesty",
    "claim", "usage", "starts", "booked", "spent", "unique", "cron", "cron_due",
}  # fmt: skip


class EndingInPeace(CronRules):
    """Works off what an example left, with the same calls as ever, each compared."""

    def teardown(self) -> None:
        try:
            if not self.failed:
                self._work_off()
                self._forget_all()
        finally:
            super().teardown()

    def _work_off(self) -> None:
        self.pauses(False)
        queue = self.queue
        delayed = [job.due for job in queue.jobs.values() if job.due is not None]
        ahead = max(
            [self.now, *delayed, *queue.scheduled.values(), *queue.timers.values(), *queue.leases.values()]
        )
        self.clock.advance(seconds=(ahead - self.now) / 1000)
        for key in (*KEYS, RATE):
            self.run(self.engine.limit_key(key))
            self.queue.limit(key, Limits(), self.now)
            self.pauses_key(key, 0)
        # Whatever was damaged is met, and places that it held of keys are found.
        self.auditor_visits_all()
        for _ in range(MOST_ROUNDS):
            # At least once: a claim also clears away what destroyed jobs left in lines.
            self._work_a_little()
            if self._is_over():
                return
        stuck = [job for job in self.queue.jobs.values() if not job.ended]
        raise AssertionError(f"these never end: {stuck}, {self.queue.fanout}, {self.queue.timers}")

    def _is_over(self) -> bool:
        queue = self.queue
        return all(job.ended for job in queue.jobs.values()) and not queue.fanout and not queue.timers

    def _work_a_little(self) -> None:
        worker = self.workers["ann"]
        # With beats between: after a silence, nothing would be taken over.
        for _ in range(4):
            self.clock.advance(seconds=TIMINGS.beat_seconds)
            self.beat(worker, starting=True)
        self.promotes()
        self.ferry_carries()
        for job_id, awaited in [(job.id, job.awaits) for job in self.queue.jobs.values()]:
            is_asleep = awaited and self.queue.jobs[job_id].status == "suspended"
            if is_asleep and self.signal(job_id, awaited.partition("#")[0]) == "full":
                self.cancels([job_id])
        worker.unanswered = False
        self.claim(worker, 20)
        leases = [(claimed.id, claimed.lease) for claimed in worker.held.values()]
        worker.held.clear()
        if leases:
            self.settle(leases, "complete")

    def _forget_all(self) -> None:
        for _ in range(3):
            self.clock.advance(days=4)
            self.history_reads(1_000)
            # Places that are still held in the name of destroyed jobs.
            self.auditor_visits_all()
            self.janitor_sweeps()
        left = {name for name in self.look().keys if name.partition(":")[0] not in LEFT}
        assert not left, f"these are left when every job is forgotten: {left}"
