"""The state machine: random calls of the store's scripts, each compared with the model afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from hypothesis.stateful import RuleBasedStateMachine
from redis.asyncio import Redis

from penstock.core.acceptance import AcceptedJob, accept
from penstock.core.clock import ManualClock
from penstock.core.config import QueueConfig
from penstock.core.job import TRANSITIONS, Job, JobStatus
from penstock.core.outcomes import Claim, Claimed
from penstock.core.timings import LeaseTimings
from penstock.store import engine as engine_module
from penstock.store.connect import open_client
from penstock.store.engine import BATCH, Engine
from penstock.store.keys import QueueKeys
from tests.torture.model import Queue
from tests.torture.model_claim import claim
from tests.torture.model_parts import SUSPECT_CRASHES, ModelJob, Request, Timings
from tests.torture.observe import Snapshot, compare, read

JOB_IDS = [f"job-{number}" for number in range(12)]
WORKERS = ["ann", "bob", "cid"]
MOST_STEPS = 3
HISTORY = "history"
LARGE = "x" * 20_000
TIMINGS = LeaseTimings()
DEQUEUED_MS = 60_000

Answer = TypeVar("Answer")
Edge = tuple[str, str]

#: Every move seen by any machine of this process.
EDGES: Counter[Edge] = Counter()


@dataclass
class SimulatedWorker:
    """What a worker process knows."""

    name: str
    incarnation: str
    held: dict[str, Claimed] = field(default_factory=dict)
    last: Request | None = None
    unanswered: bool = False

    @property
    def seats(self) -> int:
        return 0 if any(claimed.crashes >= SUSPECT_CRASHES for claimed in self.held.values()) else 1


class QueueMachineBase(RuleBasedStateMachine):
    """Calls, and what has to hold after each. The rules are in the subclass."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = cast("Redis", open_client(self.url))
        self.run(self.client.flushall())
        self.clock = ManualClock()
        config = QueueConfig(max_job_ttl_days=1, event_groups=(HISTORY,), compress_above_bytes=1_048_576)
        self.keys = QueueKeys(config.key_prefix, "q")
        self.engine = Engine(self.client, self.keys, config, TIMINGS, self.clock)
        engine_module.MOST_STEPS = MOST_STEPS
        self.queue = Queue(Timings(TIMINGS.lease_ms, TIMINGS.beat_ms, config.ttl_ms, MOST_STEPS))
        self.run(self._make_event_group())
        self.serial = 0
        self.workers = {name: SimulatedWorker(name, self.nonce(name)) for name in WORKERS}
        self.given: list[tuple[str, str]] = []
        self.specs: dict[str, AcceptedJob] = {}
        self.history_read = 0
        self.before: dict[str, dict[str, str]] = {}

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.loop.close()
        engine_module.MOST_STEPS = 1000

    def run(self, call: Awaitable[Answer]) -> Answer:
        return self.loop.run_until_complete(call)

    def nonce(self, name: str) -> str:
        self.serial += 1
        return f"{name}:n{self.serial}"

    @property
    def now(self) -> int:
        return self.clock.now_ms

    async def _make_event_group(self) -> None:
        await cast("Any", self.client).xgroup_create(self.keys.events, HISTORY, "0", mkstream=True)

    # Looking.

    def look(self) -> Snapshot:
        return self.run(read(self.client, self.keys, self.engine.config.consumer_group))

    def check(self, seen: Snapshot | None = None) -> None:
        """The server against the model, and the moves since the last look against the table."""
        seen = seen or self.look()
        compare(self.queue, seen)
        self._check_suspects()
        self._check_moves(seen)

    def _check_suspects(self) -> None:
        for worker in self.workers.values():
            running = [
                job.id
                for job in self.queue.jobs.values()
                if job.is_suspect
                and self.queue.running(job.id, job.lease or "")
                and job.holder == worker.incarnation
                and job.id in worker.held
            ]
            assert len(running) <= 1, f"{worker.name} runs several suspects: {running}"

    def _check_moves(self, seen: Snapshot) -> None:
        for job_id, content in seen.hashes.items():
            was = self.before.get(job_id, {})
            old, new = was.get("status", "none"), content.get("status", "none")
            taken_over = old == new == "processing" and was.get("lease") != content.get("lease")
            if old != new or taken_over:
                self._check_move(job_id, old, new)
        self.before = seen.hashes

    def _check_move(self, job_id: str, old: str, new: str) -> None:
        known = {status.value for status in JobStatus}
        # A hash that was damaged or is new shows no move of the store's.
        if old in known and new in known:
            EDGES[old, new] += 1
            assert JobStatus(new) in TRANSITIONS[JobStatus(old)], f"{job_id}: {old} → {new} is no transition"

    # Calls.

    def enqueue(
        self, ids: Sequence[str], lane: str, delay_ms: int, *, recorded: bool, attempts: int, apart: bool
    ) -> None:
        priority = {"high": 1, "normal": 0, "low": -1}[lane]
        jobs = [
            accept(
                Job(id=job_id, payload=LARGE if apart else {"n": 1}, max_attempts=attempts, record=recorded),
                priority,
                {},
            )
            for job_id in ids
        ]
        answers = self.run(self.engine.enqueue(jobs, delay_ms))
        for job, answer in zip(jobs, answers, strict=True):
            fresh = ModelJob(job.id, lane, recorded, attempts, apart)
            assert answer == self.queue.enqueue(fresh, delay_ms, self.now)
            if answer == "ok":
                self.specs[job.id] = job
        self.check()

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
        seen = self.look()
        expected = claim(self.queue, request, self.now, seen.read_to)
        answered = [claimed.id for claimed in got.jobs]
        assert expected.accepts(answered), f"claimed {answered}, expected {expected}"
        if answered and not repeated:
            self.queue.claims[worker.incarnation] = (request.id, answered)
        self._check_claimed(got, request, repeated=repeated)
        assert seen.bell or not self.queue.seated, "suspects wait, and no idle worker is woken"
        if not lost_reply:
            worker.held.update({claimed.id: claimed for claimed in got.jobs})
        self.check(seen)

    def _check_claimed(self, got: Claim, request: Request, *, repeated: bool) -> None:
        for claimed in got.jobs:
            job = self.queue.jobs[claimed.id]
            assert claimed == Claimed(
                job.id, job.lease or "", self.specs[job.id].spec, job.attempt, job.crashes, len(job.steps)
            )
            lease = (claimed.id, claimed.lease)
            assert repeated or lease not in self.given, f"lease {lease} was given before"
            if lease not in self.given:
                self.given.append(lease)
        if repeated or len(got.jobs) >= request.count:
            assert (got.lapse_in_ms, got.due_in_ms) == (None, None)
            return
        leases, due = self.queue.leases.values(), self.queue.scheduled.values()
        lapse = max(min(leases), self.queue.spared_until, self.now) - self.now if leases else None
        assert got.lapse_in_ms == lapse
        assert got.due_in_ms == (max(min(due) - self.now, 0) if due else None)

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

    def holders(self) -> list[tuple[SimulatedWorker, Claimed]]:
        """Every holding of every worker, in a stable order."""
        return [(worker, claimed) for worker in self.workers.values() for claimed in worker.held.values()]

    def stale_leases(self) -> list[tuple[str, str]]:
        """Leases of jobs that run under another one by now."""
        jobs = self.queue.jobs
        return [
            (job_id, lease)
            for job_id, lease in self.given
            if job_id in jobs and jobs[job_id].status == "processing" and jobs[job_id].lease != lease
        ]
