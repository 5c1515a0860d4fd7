"""Guarantee 4: an outage is not a death. Redis away or full: nothing is lost or started anew."""

import asyncio
from typing import Any, cast

import pytest

from penstock import Job, JobStatus, LeaseTimings, QueueUnavailableError, RedisStreamsQueue
from tests.conftest import MakeQueue
from tests.harness.ledger import Ledger
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import Workers, completed, counters, heartbeat_pids, starts, statuses, until

DEFAULT = LeaseTimings()
JOBS = 20


@pytest.mark.parametrize("how", ["frozen", "killed"])
@pytest.mark.parametrize(
    "timings",
    [pytest.param(FAST, id="short"), pytest.param(DEFAULT, id="default", marks=pytest.mark.slow)],
)
async def test_jobs_run_on_while_redis_is_away(
    make_queue: MakeQueue,
    fresh_valkey: Server,
    workers: Workers,
    ledger: Ledger,
    how: str,
    timings: LeaseTimings,
) -> None:
    """20 jobs run on two workers; half of them end while the server is away and settle on its return."""
    fresh_valkey.config_set("appendfsync", "always")
    queue = await make_queue(timings=timings)
    running = [await workers.start(timings=timings) for _ in range(2)]
    ids = [f"job-{number:02}" for number in range(JOBS)]
    early, late = workers.gate("early"), workers.gate("late")
    await queue.enqueue_many(
        [
            Job({"gate": str(late if number % 2 else early)}, type="gated", id=ids[number])
            for number in range(JOBS)
        ]
    )
    await ledger.count("start", JOBS)
    if how == "frozen":
        fresh_valkey.pause()
    else:
        fresh_valkey.kill()
    early.touch()
    await ledger.count("end", JOBS // 2)
    # The one wait by the clock: an outage is a length of time.
    await asyncio.sleep(4 * timings.presumed_dead_seconds)
    if how == "frozen":
        fresh_valkey.resume()
    else:
        await asyncio.to_thread(fresh_valkey.start)
    await completed(queue, ids[::2], 30)
    assert {job.status for job in await statuses(queue, ids[1::2])} == {JobStatus.PROCESSING}
    late.touch()
    jobs = await completed(queue, ids, 30)
    assert set(starts(ledger).values()) == {1}
    assert len(starts(ledger)) == JOBS
    assert {(job.attempts, job.crashes) for job in jobs.values()} == {(1, 0)}
    for worker in running:
        worker.terminate()
        assert await worker.exited() == 0
    assert sum(counters(worker)["jobs_completed"] for worker in running) == JOBS
    assert sum(counters(worker)["late_writes_refused"] for worker in running) == 0


async def test_full_memory_costs_no_lease_and_no_outcome(
    make_queue: MakeQueue, fresh_server: Server, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    holder = await workers.start()
    await workers.start(worker_id="taker")
    ids = [f"job-{number}" for number in range(6)]
    payload = {"gate": str(workers.gate())}
    await queue.enqueue_many([Job(payload, type="reports", id=job_id) for job_id in ids])
    await ledger.count("start", 6)
    fresh_server.config_set("maxmemory", 1)
    with pytest.raises(QueueUnavailableError, match=r"cannot take this command now: .*maxmemory"):
        await queue.enqueue(Job(id="refused"))
    lapse_before = await _leases(queue, ids)

    async def renewed_beyond_all_old_leases() -> bool:
        return min(await _leases(queue, ids)) > max(lapse_before) + FAST.lease_ms

    await until(renewed_beyond_all_old_leases)
    workers.gate().touch()
    jobs = await completed(queue, ids)
    assert set(starts(ledger).values()) == {1}
    assert {(job.attempts, job.crashes, job.progress) for job in jobs.values()} == {(1, 0, 100.0)}
    fresh_server.config_set("maxmemory", 0)
    await queue.enqueue(Job({}, type="quick", id="accepted"))
    await completed(queue, ["accepted"])
    assert await queue.get_status("refused") is None
    assert heartbeat_pids(holder)


async def _leases(queue: RedisStreamsQueue, ids: list[str]) -> list[float]:
    engine = queue.engine
    return [await cast("Any", engine.client.zscore(engine.keys.leases, job_id)) for job_id in ids]
