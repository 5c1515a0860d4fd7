"""The rules of the state machine: what may happen to a queue."""

from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from penstock.core.outcomes import Outcome, OutcomeKind
from penstock.store.engine import BATCH
from penstock.worker.janitor import SILENT_WORKER_MS, Janitor
from tests.torture import model_upkeep
from tests.torture.machine import HISTORY, JOB_IDS, LARGE, TIMINGS, WORKERS, QueueMachineBase
from tests.torture.model_parts import LANES, ModelJob

ids = st.sampled_from(JOB_IDS)
workers = st.sampled_from(WORKERS)
picks = st.integers(0, 30)
lanes = st.sampled_from(["normal", "normal", "high", "low"])
delays = st.sampled_from([0, 0, 0, 1_000, 60_000])
kinds = st.sampled_from(["complete", "fail", "retry", "cancel", "release", "defer", "lapse"])
STEP_NAMES = ["read", "think", "write", "check"]
step_names = st.sampled_from(STEP_NAMES)
counts = st.integers(1, 4)
damages = st.sampled_from(["attempt", "status", "type"])
DAY_MS = 86_400_000
MANY_CLAIMS = 12


class PlainRules(QueueMachineBase):
    """Single calls, and single accidents."""

    @initialize(recorded=st.booleans(), attempts=st.sampled_from([1, 3, 5]))
    def begins(self, recorded: bool, attempts: int) -> None:
        for at, lane in enumerate(("normal", "high", "low")):
            self.enqueue(
                JOB_IDS[at * 2 : at * 2 + 2], lane, 0, recorded=recorded, attempts=attempts, apart=False
            )
        self.enqueue(JOB_IDS[6:8], "normal", 1_000, recorded=recorded, attempts=attempts, apart=False)

    @rule(
        fresh=st.lists(ids, min_size=1, max_size=4), lane=lanes, delay_ms=delays,
        recorded=st.booleans(), attempts=st.sampled_from([1, 3, 5]), apart=st.booleans(),
    )  # fmt: skip
    def enqueues(
        self, fresh: list[str], lane: str, delay_ms: int, recorded: bool, attempts: int, apart: bool
    ) -> None:
        self.enqueue(fresh, lane, delay_ms, recorded=recorded, attempts=attempts, apart=apart)

    @rule(name=workers, count=counts)
    def claims(self, name: str, count: int) -> None:
        self.claim(self.workers[name], count)

    @rule(name=workers, count=counts)
    def claims_and_reply_is_lost(self, name: str, count: int) -> None:
        self.claim(self.workers[name], count, lost_reply=True)

    @rule(name=workers, count=st.integers(1, 2))
    def dequeues(self, name: str, count: int) -> None:
        """Without a heartbeat, as `dequeue` does: the lease is longer and nobody renews it."""
        self.claim(self.workers[name], count, unrenewed=True)

    @rule(name=workers)
    def claims_again(self, name: str) -> None:
        if self.workers[name].last is not None:
            self.claim(self.workers[name], 1, again=True)

    @precondition(lambda self: self.holders())
    @rule(picked=st.lists(picks, min_size=1, max_size=4), kind=kinds, delay_ms=delays, large=st.booleans())
    def settles(self, picked: list[int], kind: OutcomeKind, delay_ms: int, large: bool) -> None:
        holders = self.holders()
        chosen = [holders[pick % len(holders)] for pick in picked]
        leases = [(claimed.id, claimed.lease) for _, claimed in chosen]
        self._settle(leases, kind, delay_ms, large=large)
        for worker, claimed in chosen:
            worker.held.pop(claimed.id, None)

    @precondition(lambda self: self.given)
    @rule(picked=st.lists(picks, min_size=1, max_size=2), kind=kinds)
    def settles_under_old_lease(self, picked: list[int], kind: OutcomeKind) -> None:
        self._settle([self.given[pick % len(self.given)] for pick in picked], kind, 1_000, large=False)

    @rule(picked=ids, counter=st.integers(0, 3))
    def settles_under_invented_lease(self, picked: str, counter: int) -> None:
        job = self.queue.jobs.get(picked)
        nonce = (job.lease if job and job.lease else ":none").partition(":")[2]
        lease = f"{counter + 90}:{nonce}" if counter else ""
        self._settle([(picked, lease)], "complete", 0, large=False)

    def _settle(
        self, leases: list[tuple[str, str]], kind: OutcomeKind, delay_ms: int, *, large: bool
    ) -> None:
        is_large = large and kind == "complete"
        body = b"x" * 20_000 if is_large else b"1"
        outcomes = [Outcome(job_id, lease, kind, body, delay_ms) for job_id, lease in leases]
        got = self.run(self.engine.settle(outcomes))
        meant = [
            self.queue.settle(job_id, lease, kind, self.now, delay_ms=delay_ms, large=is_large)
            for job_id, lease in leases
        ]
        assert got == meant
        self.check()

    @rule(name=workers)
    def beats(self, name: str) -> None:
        self.beat(self.workers[name])

    @precondition(lambda self: self.given)
    @rule(pick=picks)
    def notes_progress(self, pick: int) -> None:
        self._note_progress(*self._lease(pick))

    def _note_progress(self, job_id: str, lease: str) -> None:
        got = self.run(self.engine.note_progress([(job_id, lease, 50.0, "half")]))
        assert got == [self.queue.progress(job_id, lease)]
        self.check()

    @precondition(lambda self: self.given)
    @rule(pick=picks, name=step_names)
    def stores_step(self, pick: int, name: str) -> None:
        self._store_step(*self._lease(pick), name)

    def _store_step(self, job_id: str, lease: str, name: str, body: bytes = b"{}") -> None:
        got = self.run(self.engine.store_steps([(job_id, lease, name, body)]))
        assert got == [self.queue.step(job_id, lease, name, body)]
        self.check()

    def _lease(self, pick: int) -> tuple[str, str]:
        """Mostly a lease that is held, for small numbers any that was ever given."""
        holders = self.holders()
        if pick < 5 or not holders:
            return self.given[pick % len(self.given)]
        claimed = holders[pick % len(holders)][1]
        return claimed.id, claimed.lease

    @rule()
    def promotes(self) -> None:
        assert self.run(self.engine.promote())[:2] == self.queue.promote(self.now, BATCH)
        self.check()

    @rule(picked=st.lists(ids, min_size=1, max_size=3))
    def cancels(self, picked: list[str]) -> None:
        assert self.run(self.engine.cancel(picked)) == [
            self.queue.cancel(job_id, self.now) for job_id in picked
        ]
        self.check()

    @rule(idle_ms=st.sampled_from([0, TIMINGS.lease_ms, 60_000]))
    def reclaims(self, idle_ms: int) -> None:
        got = self.call(
            "reclaim", group=self.engine.config.consumer_group, idle_ms=idle_ms, lease_ms=TIMINGS.lease_ms,
            beat_ms=TIMINGS.beat_ms, amnesty_ms=TIMINGS.lease_ms, keep_ms=self.engine.keep_ms, most=BATCH,
        )  # fmt: skip
        assert got == self.queue.reclaim(self.now, idle_ms, BATCH)
        self.check()

    @rule(ms=st.sampled_from([1, 500, 5_000, 14_999, 15_001, 60_000, -1, -5_000, -3_600_000, DAY_MS + 1]))
    def clock_moves(self, ms: int) -> None:
        self.clock.advance(seconds=ms / 1000)

    @rule(most=st.integers(1, 20))
    def history_reads(self, most: int) -> None:
        read = self.run(self._read_history(most))
        self.history_read += read

    async def _read_history(self, most: int) -> int:
        client = cast("Any", self.client)
        answer = await client.xreadgroup(HISTORY, "reader", {self.keys.events: ">"}, count=most)
        entries = answer[0][1] if answer else []
        if entries:
            await client.xack(self.keys.events, HISTORY, *(entry[0] for entry in entries))
        return len(entries)

    @rule()
    def janitor_sweeps(self) -> None:
        self.run(Janitor(self.engine).sweep())
        model_upkeep.sweep(self.queue, self.now, self.history_read, SILENT_WORKER_MS)
        self.check()

    @rule(pick=picks, damage=damages)
    def hash_is_damaged(self, pick: int, damage: str) -> None:
        job = self._unended(pick)
        if job is None or any(other.damage for other in self.queue.jobs.values()):
            return
        self.run(self._damage(job, damage))
        job.damage = damage

    def _unended(self, pick: int) -> ModelJob | None:
        """A job that has not ended; half of the picks one that waits, if there is one."""
        jobs = [job for job in self.queue.jobs.values() if not job.ended]
        jobs = [job for job in jobs if pick % 2 and job.status != "processing"] or jobs
        return jobs[pick % len(jobs)] if jobs else None

    async def _damage(self, job: ModelJob, damage: str) -> None:
        key = self.keys.job + job.id
        if damage == "type":
            await self.client.set(key, LARGE)
        else:
            await cast("Any", self.client.hset(key, damage, "nonsense"))

    @precondition(lambda self: model_upkeep.books_balance(self.queue))
    @rule(pick=picks, with_groups=st.booleans())
    def place_is_lost(self, pick: int, with_groups: bool) -> None:
        """Something outside removed a job from where it stood; the auditor puts it back."""
        job = self._unended(pick)
        if job is None or job.damage:
            return
        if with_groups:
            self.groups_are_destroyed()
        self.run(self._lose_place(job))
        self.janitor_sweeps()

    async def _lose_place(self, job: ModelJob) -> None:
        if job.status in ("scheduled", "retrying"):
            await self.client.zrem(self.keys.scheduled, job.id)
            del self.queue.scheduled[job.id]
            return
        lane = {
            "high": self.keys.stream_high,
            "low": self.keys.stream_low,
            "suspects": self.keys.stream_suspects,
        }
        if job.status == "processing":
            await self.client.zrem(self.keys.leases, job.id)
            self.queue.leases.pop(job.id, None)
        elif job.id not in self.queue.leases and job.message and job.message.id:
            await self.client.xdel(lane.get(job.lane, self.keys.stream), job.message.id)
            self.queue.remove_message(job.message)

    @rule()
    def groups_are_destroyed(self) -> None:
        self.run(self._destroy_groups())
        self.queue.destroy_groups(LANES)

    async def _destroy_groups(self) -> None:
        keys, group = self.keys, self.engine.config.consumer_group
        for home in (keys.stream, keys.stream_high, keys.stream_low, keys.stream_suspects):
            if await self.client.exists(home):
                await cast("Any", self.client).xgroup_destroy(home, group)

    @rule()
    def scripts_are_flushed(self) -> None:
        self.run(cast("Any", self.client).script_flush())

    @precondition(lambda self: len(self.given) > MANY_CLAIMS)
    @rule()
    def everything_is_flushed(self) -> None:
        self.run(self.client.flushall())
        self.queue.forget_all()
        self.specs.clear()
        self.before = {}
        self.history_read = 0
        self.run(self._make_event_group())
        for worker in self.workers.values():
            worker.last, worker.unanswered = None, False
        self.check()
