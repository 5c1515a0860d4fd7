"""Short stories of workers: sequences of calls that single rules would seldom make by chance."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.core.outcomes import Claimed, OutcomeKind
from tests.torture.actors import DEQUEUED_MS, TIMINGS, SimulatedWorker
from tests.torture.model_parts import SUSPECT_CRASHES, Options
from tests.torture.stories_family import FamilyStories
from tests.torture.strategies import (
    STEP_NAMES,
    counts,
    damages,
    delays,
    kinds,
    options,
    picks,
    step_names,
    workers,
)


class QueueMachine(FamilyStories):
    """A queue under whatever may happen to it."""

    @rule(name=workers, outcomes=st.lists(kinds, min_size=1, max_size=4), delay_ms=delays)
    def works(self, name: str, outcomes: list[OutcomeKind], delay_ms: int) -> None:
        """A worker promotes, beats, claims, and settles all it holds or a part of it."""
        worker = self.workers[name]
        self.promotes()
        self.beat(worker)
        self.claim(worker, len(outcomes))
        for claimed, kind in zip(list(worker.held.values()), outcomes, strict=False):
            del worker.held[claimed.id]
            self.settle([(claimed.id, claimed.lease)], kind, delay_ms)
            self._write_late(claimed.id, claimed.lease)
        self.claim(worker, 1, again=True)

    @rule(name=workers)
    def starts_anew(self, name: str) -> None:
        """The process was killed; another starts under its id, and the old one may turn out to live."""
        old = self.workers[name]
        self.workers[name] = SimulatedWorker(name, self.nonce(name))
        self.beat(self.workers[name], starting=True)
        if old.held:
            self.beat(old)

    @rule(name=workers, beats=st.integers(3, 5))
    def dies(self, name: str, beats: int) -> None:
        """One worker falls silent and the others beat on, until its leases have lapsed."""
        for _ in range(beats):
            self.clock.advance(seconds=TIMINGS.beat_seconds)
            for other in self.workers.values():
                if other.name != name:
                    self.beat(other)
        self.clock.advance(seconds=0.001)

    @rule(name=workers, by=workers, count=counts, kind=kinds, step=step_names)
    def is_succeeded(self, name: str, by: str, count: int, kind: OutcomeKind, step: str) -> None:
        """A worker dies, another takes over what it held, and the dead one turns out to live."""
        self.claim(self.workers[name], count)
        self.dies(name, 3)
        self.claim(self.workers[by], count)
        self.zombie_writes(-1, kind, step)

    @rule(pick=picks, kind=kinds, step=step_names)
    def zombie_writes(self, pick: int, kind: OutcomeKind, step: str) -> None:
        """A worker that was presumed dead tries everything under a lease that another holds by now."""
        stale = self.stale_leases()
        if not stale:
            return
        job_id, lease = stale[pick % len(stale)]
        self._write_late(job_id, lease, step)
        self.settle([(job_id, lease)], kind, 1_000)

    def _write_late(self, job_id: str, lease: str, step: str = "late") -> None:
        """All but settling, under a lease that may be over."""
        zombie = SimulatedWorker(self.nonce("zombie"), self.nonce("zombie"))
        zombie.held[job_id] = Claimed(job_id, lease, b"", 1, 0, 0)
        self.beat(zombie)
        self._note_progress(job_id, lease)
        self._store_step(job_id, lease, step)
        self.emit(job_id, lease)
        self.report(job_id, lease, "units", 15)

    @rule(
        ms=st.sampled_from([TIMINGS.lease_ms + 1, DEQUEUED_MS + 1, -60_000]), name=workers, by=workers,
        count=counts, unrenewed=st.booleans(),
    )  # fmt: skip
    def server_is_away(self, ms: int, name: str, by: str, count: int, unrenewed: bool) -> None:
        """Nobody can beat for a while, the clock may be another one, and the first call back is a claim."""
        self.claim(self.workers[name], count, unrenewed=unrenewed)
        self.clock.advance(seconds=ms / 1000)
        self.claim(self.workers[by], count)
        self.beat(self.workers[name])

    @rule(name=workers, by=workers, count=counts)
    def clock_goes_back(self, name: str, by: str, count: int) -> None:
        """What was written before lies in the future: it says nothing about who lives."""
        self.beat(self.workers[name])
        self.clock.advance(seconds=-60)
        self.claim(self.workers[by], count)
        self.clock.advance(seconds=TIMINGS.presumed_dead_seconds + 0.001)
        self.claim(self.workers[name], count)

    @rule(name=workers, times=st.sampled_from([2, 7, 22]))
    def is_restless(self, name: str, times: int) -> None:
        """A worker that takes and gives back, again and again."""
        worker = self.workers[name]
        for _ in range(times):
            self.claim(worker, 1)
            if not worker.held:
                return
            claimed = list(worker.held.values())[-1]
            worker.held.pop(claimed.id)
            self.settle([(claimed.id, claimed.lease)], "release", 0)

    @rule(pick=picks, kind=kinds)
    def is_cancelled_while_it_runs(self, pick: int, kind: OutcomeKind) -> None:
        """The handler hears of it at its next note or beat, and may end in any way all the same."""
        if not (holding := self.held(pick)):
            return
        worker, claimed = holding
        self.cancels([claimed.id])
        self._note_progress(claimed.id, claimed.lease)
        self.beat(worker)
        worker.held.pop(claimed.id, None)
        self.settle([(claimed.id, claimed.lease)], kind, 1_000)

    @rule(pick=picks, names=st.permutations(STEP_NAMES), most=st.sampled_from([1, len(STEP_NAMES)]))
    def goes_through_its_steps(self, pick: int, names: list[str], most: int) -> None:
        """Each is stored, and stored again with another result, as after a lost reply."""
        if not (holding := self.held(pick)):
            return
        claimed = holding[1]
        for name in [*names[:most], *names[:most]]:
            self.serial += 1
            self._store_step(claimed.id, claimed.lease, name, f"result {self.serial}".encode())

    @rule(pick=picks, damage=damages, name=workers, settles=st.booleans())
    def damaged_job_is_met(self, pick: int, damage: str, name: str, settles: bool) -> None:
        """By its holder's settling, by the promoter, or by a claim."""
        self.hash_is_damaged(pick, damage)
        for _, claimed in self.holders():
            if settles and claimed.id in self.queue.jobs and self.queue.jobs[claimed.id].damage:
                self.settle([(claimed.id, claimed.lease)], "complete", 0)
        self.clock.advance(seconds=60)
        self.promotes()
        self.claim(self.workers[name], 4)

    @rule(pick=picks, kind=st.sampled_from(["complete", "fail"]), reads=st.booleans(), large=st.booleans())
    def job_ends_and_is_forgotten(self, pick: int, kind: OutcomeKind, reads: bool, large: bool) -> None:
        """With everything it had, once its time is over and history has read of its end."""
        if not (holding := self.held(pick)):
            return
        worker, claimed = holding
        del worker.held[claimed.id]
        self._store_step(claimed.id, claimed.lease, "last")
        self.settle([(claimed.id, claimed.lease)], kind, 0, large=large)
        if reads:
            self.history_reads(1_000)
        self.clock.advance(days=1, seconds=0.001)
        self.janitor_sweeps()
        self.janitor_sweeps()

    @rule(
        name=workers, by=workers, count=st.integers(2, 4), times=st.integers(2, 5),
        kind=st.one_of(st.just("retry"), kinds), reclaimed=st.booleans(), with_groups=st.booleans(),
        chosen=options,
    )  # fmt: skip
    def jobs_kill_their_worker(
        self, *, name: str, by: str, count: int, times: int, kind: OutcomeKind, reclaimed: bool,
        with_groups: bool, chosen: Options,
    ) -> None:  # fmt: skip
        """Again and again, until they are suspects or dead letters; then others meet them one by one."""
        self.enqueue([self.new_job(job_id, attempts=5, options=chosen) for job_id in self.unused(2)])
        for _ in range(times):
            self.claim(self.workers[name], count)
            self.dies(name, 3)
            self.starts_anew(name)
            self.dies("nobody", 3)
            if reclaimed:
                self.reclaims(0)
        worker = self.workers[by]
        for _ in range(2):
            self.claim(worker, count)
            if with_groups:
                self.groups_are_destroyed()
        for claimed in list(worker.held.values()):
            if claimed.crashes >= SUSPECT_CRASHES:
                del worker.held[claimed.id]
                self.settle([(claimed.id, claimed.lease)], kind, 1_000)
        self.clock.advance(seconds=1)
        self.promotes()
        self.claim(worker, count)

    @rule(pick=picks, kind=st.sampled_from(["retry", "defer"]))
    def is_cancelled_while_it_waits(self, pick: int, kind: OutcomeKind) -> None:
        """For its next attempt; nobody is at work on it, so it ends at once."""
        if not (holding := self.held(pick)):
            return
        worker, claimed = holding
        del worker.held[claimed.id]
        self.settle([(claimed.id, claimed.lease)], kind, 1_000)
        self.cancels([claimed.id])
