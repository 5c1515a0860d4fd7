"""The rules of the state machine: single calls around jobs of any kind."""

from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from penstock.core.outcomes import Outcome, OutcomeKind
from penstock.store.script_calls import BATCH
from penstock.worker.janitor import SILENT_WORKER_MS, Janitor
from tests.torture import model_upkeep
from tests.torture.actors import DAY_MS, HISTORY, JOB_IDS, TIMINGS
from tests.torture.machine import QueueMachineBase
from tests.torture.model import Queue
from tests.torture.model_parts import Options
from tests.torture.strategies import counts, delays, ids, kinds, lanes, options, picks, step_names, workers


class PlainRules(QueueMachineBase):
    """Single calls of the kernel."""

    @initialize(
        recorded=st.booleans(), attempts=st.sampled_from([1, 3, 5]), chosen=options,
        its_lanes=st.sampled_from([("normal", "high", "low"), ("normal",)]), is_worker=st.booleans(),
    )  # fmt: skip
    def begins(
        self, *, recorded: bool, attempts: int, chosen: Options, its_lanes: tuple[str, ...], is_worker: bool
    ) -> None:
        """A queue of all lanes, or of one, which claims can read with less ado.

        Workers leave what has ended to their janitors; keys of jobs settled by others go by themselves.
        """
        self.leaves_to_janitor = is_worker
        for at, lane in enumerate(its_lanes):
            pairs = [
                self.new_job(job_id, lane, recorded=recorded, attempts=attempts, options=chosen)
                for job_id in JOB_IDS[at * 2 : at * 2 + 2]
            ]
            self.enqueue(pairs)
        self.enqueue([self.new_job(job_id, recorded=recorded) for job_id in JOB_IDS[6:8]], 1_000)

    @rule(
        fresh=st.lists(ids, min_size=1, max_size=4), lane=lanes, delay_ms=delays, chosen=options,
        recorded=st.booleans(), attempts=st.sampled_from([1, 3, 5]), apart=st.booleans(),
    )  # fmt: skip
    def enqueues(
        self,
        *,
        fresh: list[str],
        lane: str,
        delay_ms: int,
        chosen: Options,
        recorded: bool,
        attempts: int,
        apart: bool,
    ) -> None:
        pairs = [
            self.new_job(job_id, lane, recorded=recorded, attempts=attempts, apart=apart, options=chosen)
            for job_id in fresh
        ]
        self.enqueue(pairs, delay_ms)

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

    @rule(picked=st.lists(picks, min_size=1, max_size=4), kind=kinds, delay_ms=delays, large=st.booleans())
    def settles(self, picked: list[int], kind: OutcomeKind, delay_ms: int, large: bool) -> None:
        chosen = [holding for pick in picked if (holding := self.held(pick))]
        leases = [(claimed.id, claimed.lease) for _, claimed in chosen]
        self.settle(leases, kind, delay_ms, large=large)
        for worker, claimed in chosen:
            worker.held.pop(claimed.id, None)

    @rule(picked=st.lists(picks, min_size=1, max_size=2), kind=kinds)
    def settles_under_old_lease(self, picked: list[int], kind: OutcomeKind) -> None:
        if self.given:
            self.settle([self.given[pick % len(self.given)] for pick in picked], kind, 1_000)

    @rule(picked=ids, counter=st.integers(0, 3))
    def settles_under_invented_lease(self, picked: str, counter: int) -> None:
        job = self.queue.jobs.get(picked)
        nonce = (job.lease if job and job.lease else ":none").partition(":")[2]
        lease = f"{counter + 90}:{nonce}" if counter else ""
        self.settle([(picked, lease)], "complete")

    def settle(
        self,
        leases: list[tuple[str, str]],
        kind: OutcomeKind,
        delay_ms: int = 0,
        *,
        large: bool = False,
        awaited: str = "",
    ) -> list[str]:
        """Settle all of them alike. A suspension without a signal to wait for wakes by itself."""
        body = b"x" * 20_000 if large and kind == "complete" else b"1"
        outcomes = [Outcome(job_id, lease, kind, body, delay_ms, awaited) for job_id, lease in leases]
        answers = self.run(self.engine.settle(outcomes, leave_to_janitor=self.leaves_to_janitor))
        got = [str(code) for code in answers]
        meant = [
            self.queue.settle(
                job_id,
                lease,
                kind,
                self.now,
                body=body,
                delay_ms=delay_ms,
                detail=awaited,
                leave_to_janitor=self.leaves_to_janitor,
            )
            for job_id, lease in leases
        ]
        for (job_id, _), code in zip(leases, meant, strict=True):
            job = self.queue.jobs.get(job_id)
            if job is not None and code == "ok" and job.ended:
                job.left_to_janitor = self.leaves_to_janitor
        self.same("settle", got, meant)
        self.check()
        return got

    @rule(name=workers)
    def beats(self, name: str) -> None:
        self.beat(self.workers[name])

    @rule(pick=picks)
    def notes_progress(self, pick: int) -> None:
        self._note_progress(*self.lease(pick))

    def _note_progress(self, job_id: str, lease: str) -> None:
        got = self.run(self.engine.note_progress([(job_id, lease, 50.0, "half")]))
        self.same("progress", got, [self.queue.progress(job_id, lease)])
        self.check()

    @rule(pick=picks, name=step_names)
    def stores_step(self, pick: int, name: str) -> None:
        self._store_step(*self.lease(pick), name)

    def _store_step(self, job_id: str, lease: str, name: str, body: bytes = b"{}") -> None:
        got = self.run(self.engine.store_steps([(job_id, lease, name, body)]))
        self.same("step", got, [self.queue.step(job_id, lease, name, body)])
        self.check()

    def lease(self, pick: int) -> tuple[str, str]:
        """Mostly a lease that is held, for small numbers any that was ever given."""
        holders = self.holders()
        if pick < 5 or not holders:
            return self.given[pick % len(self.given)] if self.given else ("nobody", "1:nothing")
        claimed = holders[pick % len(holders)][1]
        return claimed.id, claimed.lease

    @rule(most=st.sampled_from([1, 2, BATCH, BATCH]))
    def promotes(self, most: int = BATCH) -> None:
        """In production 64 at once; fewer here, so that chunks end half-way."""
        group, keep_ms = self.engine.config.consumer_group, self.engine.keep_ms
        promoted, due, crossings = self.call("promote", group=group, keep_ms=keep_ms, most=most)
        answer = promoted, None if due < 0 else due, crossings
        self.agree(lambda queue: self._promote_in(queue, most, answer))

    def _promote_in(self, queue: Queue, most: int, answer: tuple[int, int | None, int]) -> None:
        meant = queue.promote(self.now, most)
        assert answer == meant, f"promote answered {answer}, meant {meant}"

    @rule(picked=st.lists(ids, min_size=1, max_size=3))
    def cancels(self, picked: list[str]) -> None:
        got = self.run(self.engine.cancel(picked))
        self.same("cancel", got, [self.queue.cancel(job_id, self.now) for job_id in picked])
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
        self.agree(lambda queue: model_upkeep.sweep(queue, self.now, self.history_read, SILENT_WORKER_MS))
