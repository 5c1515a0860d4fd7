"""Short stories of keys: places, rates, unique keys, expiry."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.core.outcomes import Claimed, OutcomeKind
from tests.torture.actors import STORY_IDS, TIMINGS, SimulatedWorker
from tests.torture.ending import EndingInPeace
from tests.torture.model_parts import Options
from tests.torture.model_rates import Limits
from tests.torture.strategies import (
    KEYS,
    MINUTE_MS,
    RATE,
    delays,
    flow_keys,
    kinds,
    lanes,
    options,
    policies_of_unique,
    workers,
)


class StoryParts(EndingInPeace):
    """What stories are made of."""

    def unused(self, count: int) -> list[str]:
        """Ids that no job has: where jobs have all, those that have ended are forgotten first."""
        free = self._free_ids()
        if len(free) < count:
            self.clock.advance(days=3)
            self.history_reads(1_000)
            self.janitor_sweeps()
            free = self._free_ids()
        return free[:count] if len(free) >= count else []

    def _free_ids(self) -> list[str]:
        # A zombie may still hold what is long forgotten.
        held = {claimed.id for _, claimed in self.holders()}
        return [job_id for job_id in STORY_IDS if job_id not in self.queue.jobs and job_id not in held]

    def take(self, worker: SimulatedWorker, job_ids: list[str]) -> list[Claimed]:
        """Claim a few times, at most until these are held; those that are."""
        for _ in range(4):
            if all(job_id in worker.held for job_id in job_ids):
                break
            self.claim(worker, 4)
        return [worker.held[job_id] for job_id in job_ids if job_id in worker.held]

    def end(
        self, worker: SimulatedWorker, claimed: Claimed, kind: OutcomeKind, delay_ms: int = 1_000
    ) -> None:
        """Settle what the worker holds."""
        worker.held.pop(claimed.id, None)
        self.settle([(claimed.id, claimed.lease)], kind, delay_ms)

    def time_passes(self, ms: int, chunk: int = 64) -> None:
        """And somebody looks at the clock."""
        self.clock.advance(seconds=ms / 1000)
        self.promotes(chunk)

    def silence(self, name: str) -> None:
        """The worker's process dies; others beat until its leases have lapsed."""
        self.workers[name] = SimulatedWorker(name, self.nonce(name))
        for _ in range(4):
            self.clock.advance(seconds=TIMINGS.beat_seconds)
            self.beat(self.workers[name], starting=True)


