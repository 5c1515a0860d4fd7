"""Short stories of flow: what single rules would seldom bring together."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.core.outcomes import Claimed, OutcomeKind
from tests.torture.ending import EndingInPeace
from tests.torture.machine import JOB_IDS, TIMINGS, SimulatedWorker
from tests.torture.model_parts import Options
from tests.torture.model_rates import Limits
from tests.torture.rules import (
    KEYS,
    RATE,
    STEP_NAMES,
    counts,
    damages,
    delays,
    ids,
    kinds,
    lanes,
    options,
    picks,
    workers,
)
from tests.torture.rules_flow import MINUTE_MS, flow_keys, policies, signal_names

endings = st.sampled_from(["complete", "complete", "fail", "cancel", "retry", "lapse"])
chunks = st.sampled_from([1, 2, 64])


class FlowStories(EndingInPeace):
    """Keys, families, waits and what became of them."""

    def unused(self, most: int) -> list[str]:
        """Ids that no job has."""
        return [job_id for job_id in JOB_IDS if job_id not in self.queue.jobs][:most]

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

    @rule(
        name=workers, key=st.sampled_from(KEYS), limit=st.integers(1, 2), rate=st.sampled_from([None, RATE]),
        lane=lanes, kind=kinds, times=st.integers(1, 3),
    )  # fmt: skip
    def key_is_busy(
        self, name: str, key: str, limit: int, rate: str | None, lane: str, kind: OutcomeKind, times: int
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
        name=workers, by=workers, children=st.lists(options, min_size=1, max_size=4), policy=policies, ending=endings,
        delay_ms=delays, chunk=chunks, tells_first=st.booleans(), expires=st.booleans(),
    )  # fmt: skip
    def family_is_told(
        self, name: str, by: str, children: list[Options], policy: str, ending: OutcomeKind, delay_ms: int, chunk: int,
        tells_first: bool, expires: bool,
    ) -> None:  # fmt: skip
        """A parent ends, and its children hear of it in chunks, from a claim or a look at the clock."""
        names = self.unused(len(children) + 1)
        if len(names) < 2:
            return
        parent, *rest = names
        self.enqueue([self.new_job(parent, attempts=1)])
        expires_at = self.now + MINUTE_MS if expires else None
        for child, chosen in zip(rest, children, strict=False):
            its_options = replace(chosen, parents=(parent,), on_failure=policy, expires_at=expires_at)
            self.enqueue([self.new_job(child, options=its_options)], delay_ms)
        for claimed in self.take(self.workers[name], [parent]):
            self.end(self.workers[name], claimed, ending, 0)
        if tells_first:
            self.time_passes(0, chunk)
        self.claim(self.workers[by], 4)
        self.time_passes(delay_ms, chunk)
        self.claim(self.workers[by], 4)

    @rule(
        name=workers, chosen=options, signal=signal_names, comes_first=st.booleans(), delay_ms=st.sampled_from([-1, 5_000]),
        then=st.sampled_from(["signal", "time", "cancel", "damage", "nothing"]), damage=damages,
    )  # fmt: skip
    def job_awaits_a_signal(
        self,
        name: str,
        chosen: Options,
        signal: str,
        comes_first: bool,
        delay_ms: int,
        then: str,
        damage: str,
    ) -> None:
        """One that came before, one that comes, a time that passes, or an end."""
        worker, waits = self.workers[name], self.unused(1)
        if not waits or "ok" not in self.enqueue([self.new_job(waits[0], options=chosen)]):
            return
        for claimed in self.take(worker, waits):
            if comes_first:
                self.signal(claimed.id, signal)
            del worker.held[claimed.id]
            self.settle([(claimed.id, claimed.lease)], "suspend", delay_ms, awaited=f"{signal}#0")
            if then == "cancel":
                self.cancels([claimed.id])
            elif then == "signal":
                self.signal(claimed.id, signal)
            elif then == "damage":
                self.damage(claimed.id, damage)
        if then != "nothing":
            self.time_passes(5_000)
            self.claim(worker, 4)

    @rule(
        name=workers, jobs=st.integers(0, 3), units=st.sampled_from([0, 100]), books=st.sampled_from([0, 40, 80, 300]),
        uses=st.sampled_from([0, 10, 90, 250]), kind=kinds, tenants=st.integers(1, 3), lane=lanes,
    )  # fmt: skip
    def rate_is_used_up(
        self,
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
                self.end(worker, claimed, kind)
            self.time_passes(MINUTE_MS // 2)

    @rule(name=workers, chosen=options, steps=st.integers(0, 3), kind=kinds, watched=st.booleans())
    def dead_letter_lives_again(
        self, name: str, chosen: Options, steps: int, kind: OutcomeKind, watched: bool
    ) -> None:
        """It fails, is put back under its id with its steps, and goes through another life."""
        worker, fresh = self.workers[name], self.unused(1)
        if not fresh or "ok" not in self.enqueue([self.new_job(fresh[0], recorded=watched, options=chosen)]):
            return
        for claimed in self.take(worker, fresh):
            if watched:
                self.watch(claimed.id)
            for step in STEP_NAMES[:steps]:
                self._store_step(claimed.id, claimed.lease, step)
            self.end(worker, claimed, "fail")
        self.requeue(fresh)
        for claimed in self.take(worker, fresh):
            self.end(worker, claimed, kind)
        self.requeue(fresh)

    @rule(
        name=workers, chosen=options, delay_ms=delays, starts=st.booleans(), kind=kinds, later=st.sampled_from([500, 70_000]),
        claims_first=st.booleans(),
    )  # fmt: skip
    def expiry_comes(
        self,
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

    @rule(
        name=workers, first=options, delay_ms=delays, runs=st.booleans(), kind=kinds,
        policy=st.sampled_from(["existing", "reject", "replace"]), window_ms=st.sampled_from([0, MINUTE_MS]),
    )  # fmt: skip
    def unique_key_is_wanted(
        self,
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
        if len(fresh) < 3:
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
        name=workers, by=workers, policy=policies, damage=damages, when=st.sampled_from(["waiting", "running", "never"]),
        times=st.integers(0, 4),
    )  # fmt: skip
    def job_has_everything(self, name: str, by: str, policy: str, damage: str, when: str, times: int) -> None:
        """A key, a rate, a unique key, an expiry, a parent, a child; it crashes, or it is damaged."""
        fresh = self.unused(3)
        if len(fresh) < 3:
            return
        parent, middle, child = fresh
        self.enqueue([self.new_job(parent)])
        everything = Options(
            key="red", limit=1, rate=RATE, units=30, unique="w", policy="replace", expires_at=self.now + 10 * MINUTE_MS,
            parents=(parent,), on_failure=policy,
        )  # fmt: skip
        self.enqueue([self.new_job(middle, attempts=5, recorded=True, options=everything)])
        self.enqueue([self.new_job(child, options=Options(parents=(middle,), on_failure="run"))])
        self.watch(middle)
        self.signal(middle, "go")
        for claimed in self.take(self.workers[name], [parent]):
            self.end(self.workers[name], claimed, "complete")
        if when == "waiting":
            self.damage(middle, damage)
        self.time_passes(0)
        for _ in range(times):
            self.take(self.workers[name], [middle])
            self.silence(name)
        if when == "running":
            self.damage(middle, damage)
        for claimed in self.take(self.workers[by], [middle]):
            self.end(self.workers[by], claimed, "complete")
        self.time_passes(0)

    def silence(self, name: str) -> None:
        """The worker's process dies; others beat until its leases have lapsed."""
        self.workers[name] = SimulatedWorker(name, self.nonce(name))
        for _ in range(4):
            self.clock.advance(seconds=TIMINGS.beat_seconds)
            self.beat(self.workers[name], starting=True)

    @rule(pick=picks, count=counts, chosen=options, kind=kinds, fresh=ids)
    def handler_does_much(
        self, pick: int, count: int, chosen: Options, kind: OutcomeKind, fresh: str
    ) -> None:
        """It emits, reports, takes steps, makes children that wait for it, and ends."""
        if not (holding := self.held(pick)):
            return
        worker, claimed = holding
        for at in range(count):
            self.emit(claimed.id, claimed.lease)
            self.report(claimed.id, claimed.lease, "units", 15)
            self._store_step(claimed.id, claimed.lease, STEP_NAMES[at % len(STEP_NAMES)])
        children = [
            self.new_job(job_id, options=replace(chosen, parents=(claimed.id,), on_failure="run"))
            for job_id in self.unused(2)
        ]
        self.enqueue(children, under=(claimed.id, claimed.lease))
        self.end(worker, claimed, kind)
        self.forks(claimed.id, fresh, "read", "go#0", key=False)
        self.promotes()

    @rule(
        name=workers, chosen=options, recorded=st.booleans(), damage=damages, claims=st.booleans(),
        where=st.sampled_from(["ready", "delayed", "retried", "asleep", "running"]),
        what=st.sampled_from(["cancel", "damage", "death", "release", "time"]),
    )  # fmt: skip
    def job_is_met(
        self, name: str, chosen: Options, recorded: bool, where: str, what: str, damage: str, claims: bool
    ) -> None:
        """Whatever may happen to a job, in every state it may be in."""
        worker, fresh = self.workers[name], self.unused(1)
        job = self.new_job(*fresh, recorded=recorded, options=chosen) if fresh else None
        if job is None or "ok" not in self.enqueue([job], 1_000 if where == "delayed" else 0):
            return
        if where not in ("ready", "delayed"):
            for claimed in self.take(worker, fresh):
                if where != "running":
                    self.end(worker, claimed, "retry" if where == "retried" else "suspend")
        self._happens(worker, fresh[0], what, damage)
        if claims:
            self.claim(self.workers[name], 4)
        self.time_passes(1_000)
        self.claim(self.workers[name], 4)

    def _happens(self, worker: SimulatedWorker, job_id: str, what: str, damage: str) -> None:
        if what == "cancel":
            self.cancels([job_id])
            if job_id in worker.held:
                self.end(worker, worker.held[job_id], "cancel")
        elif what == "damage":
            self.damage(job_id, damage)
        elif what == "death":
            self.silence(worker.name)
        elif what == "release" and job_id in worker.held:
            self.end(worker, worker.held[job_id], "release")

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
