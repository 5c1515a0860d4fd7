"""The calls of the state machine: each script as workers and callers use it, held against the model."""

from collections.abc import Sequence
from typing import Any, cast

from penstock.core.acceptance import AcceptedJob, accept
from penstock.core.job import Job
from penstock.core.outcomes import Claim, Claimed
from penstock.store.script_calls import BATCH
from tests.torture.actors import DEQUEUED_MS, LARGE, TIMINGS, WORKERS, SimulatedWorker
from tests.torture.looking import Looking
from tests.torture.model import Queue
from tests.torture.model_claim import claim
from tests.torture.model_parts import ModelJob, Options, Request


class QueueMachineBase(Looking):
    """Calls of scripts. The rules are in the subclasses."""

    def new_job(
        self, job_id: str, lane: str = "normal", *, recorded: bool = False, attempts: int = 3,
        apart: bool = False, options: Options | None = None,
    ) -> tuple[AcceptedJob, ModelJob]:  # fmt: skip
        """One job for the store and for the model."""
        options = options or Options()
        priority = {"high": 1, "normal": 0, "low": -1}[lane]
        job = Job(
            id=job_id, payload=LARGE if apart else {"n": 1}, max_attempts=attempts, record=recorded,
            **options.job_fields(),
        )  # fmt: skip
        accepted = accept(job, priority, {}, self.engine.config.ttl_ms)
        return accepted, ModelJob(job_id, lane, recorded, attempts, apart, options)

    def enqueue(
        self,
        pairs: Sequence[tuple[AcceptedJob, ModelJob]],
        delay_ms: int = 0,
        under: tuple[str, str] | None = None,
    ) -> list[str]:
        """All in one call; `under` the lease of the job that makes them, if one does."""
        jobs, fresh = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        if under is None:
            codes = self.run(self.engine.enqueue(jobs, delay_ms))
            self.same("enqueue", codes, self.queue.enqueue(fresh, delay_ms, self.now))
        else:
            codes = self.run(self.engine.enqueue_children(*under, jobs, delay_ms))
            meant = self.queue.enqueue_children(*under, fresh, delay_ms, self.now)
            self.same("enqueue_children", codes, meant)
        for job, code in zip(jobs, codes, strict=True):
            if code == "ok":
                self.specs[job.id] = job
        self.check()
        return codes

    def claim(
        self,
        worker: SimulatedWorker,
        count: int,
        *,
        lost_reply: bool = False,
        again: bool = False,
        unrenewed: bool = False,
    ) -> None:
        """One claim; after a lost reply a worker can only ask again."""
        if again or worker.unanswered:
            assert worker.last is not None
            request = worker.last
        else:
            self.serial += 1
            lease_ms = DEQUEUED_MS if unrenewed else TIMINGS.lease_ms
            request = Request(worker.incarnation, f"r{self.serial}", count, worker.seats, lease_ms, unrenewed)
        worker.last, worker.unanswered = request, lost_reply
        repeated = self.queue.claims.get(worker.incarnation, ("",))[0] == request.id
        got = self.run(
            self.engine.claim(
                request.consumer,
                request.id,
                request.count,
                suspect_seats=request.seats,
                unrenewed_ms=request.lease_ms if request.unrenewed else None,
            )
        )
        if not lost_reply:
            worker.held.update({claimed.id: claimed for claimed in got.jobs})
        self.agree(lambda queue: self._claim_in(queue, request, got))
        bell = self.run(cast("Any", self.client).llen(self.keys.bell))
        assert bell or not self.queue.seated, "suspects wait, and no idle worker is woken"
        for claimed in got.jobs:
            lease = (claimed.id, claimed.lease)
            assert repeated or lease not in self.given, f"lease {lease} was given before"
            if lease not in self.given:
                self.given.append(lease)

    def _claim_in(self, queue: Queue, request: Request, got: Claim) -> None:
        meant = claim(queue, request, self.now)
        found = [claimed.id for claimed in got.jobs]
        assert found == meant.jobs, f"claimed {found}, meant {meant.jobs}"
        for claimed in got.jobs:
            job = queue.jobs[claimed.id]
            assert claimed == Claimed(
                job.id, job.lease or "", self.specs[job.id].spec, job.attempt, job.crashes, len(job.steps)
            )
        times = got.lapse_in_ms, got.due_in_ms
        assert times == (meant.lapse_in_ms, meant.due_in_ms), f"told {times}, meant {meant}"

    def beat(self, worker: SimulatedWorker, *, starting: bool = False) -> None:
        leases = [(claimed.id, claimed.lease) for claimed in worker.held.values()]
        for at in range(0, max(len(leases), 1), BATCH):
            batch = leases[at : at + BATCH]
            got = self.run(self.engine.renew(worker.name, worker.incarnation, "{}", batch, starting=starting))
            meant = self.queue.renew(worker.name, worker.incarnation, batch, self.now, starting=starting)
            assert (got.superseded, got.lost, got.cancelled) == meant
            for job_id in got.lost:
                worker.held.pop(job_id, None)
        self.check()

    def call(self, name: str, **once: Any) -> Any:
        return self.run(self.engine.call(name, once))

    def call_each(self, name: str, ids: Sequence[str], **once: Any) -> list[str]:
        """A script that takes ids, and its codes."""
        return [
            code.decode() for code in self.run(self.engine.call(name, once, [(job_id,) for job_id in ids]))
        ]

    def holders(self) -> list[tuple[SimulatedWorker, Claimed]]:
        """Every holding of every worker, in a stable order."""
        return [(worker, claimed) for worker in self.workers.values() for claimed in worker.held.values()]

    def held(self, pick: int) -> tuple[SimulatedWorker, Claimed] | None:
        """One holding, of a claim made now if there was none.

        No rule has a precondition: what is held may hang on an order that the store chose, so that an
        example would not be the same each time.
        """
        if not self.holders():
            self.claim(self.workers[WORKERS[0]], 3)
        holders = self.holders()
        return holders[pick % len(holders)] if holders else None

    def stale_leases(self) -> list[tuple[str, str]]:
        """Leases of jobs that run under another one by now."""
        jobs = self.queue.jobs
        return [
            (job_id, lease)
            for job_id, lease in self.given
            if job_id in jobs and jobs[job_id].status == "processing" and jobs[job_id].lease != lease
        ]
