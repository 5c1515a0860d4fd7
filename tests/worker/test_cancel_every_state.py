"""A cancelled job in every state: one truthful end, and nothing held afterwards.

Each job holds a place under its key, a unique key and a child that waits for it.
"""

import asyncio
import itertools
import random
import threading
import time
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, RedisStreamsQueue, Worker, in_process
from tests.conftest import MakeQueue
from tests.worker.fleet import FAST
from tests.worker.support import Workers, has_status, running

pytestmark = pytest.mark.usefixtures("server")

RACES = 40


def burdened(job_id: str = "a", **given: Any) -> Job:
    """A job that holds whatever a job can hold."""
    return Job(
        id=job_id,
        concurrency_key="k",
        concurrency_limit=1,
        unique_key=f"u-{job_id}",
        expires_at=time.time() + 3600,
        **given,
    )


async def assert_nothing_held(queue: RedisStreamsQueue) -> None:
    """No place, key, timer, line or waiting child is left, and the books balance."""
    client: Any = queue.engine.client
    await queue.engine.promote()
    for kind in (
        "holders:",
        "unique:",
        "timers",
        "line:",
        "turns:",
        "parents:",
        "children:",
        "fanout",
        "leases",
    ):
        assert await client.keys(f"{queue.engine.keys.home}{kind}*") == [], kind
    books = await queue.engine.call("audit", {"group": queue.group_name})
    assert books[::2] == books[1::2]


async def assert_cancelled(queue: RedisStreamsQueue, job_id: str = "a") -> None:
    """It, and the child that waited for it, ended as cancelled."""
    await has_status(queue, job_id, JobStatus.CANCELLED)
    await queue.engine.promote()
    child = await queue.get_status("child")
    assert child is not None
    assert child.status is JobStatus.CANCELLED
    assert "ended as cancelled" in str(child.error)
    await assert_nothing_held(queue)


async def wait_for_good(ctx: JobContext) -> None:
    await asyncio.Event().wait()


async def suspend(ctx: JobContext) -> None:
    await ctx.suspend("for a word")


async def fail(ctx: JobContext) -> None:
    raise ConnectionError("for now")


def look_up(ctx: JobContext) -> None:
    while not ctx.cancelled:
        threading.Event().wait(0.01)


def sleep_long(payload: Any) -> None:
    time.sleep(3600)


@pytest.mark.parametrize("state", ["key", "parent", "scheduled"])
async def test_before_it_starts(make_queue: MakeQueue, state: str) -> None:
    queue = await make_queue()
    if state == "parent":
        await queue.enqueue(Job(id="parent"), delay_seconds=60)
    parents = ["parent"] if state == "parent" else []
    await queue.enqueue(burdened(parents=parents), delay_seconds=60 if state == "scheduled" else 0)
    await queue.enqueue(Job(id="child", parents=["a"]))
    assert await queue.cancel("a")
    if state == "parent":
        await queue.cancel("parent")
    await assert_cancelled(queue)


@pytest.mark.parametrize(
    ("handler", "state"),
    [
        (fail, JobStatus.RETRYING),
        (suspend, JobStatus.SUSPENDED),
        (wait_for_good, JobStatus.PROCESSING),
        (look_up, JobStatus.PROCESSING),
        (in_process(sleep_long), JobStatus.PROCESSING),
    ],
    ids=["retrying", "suspended", "async", "thread", "process"],
)
async def test_after_it_has_started(make_queue: MakeQueue, handler: Any, state: JobStatus) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue(burdened())
    await queue.enqueue(Job(id="child", parents=["a"]))
    async with running(Worker(queue, handler)):
        await has_status(queue, "a", state)
        assert await queue.cancel("a")
        await assert_cancelled(queue)


async def test_while_its_worker_is_dead(make_queue: MakeQueue, workers: Workers) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue(burdened(type="gated", payload={"gate": str(workers.gate())}))
    await queue.enqueue(Job(id="child", parents=["a"]))
    doomed = await workers.start()
    await has_status(queue, "a", JobStatus.PROCESSING)
    doomed.kill()
    assert await queue.cancel("a")
    async with running(Worker(queue, wait_for_good)):
        await assert_cancelled(queue)


async def test_in_a_race_with_completion(make_queue: MakeQueue) -> None:
    """Whatever wins, the job says what happened: completed with its result, or cancelled."""
    queue = await make_queue(timings=FAST)
    finished: set[str] = set()
    gates: dict[str, asyncio.Event] = {}
    chance = random.Random(1)

    async def handler(ctx: JobContext) -> str:
        await gates.setdefault(ctx.id, asyncio.Event()).wait()
        finished.add(ctx.id)
        return ctx.id

    async def begin(most_round_trips: int) -> None:
        """Wait for some answers of the server: the race is won or lost by a few of them."""
        for _ in range(chance.randint(0, most_round_trips)):
            await queue.get_status("nobody")

    async def race(job_id: str, most_round_trips: int) -> JobStatus:
        gate = gates.setdefault(job_id, asyncio.Event())
        key = f"k{chance.randrange(3)}"
        await queue.enqueue(Job(id=job_id, concurrency_key=key, unique_key=job_id))
        await has_status(queue, job_id, JobStatus.PROCESSING)

        async def go_on() -> None:
            await begin(most_round_trips)
            gate.set()

        async def cancel() -> None:
            await begin(most_round_trips)
            await queue.cancel(job_id)

        await asyncio.gather(go_on(), cancel())
        job = await ended_one(queue, job_id)
        assert job.status in (JobStatus.COMPLETED, JobStatus.CANCELLED)
        assert (job.status is JobStatus.COMPLETED) <= (job_id in finished)
        assert (job.status is JobStatus.COMPLETED) is (job.result == job_id)
        return job.status

    async with running(Worker(queue, handler, max_concurrent=RACES)):
        seen: set[JobStatus] = set()
        # How far apart the two must start for each to win sometimes is the machine's to say.
        for heat in itertools.count():
            races = (race(f"r{heat}-{number}", 2**heat) for number in range(RACES))
            seen.update(await asyncio.gather(*races))
            if seen == {JobStatus.COMPLETED, JobStatus.CANCELLED}:
                break
    await assert_nothing_held(queue)


async def ended_one(queue: RedisStreamsQueue, job_id: str) -> Job:
    """The job as soon as it has ended."""
    (status,) = await queue.engine.watch([job_id])
    while not JobStatus(status).is_final:
        await asyncio.sleep(0.02)
        (status,) = await queue.engine.watch([job_id])
    job = await queue.get_status(job_id)
    assert job is not None
    return job
