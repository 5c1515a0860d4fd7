"""Under load: few round trips, each job once, lanes share, and an idle worker is a quiet one."""

import asyncio
from collections import Counter

import pytest

from penstock import Job, JobContext, RedisStreamsQueue, Worker
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.ledger import Ledger
from tests.worker.fleet import FAST
from tests.worker.support import Workers, completed, running, starts, until

pytestmark = pytest.mark.usefixtures("valkey")


async def test_no_round_trip_per_job(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url)
    ids = [f"job-{number:04}" for number in range(2000)]
    await direct.enqueue_many([Job({}, id=job_id) for job_id in ids])
    ran: Counter[str] = Counter()

    async def handler(ctx: JobContext) -> None:
        ran[ctx.id] += 1
        await asyncio.sleep(0)

    before = proxy.commands.total()
    await Worker(queue, handler, max_concurrent=100).run_until_idle()
    assert ran == dict.fromkeys(ids, 1)
    assert (proxy.commands.total() - before) / len(ids) < 0.1, proxy.commands
    assert (await direct.get_queue_stats())["completed"] == 2000


async def test_slots_that_free_up_one_by_one_share_their_round_trips(
    make_queue: MakeQueue, proxy: FaultProxy
) -> None:
    """Jobs of uneven length at concurrency 100: what ends while a call is in flight shares the next."""
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url)
    await direct.enqueue_many([Job({"turns": number % 7}, id=f"job-{number:04}") for number in range(2000)])

    async def handler(ctx: JobContext) -> None:
        for _ in range(ctx.payload["turns"]):
            await asyncio.sleep(0.001)

    before = proxy.commands.total()
    await Worker(queue, handler, max_concurrent=100).run_until_idle()
    assert (proxy.commands.total() - before) / 2000 < 0.25, proxy.commands


@pytest.mark.slow
async def test_an_idle_worker_is_quiet(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    """With the default timings, beside a worker that holds jobs."""
    direct = await make_queue()
    queue = await make_queue(url=proxy.url)
    go_on = asyncio.Event()

    async def handler(_: JobContext) -> None:
        await go_on.wait()

    async with running(Worker(direct, handler)):
        ids = await direct.enqueue_many([Job({}) for _ in range(5)])
        await until(lambda: _all_run(direct))
        async with running(Worker(queue, handler)):
            await proxy.saw("BLPOP", 1)
            before = proxy.commands.total()
            await asyncio.sleep(20)
            assert proxy.commands.total() - before <= 40, proxy.commands
        go_on.set()
        await completed(direct, ids)


async def _all_run(queue: RedisStreamsQueue) -> bool:
    return (await queue.get_queue_stats())["processing"] == 5


async def test_two_workers_share_and_run_each_job_once(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    for _ in range(2):
        await workers.start(concurrency=4)
    ids = [f"job-{number:03}" for number in range(200)]
    await queue.enqueue_many([Job({}, type="quick", id=job_id) for job_id in ids])
    await completed(queue, ids)
    assert starts(ledger) == dict.fromkeys(ids, 1)
    by_worker = Counter(entry["worker"] for entry in ledger.entries("end"))
    assert set(by_worker) == {"w1", "w2"}


async def test_lanes_share_by_weight_and_none_starves(make_queue: MakeQueue) -> None:
    """Six high to three normal to one low, first in, first out within each lane."""
    queue = await make_queue(timings=FAST)
    for priority, lane in ((0, "normal"), (-5, "low"), (9, "high")):
        await queue.enqueue_many([Job({}, id=f"{lane}-{number:02}") for number in range(60)], priority)
    order: list[str] = []

    async def handler(ctx: JobContext) -> None:
        order.append(ctx.id)

    await Worker(queue, handler, max_concurrent=1).run_until_idle()
    for lane in ("high", "normal", "low"):
        mine = [job_id for job_id in order if job_id.startswith(lane)]
        assert mine == sorted(mine)
        assert len(mine) == 60
    first = Counter(job_id.partition("-")[0] for job_id in order[:50])
    assert first == {"high": 30, "normal": 15, "low": 5}
