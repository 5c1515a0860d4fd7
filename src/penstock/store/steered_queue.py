"""The verbs for jobs that are there, and for the queue as a whole: look, cancel, signal, pause."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, cast

from penstock.core.codec import encode_payload
from penstock.core.errors import InvalidJobError
from penstock.core.job import Job
from penstock.core.names import check_job_id, check_signal_name, is_resume_signal
from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.exports import export_job
from penstock.store.forks import fork_job
from penstock.store.holding_queue import HoldingQueue
from penstock.store.limits import Limits
from penstock.store.records import load_job
from penstock.store.script_calls import BATCH
from penstock.store.statistics import read_stats

_CANCELLED = ("cancelled", "cancelling")


class SteeredQueue(HoldingQueue):
    """A queue whose jobs are looked at, cancelled and signalled by id, on whichever queue they are."""

    @cached_property
    def limits(self) -> Limits:
        """What the queue's keys may do: places at once, rates, pauses."""
        return Limits(self.engine)

    async def get_status(self, job_id: str) -> Job | None:
        """The job as it stands, looked up here and then in all registered queues."""
        check_job_id(job_id)
        found = await load_job(self.engine, job_id, self.queue_name)
        if found is not None:
            return found
        name = await self._reach.find(job_id, but=self.queue_name)
        return None if name is None else await load_job(self._reach.engine(name), job_id, name)

    async def cancel(self, job_id: str) -> bool:
        """Cancel the job: at once if it is not running, else as soon as its handler has stopped.

        ``False`` for a job that has ended or is not kept. A running handler is told within one
        heartbeat.
        """
        check_job_id(job_id)
        code = (await self.engine.cancel([job_id]))[0]
        if code == "gone":
            name = await self._reach.find(job_id, but=self.queue_name)
            if name is None:
                return False
            code = (await self._reach.engine(name).cancel([job_id]))[0]
        return code in ("cancelled", "cancelling")

    async def get_queue_stats(self) -> dict[str, int]:
        """Exact counts by status, ``stream_length`` (ready and running jobs), ``pending_in_group``."""
        return await read_stats(self.engine)

    async def cancel_many(self, job_ids: Iterable[str]) -> dict[str, bool]:
        """Cancel many jobs, 64 a round trip; for each id what ``cancel`` would have answered."""
        wanted = list(dict.fromkeys(check_job_id(job_id) for job_id in job_ids))
        answers: dict[str, bool] = {}
        for at in range(0, len(wanted), BATCH):
            batch = wanted[at : at + BATCH]
            for job_id, code in zip(batch, await self.engine.cancel(batch), strict=True):
                answers[job_id] = await self.cancel(job_id) if code == "gone" else code in _CANCELLED
        return answers

    async def signal(self, job_id: str, name: str, value: Any = None) -> bool:
        """Give the job the signal ``name`` with ``value`` (JSON); ``False`` if it has ended or is not kept.

        A signal may come before the job waits for it: the first wait for a name gets the first signal
        of that name, and so on. Raises ``InvalidJobError`` when a job has too many signals, or ``value``
        is not JSON.
        """
        check_signal_name(check_job_id(job_id) and name)
        engine = await self._home_of(job_id)
        return engine is not None and await _give(engine, job_id, name, value)

    async def resume_job(self, job_id: str, value: Any = None) -> bool:
        """Let a job that was suspended by ``ctx.suspend`` go on, with ``value`` as what it returns.

        ``False`` for a job that is not suspended so. Resuming twice answers one suspension once.
        """
        engine = await self._home_of(check_job_id(job_id))
        if engine is None:
            return False
        with translated(engine.where):
            awaits, status = await cast(
                "Any", engine.client.hmget(engine.keys.job + job_id, "awaits", "status")
            )
        name = (awaits or b"").decode().rpartition("#")[0]
        if status != b"suspended" or not is_resume_signal(name):
            return False
        return await _give(engine, job_id, name, value)

    async def fork(
        self, job_id: str, from_step: str | None, payload: Any = None, new_id: str | None = None
    ) -> str:
        """Enqueue a copy of a job that has finished what was called before ``from_step``; returns its id.

        Type, options and, unless given, payload are the old job's; ``None`` for ``from_step`` copies every
        finished step. Only ``from_step`` and what follows it runs. Raises ``JobNotFoundError`` when the
        job is not kept, ``StepError`` when it has no finished step of that name, ``InvalidJobError`` when
        ``new_id`` is taken.
        """
        engine = await self._home_of(check_job_id(job_id))
        return await fork_job(engine or self.engine, job_id, from_step, payload, new_id)

    async def export_job(self, job_id: str) -> dict[str, Any]:
        """What ``penstock.replay`` needs to run the job's handler again, offline, as JSON-able values.

        Raises ``JobNotFoundError`` when the job is not kept.
        """
        engine = await self._home_of(check_job_id(job_id))
        return await export_job(engine or self.engine, job_id)

    async def pause(self) -> None:
        """Have no more jobs of this queue started, by any worker; what runs goes on, enqueueing too."""
        await (await self._reach.prepared(self.queue_name)).pause()

    async def resume(self) -> None:
        """Have the jobs of a paused queue started again."""
        await (await self._reach.prepared(self.queue_name)).resume()

    async def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return await self.engine.is_paused()

    async def _home_of(self, job_id: str) -> Engine | None:
        """The engine of the queue that keeps the job, this one first."""
        with translated(self.engine.where):
            is_here = await cast("Any", self.engine.client.exists(self.engine.keys.job + job_id))
        if is_here:
            return self.engine
        name = await self._reach.find(job_id, but=self.queue_name)
        return None if name is None else self._reach.engine(name)


async def _give(engine: Engine, job_id: str, name: str, value: Any) -> bool:
    code = await engine.signal(job_id, name, encode_payload(value, f"value of signal {name!r}"))
    if code == "full":
        raise InvalidJobError(
            f"job {job_id} has as many signals as a job may keep: it does not wait for them"
        )
    return code in ("woken", "stored")