class KeyStories(StoryParts):
    """Jobs that want the same key."""

    @rule(
        name=workers, key=st.sampled_from(KEYS), limit=st.integers(1, 2), rate=st.sampled_from([None, RATE]),
        lane=lanes, kind=kinds, times=st.integers(1, 3),
    )  # fmt: skip
    def key_is_busy(
        self, *, name: str, key: str, limit: int, rate: str | None, lane: str, kind: OutcomeKind, times: int
    ) -> None:
        """More jobs than places; as each leaves its place, in whatever way, the next one has it."""
        chosen = Options(key=key, limit=limit, rate=rate)
        self.enqueue([self.new_job(job_id, lane, options=chosen) for job_id in self.unused(4)])
        worker = self.workers[name]
        for _ in range(times):
            self.claim(worker, 3)
            for claimed in list(worker.held.values())[:2]:
                self.end(worker, claimed, kind)
            self.time_passes(1_000)

    @rule(
        name=workers, jobs=st.integers(0, 3), units=st.sampled_from([0, 100]),
        books=st.sampled_from([0, 40, 80, 300]), uses=st.sampled_from([0, 10, 90, 250]), kind=kinds,
        tenants=st.integers(1, 3), lane=lanes,
    )  # fmt: skip
    def rate_is_used_up(
        self,
        *,
        name: str,
        jobs: int,
        units: int,
        books: int,
        uses: int,
        kind: OutcomeKind,
        tenants: int,
        lane: str,
    ) -> None:
        """Starts and units within a window, booked, used and given back, by tenants in turn."""
        self.run(self.engine.limit_key(RATE, jobs=jobs, units=units, window_ms=MINUTE_MS))
        self.queue.limit(RATE, Limits(0, jobs, units, MINUTE_MS), self.now)
        for at, job_id in enumerate(self.unused(5)):
            key = [None, *KEYS][at % tenants]
            self.enqueue([self.new_job(job_id, lane, options=Options(key=key, rate=RATE, units=books))])
        worker = self.workers[name]
        for _ in range(3):
            self.claim(worker, 2)
            for claimed in list(worker.held.values()):
                if uses:
                    self.report(claimed.id, claimed.lease, "units", uses)
                    self.report(claimed.id, claimed.lease, "cost", 5 * uses)
                self.end(worker, claimed, kind)
            self.time_passes(MINUTE_MS // 2)

    @rule(key=flow_keys, name=workers, later=st.sampled_from([500, 2_000]), lane=lanes)
    def provider_asks_for_a_pause(self, key: str, name: str, later: int, lane: str) -> None:
        """One job backs off, and the others of its rate key wait as well."""
        chosen = Options(key=None if key == RATE else key, rate=RATE)
        fresh = self.unused(3)
        self.enqueue([self.new_job(job_id, lane, options=chosen) for job_id in fresh])
        worker = self.workers[name]
        for claimed in self.take(worker, fresh[:1]):
            self.end(worker, claimed, "back_off")
        self.claim(worker, 2)
        self.time_passes(later)
        self.claim(worker, 2)

    @rule(
        name=workers, first=options, delay_ms=delays, runs=st.booleans(), kind=kinds,
        policy=policies_of_unique, window_ms=st.sampled_from([0, MINUTE_MS]),
    )  # fmt: skip
    def unique_key_is_wanted(
        self,
        *,
        name: str,
        first: Options,
        delay_ms: int,
        runs: bool,
        kind: OutcomeKind,
        policy: str,
        window_ms: int,
    ) -> None:
        """By another job, while its holder stands anywhere, and when that one has ended."""
        worker, fresh = self.workers[name], self.unused(3)
        if not fresh:
            return
        holding = replace(first, unique="w", window_ms=window_ms)
        self.enqueue([self.new_job(fresh[0], options=holding)], delay_ms)
        wanting = Options(unique="w", policy=policy, window_ms=window_ms)
        if runs:
            for claimed in self.take(worker, fresh[:1]):
                self.enqueue([self.new_job(fresh[1], options=wanting)])
                self.end(worker, claimed, kind)
        self.enqueue([self.new_job(fresh[1], options=wanting)], delay_ms)
        self.clock.advance(seconds=window_ms / 1000)
        self.enqueue([self.new_job(fresh[2], options=wanting)])

    @rule(
        name=workers, chosen=options, delay_ms=delays, starts=st.booleans(), kind=kinds,
        later=st.sampled_from([500, 70_000]), claims_first=st.booleans(),
    )  # fmt: skip
    def expiry_comes(
        self,
        *,
        name: str,
        chosen: Options,
        delay_ms: int,
        starts: bool,
        kind: OutcomeKind,
        later: int,
        claims_first: bool,
    ) -> None:
        """For jobs that wait in all ways, and for one that started in time and waits again."""
        worker = self.workers[name]
        expiring = replace(chosen, expires_at=self.now + MINUTE_MS)
        fresh = self.unused(2)
        self.enqueue([self.new_job(job_id, options=expiring) for job_id in fresh], delay_ms)
        if starts:
            for claimed in self.take(worker, fresh[:1]):
                self.end(worker, claimed, kind, later)
        self.clock.advance(seconds=MINUTE_MS / 1000)
        if claims_first:
            self.claim(worker, 2)
        self.promotes()
        self.claim(worker, 2)
