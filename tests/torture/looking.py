"""A queue on a server and its model side by side, and the comparison after every call."""

import asyncio
import copy
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import redis
import redis.asyncio
from hypothesis.stateful import RuleBasedStateMachine

from penstock.core.acceptance import AcceptedJob
from penstock.core.clock import ManualClock
from penstock.core.config import QueueConfig
from penstock.core.job import TRANSITIONS, JobStatus
from penstock.store import engine as engine_module
from penstock.store import flow_calls
from penstock.store.connect import open_client
from penstock.store.engine import Engine
from penstock.store.keys import QueueKeys
from tests.torture.actors import (
    CODES,
    EDGES,
    HISTORY,
    MOST_ENTRIES,
    MOST_EVENTS,
    MOST_SIGNALS,
    MOST_STEPS,
    TIMINGS,
    WORKERS,
    SimulatedWorker,
)
from tests.torture.choices import Choices
from tests.torture.compare import compare
from tests.torture.model import Queue
from tests.torture.model_kin import first
from tests.torture.model_parts import Timings
from tests.torture.observe import Snapshot, read
from tests.torture.promises import assert_promises

Answer = TypeVar("Answer")


class Looking(RuleBasedStateMachine):
    """A queue on the server and in the model, and what has to hold of both after each call."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = cast("redis.asyncio.Redis", open_client(self.url))
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
        self.leaves_to_janitor = False
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
