"""Guarantee 6: lost replies do no harm. Nothing is stranded and nothing happens twice."""

import asyncio
from collections import Counter
from typing import Any, cast

import pytest

from penstock import Job, JobContext, QueueUnavailableError, Worker
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.worker.fleet import FAST
from tests.worker.support import calls, completed, running

IMPATIENT = "?socket_timeout=0.5"
JOBS = 20


@pytest.mark.parametrize("fault", ["swallow", "cut_after", "cut_before"])
@pytest.mark.parametrize("call", ["claim", "settle", "step", "progress"])
async def test_a_lost_reply_to_a_worker(
    make_queue: MakeQueue, proxy: FaultProxy, fault: str, call: str
) -> None:
    """Silent until the socket times out, cut once executed, or never executed: three times each."""
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url + IMPATIENT)
    ran: Counter[str] = Counter()
    stepped: Counter[str] = Counter()

    async def handler(ctx: JobContext) -> int:
        ran[ctx.id] += 1
        await ctx.progress(50, "half-way")

        def step() -> int:
            stepped[ctx.id] += 1
            return ctx.attempt

        return await ctx.step("only", step)

    rule = getattr(proxy, fault)(calls(call), times=3)
    ids = [f"job-{number:02}" for number in range(JOBS)]
    await direct.enqueue_many([Job({}, id=job_id) for job_id in ids])
    worker = Worker(queue, handler, max_concurrent=8)
    async with running(worker):
        await rule.hit(3)
        jobs = await completed(direct, ids)
    stats = worker.get_stats()
    assert (stats["jobs_processed"], stats["late_writes_refused"]) == (JOBS, 0)
    assert ran == stepped == dict.fromkeys(ids, 1)
    assert {(job.attempts, job.crashes, job.result) for job in jobs.values()} == {(1, 0, 1)}
    kept = await cast("Any", direct.engine.client.hget(direct.engine.keys.job + ids[0], "steps"))
    assert int(kept) == 1
    left = await direct.get_queue_stats()
    assert (left["stream_length"], left["pending_in_group"], left["completed"]) == (0, 0, JOBS)


@pytest.mark.parametrize("fault", ["swallow", "cut_after", "cut_before"])
async def test_a_lost_reply_to_a_caller(make_queue: MakeQueue, proxy: FaultProxy, fault: str) -> None:
    """Whether the jobs were taken is unknown; sending them again makes no double."""
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url + IMPATIENT)
    ids = [f"job-{number:02}" for number in range(JOBS)]
    rule = getattr(proxy, fault)(calls("enqueue"))
    with pytest.raises(QueueUnavailableError, match="did not answer"):
        await queue.enqueue_many([Job({}, id=job_id) for job_id in ids])
    await rule.hit()
    # Never sent again by the client itself.
    assert (await direct.get_queue_stats())["pending"] == (0 if fault == "cut_before" else JOBS)
    assert await queue.enqueue_many([Job({}, id=job_id) for job_id in ids]) == ids
    stats = await direct.get_queue_stats()
    assert (stats["pending"], stats["stream_length"]) == (JOBS, JOBS)
    ran: Counter[str] = Counter()

    async def handler(ctx: JobContext) -> None:
        ran[ctx.id] += 1

    async with running(Worker(direct, handler)):
        await completed(direct, ids)
    assert ran == dict.fromkeys(ids, 1)


async def test_a_stop_while_a_claims_reply_is_lost_gives_its_jobs_back(
    make_queue: MakeQueue, proxy: FaultProxy
) -> None:
    """What the unanswered claim took is asked for once more and released, rather than left to lapse."""
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url + IMPATIENT)

    async def handler(ctx: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    lost = proxy.swallow(calls("claim"), times=1)
    ids = [f"job-{number}" for number in range(5)]
    await direct.enqueue_many([Job({}, id=job_id) for job_id in ids])
    async with running(Worker(queue, handler)):
        await lost.hit()
        # Leaving the block stops the worker, whose claim has not been answered yet.
    jobs = [await direct.get_status(job_id) for job_id in ids]
    assert {(job.status, job.attempts, job.crashes) for job in jobs if job} == {("pending", 0, 0)}
