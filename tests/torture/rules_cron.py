"""Rules about schedules, whose callers reckon slots rightly, late, or from what was before."""

import hashlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.store.packing import entries
from tests.torture import model_cron
from tests.torture.model_parts import Options
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
        last, coming = seen, seen + in_ms
        pairs = [self.new_job(job_id, recorded=recorded, options=chosen) for job_id in fresh]
        once: dict[str, Any] = {
            "group": self.engine.config.consumer_group, "keep_ms": self.engine.keep_ms,
            "max_events": self.engine.config.max_events, "name": name,
            "digest": hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest(),
            "seen": seen, "last": last, "coming": coming,
        }  # fmt: skip
        answer = self.run(self.engine.call("fire", once, entries([job for job, _ in pairs], 0)))
        jobs = [job for _, job in pairs]
        meant = model_cron.fire(queue, name, body, jobs, self.now, seen=seen, last=last, coming=coming)
        codes = [answer[0].decode(), *(code.decode() for code in answer[2:])]
        self.same("fire", codes, meant)
        for (job, _), code in zip(pairs, codes[1:], strict=False):
            if code == "ok":
                self.specs[job.id] = job
        times = queue.cron_due.values()
        assert answer[1] == (max(min(times) - self.now, 0) if times else -1)
        self.check()
