"""The producer: a careful client, which repeats an enqueue under the same ids until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import islice

from penstock.core.errors import QueueUnavailableError
from penstock.core.job import Job
from penstock.store.streams import RedisStreamsQueue
from penstock.torture.faults import REPEATED_SECONDS
from penstock.torture.scenarios import Scenario
from penstock.torture.work import even_jobs, mixed_jobs

BATCH = 12
BULK = 1024
BETWEEN_BATCHES_SECONDS = 0.15
AGAIN_SECONDS = 0.2
#: Lanes, and delays in seconds, each as often as it stands here.
PRIORITIES, DELAYS = (-1, 0, 0, 0, 1), (0, 0, 0, 0.4)


class Producer:
    """Enqueues jobs and remembers which were acknowledged, and when."""

    def __init__(self, queue: RedisStreamsQueue, scenario: Scenario, seed: int) -> None:
        """Enqueue to ``queue`` what ``scenario`` asks for."""
        self._queue = queue
        self._stock = even_jobs(scenario.work_ms, seed) if scenario.jobs else mixed_jobs(seed)
        self._chance = random.Random(f"{seed}:producer")  # noqa: S311 - seeded, so that a run can be repeated
        self.jobs: dict[str, Job] = {}
        self.acknowledged: dict[str, float] = {}
        self.notes: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        """Enqueue small batches of all kinds until ``over``."""
        while not over.is_set():
            jobs = self.take(BATCH)
            await self.enqueue(jobs, self._chance.choice(PRIORITIES), self._chance.choice(DELAYS))
            await asyncio.sleep(BETWEEN_BATCHES_SECONDS)

    async def bulk(self, count: int) -> None:
        """Enqueue ``count`` jobs as fast as they go."""
        while count > 0:
            await self.enqueue(self.take(min(count, BULK)))
            count -= BULK

    async def enqueue(self, jobs: Sequence[Job], priority: int = 0, delay_seconds: float = 0) -> None:
        """Enqueue jobs, again and again until the server has acknowledged them."""
        while True:
            try:
                ids = await self._queue.enqueue_many(jobs, priority, delay_seconds=delay_seconds)
            except QueueUnavailableError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.acknowledged.update(dict.fromkeys(ids, time.time()))
                return

    async def repeat(self, lost_at: float) -> None:
        """Enqueue by id what was acknowledged shortly before ``lost_at`` and since; note what was lost."""
        again = [job_id for job_id, at in list(self.acknowledged.items()) if at >= lost_at - REPEATED_SECONDS]
        missing = []
        for job_id in again:
            while True:
                try:
                    if await self._queue.get_status(job_id) is None:
                        missing.append(job_id)
                    break
                except QueueUnavailableError:
                    await asyncio.sleep(AGAIN_SECONDS)
        if missing:
            times = [self.acknowledged[job_id] - lost_at for job_id in missing]
            self.notes.append(
                f"{len(missing)} of {len(again)} enqueues around a fault were lost and repeated by id: "
                f"acknowledged from {min(times):+.2f} s to {max(times):+.2f} s of its beginning"
            )
        for at in range(0, len(again), BULK):
            await self.enqueue([self.jobs[job_id] for job_id in again[at : at + BULK]])

    def take(self, count: int) -> list[Job]:
        """The next ``count`` jobs, remembered but not enqueued yet."""
        jobs = list(islice(self._stock, count))
        self.jobs.update((job.id, job) for job in jobs)
        return jobs
