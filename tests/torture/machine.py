"""The state machine: random calls of the store's scripts, each compared with the model afterwards."""

import asyncio
import copy
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import redis
from hypothesis.stateful import RuleBasedStateMachine
from redis.asyncio import Redis

from penstock.core.acceptance import AcceptedJob, accept
from penstock.core.clock import ManualClock
from penstock.core.config import QueueConfig
from penstock.core.job import TRANSITIONS, Job, JobStatus
from penstock.core.outcomes import Claim, Claimed
from penstock.core.timings import LeaseTimings
from penstock.store import engine as engine_module
from penstock.store import flow_calls
from penstock.store.connect import open_client
from penstock.store.engine import BATCH, Engine
from penstock.store.keys import QueueKeys
from tests.torture.choices import Choices
from tests.torture.compare import compare
from tests.torture.model import Queue
from tests.torture.model_claim import claim
from tests.torture.model_kin import first
from tests.torture.model_parts import SUSPECT_CRASHES, ModelJob, Options, Request, Timings
from tests.torture.observe import Snapshot, read
from tests.torture.promises import assert_promises

JOB_IDS = [f"job-{number}" for number in range(14)]
WORKERS = ["ann", "bob", "cid"]
MOST_STEPS, MOST_ENTRIES, MOST_SIGNALS, MOST_EVENTS = 3, 3, 2, 120
HISTORY = "history"
LARGE = "x" * 20_000
TIMINGS = LeaseTimings()
DEQUEUED_MS = 60_000
DAY_MS = 86_400_000

Answer = TypeVar("Answer")
Edge = tuple[str, str]

#: Every move seen by any machine of this process, and every code that a script answered.
EDGES: Counter[Edge] = Counter()
CODES: Counter[str] = Counter()


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


@dataclass
class Steering:
    """All queues within reach, each of which is the one queue of the machine."""

    home: Engine

    def engine(self, _: str) -> Engine:
        """The engine of a queue."""
        return self.home


class QueueMachineBase(RuleBasedStateMachine):
    """Calls, and what has to hold after each. The rules are in the subclass."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = cast("Redis", open_client(self.url))
        # Looking is most of the work, and needs no loop.
        self.eyes = redis.Redis.from_url(self.url)
        self.run(self.client.flushall())
        self.clock = ManualClock()
        config = QueueConfig(max_job_ttl_days=1, dead_letter_ttl_days=2, event_groups=(HISTORY,))
        # Fewer than settings allow, so that a search gets there.
        config = config.model_copy(update={"max_events": MOST_EVENTS, "compress_above_bytes": 1_048_576})
        self.keys = QueueKeys(config.key_prefix, "q")
        self.engine = Engine(self.client, self.keys, config, TIMINGS, self.clock)
        self._bounds = engine_module.MOST_STEPS, flow_calls.MOST_ENTRIES, flow_calls.MOST_SIGNALS
        self._bound(MOST_STEPS, MOST_ENTRIES, MOST_SIGNALS)
        timings = Timings(
            TIMINGS.lease_ms, TIMINGS.beat_ms, config.ttl_ms, config.dead_letter_ttl_ms,
            MOST_STEPS, MOST_ENTRIES, MOST_SIGNALS, MOST_EVENTS,
        )  # fmt: skip
        self.queue = Queue(timings)
        self.run(self._make_event_group())
        self.serial = 0
        self.workers = {name: SimulatedWorker(name, self.nonce(name)) for name in WORKERS}
        self.given: list[tuple[str, str]] = []
        self.specs: dict[str, AcceptedJob] = {}
        self.history_read = 0
        self.before: dict[str, dict[str, str]] = {}

    def teardown(self) -> None:
        self.eyes.close()
        self.run(self.client.aclose())
        self.loop.close()
        self._bound(*self._bounds)

    def _bound(self, steps: int, entries: int, signals: int) -> None:
        engine_module.MOST_STEPS = steps
        flow_calls.MOST_ENTRIES = entries
        flow_calls.MOST_SIGNALS = signals

    def run(self, call: Awaitable[Answer]) -> Answer:
        return self.loop.run_until_complete(call)

    def nonce(self, name: str) -> str:
        self.serial += 1
        return f"{name}:n{self.serial}"

    @property
    def now(self) -> int:
        return self.clock.now_ms

    @property
    def failed(self) -> bool:
        """Whether the example has failed already: the machine is being torn down for it."""
        return sys.exc_info()[0] is not None

    async def _make_event_group(self) -> None:
        await cast("Any", self.client).xgroup_create(self.keys.events, HISTORY, "0", mkstream=True)

    # Looking.

    def look(self) -> Snapshot:
        return read(self.eyes, self.keys, self.engine.config.consumer_group)

    def check(self) -> None:
        """The server against the model, and the moves since the last look against the table."""
        seen = self.look()
        compare(self.queue, seen)
        self._check_all(seen)

    def agree(self, verb: Callable[[Queue], None]) -> None:
        """As `check`, after a verb of the model that may have to guess an order which the store chose."""
        seen = self.look()
        choices = Choices(seen)
        is_sure = not choices.may_branch(self.queue)
        failure: AssertionError | None = None
        while True:
            trial = self.queue if is_sure else copy.deepcopy(self.queue)
            trial.choose = choices.begin()
            try:
                verb(trial)
                compare(trial, seen)
                break
            except AssertionError as error:
                failure = failure or error
                if is_sure or not choices.go_on():
                    raise failure from None
        self.queue = trial
        self.queue.choose = first
        self._check_all(seen)

    def _check_all(self, seen: Snapshot) -> None:
        assert_promises(self.queue, seen.bell)
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
        hashes = seen.hashes
        for job_id, content in hashes.items():
            was = self.before.get(job_id, {})
            old, new = was.get("status", "none"), content.get("status", "none")
            taken_over = old == new == "processing" and was.get("lease") != content.get("lease")
            if old != new or taken_over:
                self._check_move(job_id, old, new)
        self.before = hashes

    def _check_move(self, job_id: str, old: str, new: str) -> None:
        known = {status.value for status in JobStatus}
        # A hash that was damaged or is new shows no move of the store's.
        if old in known and new in known:
            EDGES[old, new] += 1
            assert JobStatus(new) in TRANSITIONS[JobStatus(old)], f"{job_id}: {old} → {new} is no transition"

    def same(self, script: str, found: Any, meant: Any) -> None:
        """Codes as the model gives them; noted for the report."""
        for code in found if isinstance(found, list) else [found]:
            CODES[f"{script}: {str(code).split(' ')[0]}"] += 1
        assert found == meant, f"{script} answered {found}, meant {meant}"

    # Calls.

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
        """One holding. Rules look themselves what they can do: what is held may hang on an order the store chose."""
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
