"""Short stories of families, waits and second lives, and of every state met by every event."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.core.outcomes import OutcomeKind
from tests.torture.actors import SimulatedWorker
from tests.torture.model_parts import Options
from tests.torture.stories_keys import KeyStories
from tests.torture.strategies import (
    MINUTE_MS,
    RATE,
    STEP_NAMES,
    chunks,
    counts,
    damages,
    delays,
    endings,
    ids,
    kinds,
    options,
    picks,
    policies,
    signal_names,
    workers,
)


class FamilyStories(KeyStories):
    """Jobs that wait for others, for signals, or for somebody to put them back."""

    @rule(
        name=workers, by=workers, children=st.lists(options, min_size=1, max_size=4), policy=policies,
        ending=endings, delay_ms=delays, chunk=chunks, tells_first=st.booleans(), expires=st.booleans(),
        days=st.sampled_from([0, 0, 3]),
    )  # fmt: skip
    def family_is_told(
        self, *, name: str, by: str, children: list[Options], policy: str, ending: OutcomeKind,
        delay_ms: int, chunk: int, tells_first: bool, expires: bool, days: int,
    ) -> None:  # fmt: skip
        """A parent ends, and its children hear of it in chunks, from a claim or a look at the clock."""
        names = self.unused(len(children) + 1)
        if not names:
            return
        parent, *rest = names
        self.enqueue([self.new_job(parent, attempts=1)])
        expires_at = self.now + MINUTE_MS if expires else None
        for child, chosen in zip(rest, children, strict=False):
            its_options = replace(chosen, parents=(parent,), on_failure=policy, expires_at=expires_at)
            self.enqueue([self.new_job(child, options=its_options)], delay_ms)
        for claimed in self.take(self.workers[name], [parent]):
            self.end(self.workers[name], claimed, ending, 0)
        if days:
            # Nobody looked at the clock for longer than the parent is kept.
            self.clock.advance(days=days)
            self.janitor_sweeps()
        if tells_first:
            self.time_passes(0, chunk)
        self.claim(self.workers[by], 4)
        self.time_passes(delay_ms, chunk)
        self.claim(self.workers[by], 4)

    @rule(
        name=workers, chosen=options, signal=signal_names, comes_first=st.booleans(),
        delay_ms=st.sampled_from([-1, 5_000]), damage=damages,
        then=st.sampled_from(["signal", "time", "cancel", "damage", "nothing"]),
    )  # fmt: skip
    def job_awaits_a_signal(
        self,
        *,
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
        name=workers, chosen=options, steps=st.integers(0, 3), kind=kinds, recorded=st.booleans(),
        told_first=st.booleans(), forgotten=st.booleans(),
    )  # fmt: skip
    def dead_letter_lives_again(
        self, *, name: str, chosen: Options, steps: int, kind: OutcomeKind, recorded: bool, told_first: bool,
        forgotten: bool,
    ) -> None:  # fmt: skip
        """It fails, is put back before or after its child is told, lives again, and is discarded."""
        worker, fresh = self.workers[name], self.unused(2)
        letter = self.new_job(fresh[0], recorded=recorded, options=chosen) if fresh else None
        if letter is None or "ok" not in self.enqueue([letter]):
            return
        self.enqueue([self.new_job(fresh[1], options=Options(parents=(fresh[0],)))])
        for claimed in self.take(worker, fresh[:1]):
            self.watch(claimed.id)
            for step in STEP_NAMES[:steps]:
                self._store_step(claimed.id, claimed.lease, step)
            self.end(worker, claimed, "fail")
        if told_first:
            self.time_passes(0)
        self.requeue(fresh[:1])
        self.time_passes(0)
        for claimed in self.take(worker, fresh[:1]):
            self.end(worker, claimed, kind)
        if forgotten:
            self.discard(fresh[:1])
        self.requeue(fresh[:1])

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
        name=workers, by=workers, policy=policies, damage=damages,
        when=st.sampled_from(["waiting", "running", "never"]), times=st.integers(0, 4), kind=kinds,
    )  # fmt: skip
    def job_has_everything(
        self, *, name: str, by: str, policy: str, damage: str, when: str, times: int, kind: OutcomeKind
    ) -> None:
        """A key, a rate, a unique key, an expiry, a parent, a child; it crashes, or it is damaged."""
        fresh = self.unused(3)
        if not fresh:
            return
        parent, middle, child = fresh
        self.enqueue([self.new_job(parent)])
        everything = Options(
            key="red", limit=1, rate=RATE, units=30, unique="w", policy="replace",
            expires_at=self.now + 10 * MINUTE_MS, parents=(parent,), on_failure=policy,
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
            self.end(self.workers[by], claimed, kind)
        self.time_passes(1_000)
        self.claim(self.workers[by], 4)
        self.time_passes(0)

    @rule(
        name=workers, chosen=options, recorded=st.booleans(), damage=damages, claims=st.booleans(),
        where=st.sampled_from(["ready", "delayed", "retried", "asleep", "running"]),
        what=st.sampled_from(["cancel", "damage", "death", "release", "time"]),
    )  # fmt: skip
    def job_is_met(
        self, *, name: str, chosen: Options, recorded: bool, where: str, what: str, damage: str, claims: bool
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
