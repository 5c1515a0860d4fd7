"""Rules about schedules, whose callers reckon slots rightly, late, or from what was before."""

import hashlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.core.acceptance import AcceptedJob
from penstock.store.packing import entries
from tests.torture import model_cron
from tests.torture.model_parts import ModelJob, Options
from tests.torture.rules_flow import FlowRules
from tests.torture.strategies import ids, options

SECOND_MS = 1_000
names = st.sampled_from(["hourly", "nightly"])
versions = st.integers(1, 2)


class CronRules(FlowRules):
    """Single calls about schedules."""

    @rule(
        action=st.sampled_from(["put", "put", "pause", "resume", "remove"]), name=names, version=versions,
        in_ms=st.sampled_from([SECOND_MS, 60 * SECOND_MS, -60 * SECOND_MS]), begins_paused=st.booleans(),
    )  # fmt: skip
    def schedules(self, action: str, name: str, version: int, in_ms: int, begins_paused: bool) -> None:
        body = f"{name} {version}"
        coming = (self.now + in_ms) // SECOND_MS * SECOND_MS
        entry = (action, name, body, coming, "1" if begins_paused else "")
        got = [code.decode() for code in self.run(self.engine.call("schedule", {}, [entry]))]
        meant = model_cron.act(self.queue, action, name, body, coming, begins_paused=begins_paused)
        self.same("schedule", got, [meant])
        self.check()

    @rule(
        name=names, version=versions, fresh=st.lists(ids, min_size=1, max_size=2), chosen=options,
        recorded=st.booleans(), stale=st.booleans(), in_ms=st.sampled_from([0, SECOND_MS, 60 * SECOND_MS]),
    )  # fmt: skip
    def fires(
        self,
        *,
        name: str,
        version: int,
        fresh: list[str],
        chosen: Options,
        recorded: bool,
        stale: bool,
        in_ms: int,
    ) -> None:
        """With the slot that stands there, or with one that another worker has dealt with."""
        queue = self.queue
        seen = queue.cron_due.get(name, 0) - (SECOND_MS if stale else 0)
        body = f"{name} {version}" if stale or name not in queue.cron else queue.cron[name].body
        pairs = [self.new_job(job_id, recorded=recorded, options=chosen) for job_id in fresh]
        self.fire(name, body, pairs, seen, seen + in_ms)

    @rule(
        name=names, chosen=options, late_ms=st.sampled_from([0, 5 * SECOND_MS]), again=st.booleans(),
        meanwhile=st.sampled_from(["nothing", "put", "pause", "remove", "clock"]),
        fresh=st.lists(ids, max_size=2),
    )  # fmt: skip
    def slot_comes(
        self, *, name: str, chosen: Options, late_ms: int, again: bool, meanwhile: str, fresh: list[str]
    ) -> None:
        """It is dealt with once, whoever comes second, and whatever became of the schedule meanwhile."""
        for action in ("put", "resume"):
            self.schedules(action, name, 1, 60 * SECOND_MS, begins_paused=False)
        seen, body = self.queue.cron_due.get(name), f"{name} 1"
        if seen is None:
            return
        self.clock.advance(seconds=(max(seen - self.now, 0) + late_ms) / 1000)
        if meanwhile in ("put", "pause", "remove"):
            self.schedules(meanwhile, name, 2, 60 * SECOND_MS, begins_paused=False)
        for _ in range(1 + again):
            pairs = [self.new_job(job_id, options=chosen) for job_id in fresh]
            self.fire(name, body, pairs, seen, seen + late_ms)
        if meanwhile == "clock":
            self.clock.advance(seconds=-120)
            for action in ("pause", "resume"):
                self.schedules(action, name, 1, 60 * SECOND_MS, begins_paused=False)

    def fire(
        self, name: str, body: str, pairs: list[tuple[AcceptedJob, ModelJob]], seen: int, coming: int
    ) -> None:
        """Deal with one slot."""
        queue = self.queue
        once: dict[str, Any] = {
            "group": self.engine.config.consumer_group, "keep_ms": self.engine.keep_ms,
            "max_events": self.engine.config.max_events, "name": name,
            "digest": hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest(),
            "seen": seen, "last": seen, "coming": coming,
        }  # fmt: skip
        answer = self.run(self.engine.call("fire", once, entries([job for job, _ in pairs], 0)))
        jobs = [job for _, job in pairs]
        meant = model_cron.fire(queue, name, body, jobs, self.now, seen=seen, last=seen, coming=coming)
        codes = [answer[0].decode(), *(code.decode() for code in answer[2:])]
        self.same("fire", codes, meant)
        for (job, _), code in zip(pairs, codes[1:], strict=False):
            if code == "ok":
                self.specs[job.id] = job
        times = queue.cron_due.values()
        assert answer[1] == (max(min(times) - self.now, 0) if times else -1)
        self.check()
