"""Rules about flow: keys and their limits, families of jobs, signals, feeds, dead letters put back."""

from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.store.crossings import Ferry
from penstock.store.packing import terms_of
from tests.torture.actors import JOB_IDS, Steering
from tests.torture.model_parts import Options
from tests.torture.model_rates import Limits
from tests.torture.rules_accidents import Accidents
from tests.torture.strategies import (
    MINUTE_MS,
    amounts,
    delays,
    feeds,
    flow_keys,
    ids,
    lanes,
    options,
    picks,
    policies,
    signal_names,
    step_names,
)

ABROAD = "q/"


class FlowRules(Accidents):
    """Single calls of flow control."""

    # Families.

    @rule(
        fresh=st.lists(ids, min_size=1, max_size=3), parents=st.lists(picks, min_size=1, max_size=3),
        abroad=st.booleans(), policy=policies, lane=lanes, delay_ms=delays, chosen=options,
        recorded=st.booleans(),
    )  # fmt: skip
    def enqueues_children(
        self, *, fresh: list[str], parents: list[int], abroad: bool, policy: str, lane: str, delay_ms: int,
        chosen: Options, recorded: bool,
    ) -> None:  # fmt: skip
        """Of any jobs there are, ended ones among them; now and then of one that is not there."""
        known = sorted(self.queue.jobs)
        ids_of_parents = [known[pick % len(known)] if known and pick else "nobody" for pick in parents]
        if abroad:
            ids_of_parents[0] = ABROAD + ids_of_parents[0]
        pairs = []
        for job_id in fresh:
            its_parents = tuple(dict.fromkeys(parent for parent in ids_of_parents if job_id not in parent))
            its_options = replace(chosen, parents=its_parents, on_failure=policy)
            pairs.append(self.new_job(job_id, lane, recorded=recorded, options=its_options))
        self.enqueue(pairs, delay_ms)
        if abroad:
            for job_id in fresh:
                self._link(job_id)

    def _link(self, child: str) -> None:
        """As whoever enqueued the child does; repeated, it does no harm."""
        job = self.queue.jobs.get(child)
        for parent in job.options.parents if job else ():
            if not parent.startswith(ABROAD):
                continue
            home_id = parent.removeprefix(ABROAD)
            ((status, body),) = self.run(self.engine.link([(home_id, ABROAD + child)]))
            meant, text = self.queue.link(home_id, ABROAD + child)
            self.same("link", status, meant)
            if status != "linked":
                assert body.decode().startswith(text.decode())
                told = self.run(self.engine.tell([(child, parent, status, body)]))
                self.same("tell", told, [self.queue.tell_child(child, parent, status, text, self.now)])
            self.check()

    @rule()
    def ferry_carries(self) -> None:
        """Endings to children on other queues; here, both are the same queue."""
        endings = [
            (child.removeprefix(ABROAD), ABROAD + parent, status, body)
            for child, parent, status, body in self.queue.crossings
        ]
        assert self.run(Ferry(cast("Any", Steering(self.engine)), "q").carry()) == len(endings)
        self.queue.crossings.clear()
        self.queue.crossed(endings, self.now)
        self.check()

    @rule(
        fresh=st.lists(ids, min_size=1, max_size=3),
        pick=picks,
        delay_ms=delays,
        chosen=options,
        of=st.booleans(),
    )
    def makes_children(self, fresh: list[str], pick: int, delay_ms: int, chosen: Options, of: bool) -> None:
        """A running job enqueues others, which may wait for it."""
        parent, lease = self.lease(pick)
        pairs = []
        for job_id in fresh:
            its_parents = (parent,) if of and parent != job_id else ()
            pairs.append(self.new_job(job_id, options=replace(chosen, parents=its_parents, on_failure="run")))
        self.enqueue(pairs, delay_ms, under=(parent, lease))

    @rule(fresh=ids, pick=picks, chosen=options, behind=st.booleans())
    def joins(self, fresh: str, pick: int, chosen: Options, behind: bool) -> None:
        """A new job that those who wait for parents wait for as well, or one that nobody can join."""
        waiting = sorted(set(self.queue.parents) - {fresh}) or ["nobody"]
        target = waiting[pick % len(waiting)]
        others = sorted(set(self.queue.jobs) - {fresh, target})
        parents = (others[pick % len(others)],) if behind and others else ()
        its_options = replace(chosen, joins=(target,), parents=parents, on_failure="run")
        self.enqueue([self.new_job(fresh, options=its_options)])

    # Time.

    @rule(
        fresh=ids,
        in_ms=st.sampled_from([-1, 500, 5_000, MINUTE_MS]),
        lane=lanes,
        delay_ms=delays,
        chosen=options,
    )
    def enqueues_with_expiry(self, fresh: str, in_ms: int, lane: str, delay_ms: int, chosen: Options) -> None:
        its_options = replace(chosen, expires_at=self.now + in_ms)
        self.enqueue([self.new_job(fresh, lane, options=its_options)], delay_ms)

    @rule(pick=picks, name=signal_names, place=st.integers(0, 1), delay_ms=st.sampled_from([-1, -1, 5_000]))
    def awaits_signal(self, pick: int, name: str, place: int, delay_ms: int) -> None:
        if not (holding := self.held(pick)):
            return
        worker, claimed = holding
        del worker.held[claimed.id]
        self.settle([(claimed.id, claimed.lease)], "suspend", delay_ms, awaited=f"{name}#{place}")

    @rule(picked=ids, pick=picks, name=signal_names)
    def signals(self, picked: str, pick: int, name: str) -> None:
        """Half of the time a job that waits for it, if there is one."""
        asleep = sorted(job.id for job in self.queue.jobs.values() if job.status == "suspended")
        self.signal(asleep[pick % len(asleep)] if asleep and pick % 2 else picked, name)

    def signal(self, job_id: str, name: str) -> str:
        """Give a signal, unlike any before."""
        self.serial += 1
        body = f"signal {self.serial}".encode()
        got = self.run(self.engine.signal(job_id, name, body))
        self.same("signal", got, self.queue.signal(job_id, name, body, self.now))
        self.check()
        return got

    # Following along.

    @rule(pick=picks, picked=ids, what=feeds, amount=amounts)
    def tells(self, pick: int, picked: str, what: str, amount: float) -> None:
        """A job's feed is watched, or it emits, or says what it used."""
        if what == "watch":
            self.watch(picked)
        elif what == "emit":
            self.emit(*self.lease(pick))
        else:
            self.report(*self.lease(pick), what, amount)

    def watch(self, job_id: str) -> None:
        """Ask that the job's end be told."""
        self.same("watch", self.run(self.engine.watch([job_id])), [self.queue.watch(job_id)])
        self.check()

    def emit(self, job_id: str, lease: str) -> None:
        """Append to the job's feed."""
        self.serial += 1
        body = f"event {self.serial}".encode()
        got = self.run(self.engine.emit([(job_id, lease, "emit", body)]))
        self.same("emit", got, [self.queue.emit(job_id, lease, "emit", body)])
        self.check()

    def report(self, job_id: str, lease: str, what: str, amount: float) -> None:
        """Say what a job used."""
        got = self.run(self.engine.report_usage([(job_id, lease, "default", what, amount)]))
        self.same("usage", got, [self.queue.report(job_id, lease, what, amount, self.now)])
        self.check()

    # Limits.

    @rule(
        key=flow_keys, places=st.sampled_from([0, 0, 1, 2]), jobs=st.sampled_from([0, 0, 1, 3]),
        units=st.sampled_from([0, 0, 100]), window=st.sampled_from([MINUTE_MS, 600_000]),
    )  # fmt: skip
    def limits_key(self, key: str, places: int, jobs: int, units: int, window: int) -> None:
        limits = Limits(places, jobs, units, window)
        self.run(self.engine.limit_key(key, places=places, jobs=jobs, units=units, window_ms=window))
        self.queue.limit(key, limits, self.now)
        self.check()

    @rule(key=flow_keys, for_ms=st.sampled_from([0, 1_000, MINUTE_MS]))
    def pauses_key(self, key: str, for_ms: int) -> None:
        until = self.now + for_ms if for_ms else 0
        self.run(self.engine.pause_key(key, until))
        self.queue.pause_key(key, until, self.now)
        self.check()

    @rule(paused=st.booleans())
    def pauses(self, paused: bool) -> None:
        self.run(self.engine.pause() if paused else self.engine.resume())
        assert self.run(self.engine.is_paused()) == paused
        self.queue.paused = paused
        self.check()

    # Dead letters and forks.

    @rule(picked=st.lists(ids, min_size=1, max_size=2), forgets=st.booleans())
    def dead_letters_are_dealt_with(self, picked: list[str], forgets: bool) -> None:
        """Put back or discarded; half of the time those that are there."""
        letters = [job_id for job_id in self.queue.letters if job_id in self.queue.jobs]
        chosen = letters[:2] if letters and picked[0] in JOB_IDS[::2] else picked
        if forgets:
            self.discard(chosen)
        else:
            self.requeue(chosen)

    def discard(self, chosen: list[str]) -> None:
        """Forget dead letters."""
        got = self.call_each("discard", chosen, required=len(self.engine.config.event_groups))
        meant = [self.queue.discard(job_id, waits_for_history=True) for job_id in chosen]
        self.same("discard", got, meant)
        self.check()

    def requeue(self, chosen: list[str]) -> None:
        """Put dead letters back."""
        once = {"group": self.engine.config.consumer_group, "keep_ms": self.engine.keep_ms}
        jobs = self.queue.jobs
        entries = [
            (job_id, jobs[job_id].home_lane if job_id in jobs else "normal", "", "") for job_id in chosen
        ]
        got = [code.decode() for code in self.run(self.engine.call("requeue", once, entries))]
        self.same("requeue", got, [self.queue.requeue(job_id, self.now) for job_id in chosen])
        self.check()

    @rule(
        source=ids, fresh=ids, name=step_names, field=st.sampled_from(["go#0", "stop#0"]), key=st.booleans()
    )
    def forks(self, source: str, fresh: str, name: str, field: str, key: bool) -> None:
        accepted, job = self.new_job(fresh, options=Options(key="red") if key else Options())
        once = {
            "group": self.engine.config.consumer_group, "keep_ms": self.engine.keep_ms,
            "max_events": self.engine.config.max_events, "source": source, "id": fresh, "spec": accepted.spec,
            "terms": terms_of(accepted), "apart": b"",
        }  # fmt: skip
        (code,) = self.run(self.engine.call("fork", once, [("step", name), ("signal", field)]))
        meant = "gone" if source not in self.queue.jobs else self.queue.enqueue([job], 0, self.now)[0]
        self.same("fork", code.decode(), meant)
        if meant == "ok":
            self.specs[fresh] = accepted
            self.queue.copy_to(source, job, [name], [field])
        self.check()
