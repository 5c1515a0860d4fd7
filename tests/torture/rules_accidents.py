"""Accidents: what may happen to a queue from outside."""

from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import rule

from penstock.worker.auditor import Auditor
from tests.torture import model_upkeep
from tests.torture.actors import LARGE
from tests.torture.model_parts import ModelJob
from tests.torture.observe import LANE_KEYS
from tests.torture.rules import PlainRules
from tests.torture.strategies import damages, picks

MANY_CLAIMS = 12


class Accidents(PlainRules):
    """Single accidents."""

    @rule(pick=picks, damage=damages)
    def hash_is_damaged(self, pick: int, damage: str) -> None:
        job = self.unended(pick)
        if job is not None:
            self.damage(job.id, damage)

    def damage(self, job_id: str, damage: str) -> None:
        """Break the hash of a job that has not ended, unless another one is broken already."""
        job = self.queue.jobs.get(job_id)
        if job is None or job.ended or any(other.damage for other in self.queue.jobs.values()):
            return
        self.run(self._damage(job, damage))
        job.damage = damage
        if damage == "type":
            self.queue.destroyed.add(job_id)

    def unended(self, pick: int) -> ModelJob | None:
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

    @rule(pick=picks, with_groups=st.booleans())
    def place_is_lost(self, pick: int, with_groups: bool) -> None:
        """Something outside removed a job from where it stood; the auditor puts it back."""
        job = self.unended(pick)
        if job is None or job.damage or not model_upkeep.books_balance(self.queue):
            return
        if with_groups:
            self.groups_are_destroyed()
        self.run(self._lose_place(job))
        self.janitor_sweeps()

    async def _lose_place(self, job: ModelJob) -> None:
        queue = self.queue
        if job.status in ("scheduled", "retrying"):
            await self.client.zrem(self.keys.scheduled, job.id)
            del queue.scheduled[job.id]
        elif job.status == "processing":
            await self.client.zrem(self.keys.leases, job.id)
            queue.leases.pop(job.id, None)
        elif job.status in ("waiting", "suspended"):
            await self.client.zrem(self.keys.index + job.status, job.id)
            del queue.index[job.status][job.id]
            if job.status == "waiting":
                await self.client.delete(self.keys.parents + job.id)
                queue.parents.pop(job.id, None)
                key = job.options.line_key or ""
                await self.client.zrem(f"{self.keys.flow_line}{job.home_lane}:{key}", job.id)
                queue.step_out(job.home_lane, key, job.id)
        elif job.id not in queue.leases and job.message and job.message.id:
            await self.client.xdel(self.keys.home + LANE_KEYS[job.lane], job.message.id)
            queue.remove_message(job.message)

    @rule()
    def auditor_visits_all(self) -> None:
        """Whether the books balance or not; where nothing is wrong, nothing changes."""
        self.run(Auditor(self.engine).mend())
        self.agree(lambda queue: model_upkeep.mend(queue, self.now))

    @rule()
    def groups_are_destroyed(self) -> None:
        self.run(self._destroy_groups())
        self.queue.destroy_groups()

    async def _destroy_groups(self) -> None:
        for name in LANE_KEYS.values():
            home = self.keys.home + name
            if await self.client.exists(home):
                await cast("Any", self.client).xgroup_destroy(home, self.engine.config.consumer_group)

    @rule()
    def scripts_are_flushed(self) -> None:
        self.run(cast("Any", self.client).script_flush())

    @rule()
    def everything_is_flushed(self) -> None:
        if len(self.given) <= MANY_CLAIMS:
            return
        self.run(self.client.flushall())
        self.queue.forget_all()
        self.specs.clear()
        self.before = {}
        self.history_read = 0
        self.run(self._make_event_group())
        for worker in self.workers.values():
            worker.last, worker.unanswered = None, False
        self.check()
