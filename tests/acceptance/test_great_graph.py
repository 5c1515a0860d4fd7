"""A graph of ten thousand jobs with failures, cancellations and killed workers ends as its policies say."""

import random
from typing import Any

import pytest

from penstock import Job, RedisStreamsQueue
from tests.conftest import MakeQueue
from tests.worker.fleet import FAST
from tests.worker.support import Workers, until

JOBS = 10_000
KILLS = 5
CANCELLED_AT_ONCE = 60


def make_graph(seed: int) -> list[Job]:
    chance = random.Random(seed)
    jobs: list[Job] = []
    for number in range(JOBS):
        near = jobs[max(0, number - 400) :]
        parents = chance.sample(near, min(len(near), chance.choice([0, 1, 1, 1, 2, 4])))
        ends = "failed" if chance.random() < 0.01 else "completed"
        policy: Any = chance.choice(["cancel", "fail", "run", "run", "run"])
        jobs.append(
            Job(
                {"number": number, "ends": ends},
                type="node",
                id=f"n{number}",
                parents=[parent.id for parent in parents],
                on_parent_failure=policy,
                max_attempts=20,
            )
        )
    return jobs


async def read_ends(queue: RedisStreamsQueue, jobs: list[Job]) -> dict[str, str]:
    pipe: Any = queue.engine.client.pipeline(transaction=False)
    for job in jobs:
        pipe.hget(queue.engine.keys.job + job.id, "status")
    return {job.id: status.decode() for job, status in zip(jobs, await pipe.execute(), strict=True)}


@pytest.mark.timeout(300)
async def test_ten_thousand_jobs_end_as_a_plain_evaluation_says(
    make_queue: MakeQueue, workers: Workers
) -> None:
    queue = await make_queue(timings=FAST)
    jobs = make_graph(1)
    await queue.enqueue_many(jobs)
    chance = random.Random(2)
    asked: set[str] = set()
    handlers = "tests.acceptance.graph_jobs:handlers"
    crew = [await workers.start(handlers=handlers, worker_id=f"w{number}") for number in range(2)]

    async def is_over() -> bool:
        stats = await queue.get_queue_stats()
        return sum(stats[status] for status in ("completed", "failed", "cancelled")) == JOBS

    for kill in range(KILLS):
        before = (await queue.get_queue_stats())["completed"]

        async def has_gone_on(so_far: int = before) -> bool:
            return (await queue.get_queue_stats())["completed"] > so_far + 200 or await is_over()

        await until(has_gone_on, 60)
        chosen = [job.id for job in chance.sample(jobs, CANCELLED_AT_ONCE)]
        asked |= {job_id for job_id, will_end in (await queue.cancel_many(chosen)).items() if will_end}
        crew[kill % 2].kill()
        crew[kill % 2] = await workers.start(handlers=handlers, worker_id=f"again{kill}")

    await until(is_over, 120)
    ends = await read_ends(queue, jobs)
    for job in jobs:
        has_bad_parent = any(ends[parent] != "completed" for parent in job.parents)
        own = job.payload["ends"]
        if has_bad_parent and job.on_parent_failure != "run":
            own = "failed" if job.on_parent_failure == "fail" else "cancelled"
        assert ends[job.id] == own or (job.id in asked and ends[job.id] == "cancelled"), job.id
    for beginning in ("parents:", "children:", "fanout", "timers", "leases", "scheduled"):
        assert await queue.engine.client.keys(f"{queue.engine.keys.home}{beginning}*") == []
    books = await queue.engine.call("audit", {"group": queue.group_name})
    assert books[::2] == books[1::2]
