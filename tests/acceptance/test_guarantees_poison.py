"""Guarantee 5: a poison job dies alone, and a damaged one is set aside."""

import asyncio

from penstock import Job, JobContext, JobStatus, LeaseTimings, RedisStreamsQueue, Worker
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.ledger import Ledger
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import Workers, calls, completed, ended, running, starts

INNOCENTS = 9
# A busy machine must not make a live worker look dead: that would charge its jobs with a crash more.
UNHURRIED = LeaseTimings(beat_seconds=0.5, presumed_dead_seconds=3.5, stall_seconds=8.0)


async def test_only_the_poison_job_is_dead_lettered(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """Each run of the poison job takes its worker process with it; somebody restarts workers."""
    queue = await make_queue(timings=UNHURRIED)
    innocents = [f"innocent-{number}" for number in range(INNOCENTS)]
    await queue.enqueue_many(
        [
            *(Job({"seconds": 0.4}, type="innocent", id=name) for name in innocents),
            Job({}, type="kills_its_process", id="poison", max_attempts=4),
        ]
    )
    deaths = [0]

    async def supervise(worker_id: str) -> None:
        while True:
            worker = await workers.start(worker_id=worker_id, ready=False, timings=UNHURRIED)
            code = await worker.exited(60)
            assert code == -9
            deaths[0] += 1

    supervisors = [asyncio.create_task(supervise(name)) for name in ("w1", "w2")]
    try:
        jobs = await ended(queue, [*innocents, "poison"], 60)
    finally:
        for supervisor in supervisors:
            supervisor.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)
    failures = [job for job in jobs.values() if job.status is not JobStatus.COMPLETED]
    assert [job.id for job in failures] == ["poison"], (failures, ledger.entries())
    poison = jobs["poison"]
    assert (poison.status, poison.crashes) == (JobStatus.FAILED, 4)
    assert poison.error == (
        "WorkerDied: the worker process died 4 times while it ran this job; the limit is 4"
    )
    assert starts(ledger)["poison"] == deaths[0] == 4
    assert (await queue.get_queue_stats())["dead_letters"] == 1
    # Two deaths shared with the poison job make a suspect; from then on suspects run one at a time.
    assert max(jobs[name].crashes for name in innocents) <= 2


async def suspects_of(queue: RedisStreamsQueue, workers: Workers, ledger: Ledger, count: int) -> list[str]:
    """Jobs that wait for the gate, and whose worker has died twice."""
    suspects = [f"suspect-{number}" for number in range(count)]
    gate = {"gate": str(workers.gate())}
    await queue.enqueue_many([Job(gate, type="gated", id=name, max_attempts=9) for name in suspects])
    for death in (1, 2):
        worker = await workers.start()
        await ledger.count("start", count * death, 20)
        worker.kill()
        await worker.exited()
    return suspects


async def test_suspects_run_one_at_a_time_beside_others(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """A worker that holds a suspect takes innocent jobs, but no second suspect."""
    queue = await make_queue(timings=FAST)
    suspects = await suspects_of(queue, workers, ledger, 3)
    worker = await workers.start(worker_id="last")
    await ledger.count("start", 7, 20)
    await queue.enqueue_many([Job({}, type="quick", id=f"quick-{number}") for number in range(5)])
    await completed(queue, [f"quick-{number}" for number in range(5)])
    assert sum(starts(ledger)[name] for name in suspects) == 7
    workers.gate().touch()
    jobs = await completed(queue, suspects)
    assert {job.crashes for job in jobs.values()} == {2}
    assert sum(starts(ledger)[name] for name in suspects) == 9
    worker.terminate()
    assert await worker.exited() == 0


async def test_a_suspects_seat_is_taken_until_it_is_settled(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, proxy: FaultProxy
) -> None:
    """Its result would die with the process if the next suspect were the poison."""
    queue = await make_queue(timings=FAST)
    suspects = await suspects_of(queue, workers, ledger, 2)
    rule = proxy.hold(calls("settle"), times=1)
    worker = await workers.start(worker_id="last", url=proxy.url)
    await ledger.count("start", 5, 20)
    workers.gate().touch()
    await rule.hit()
    # From then on no handler runs in the worker; what it asks for at the bell is like any other claim.
    await proxy.watch(calls("claim")).hit()
    for number in (1, 2):
        await queue.enqueue(Job({}, type="quick", id=f"quick-{number}"))
        await ledger.count("end", 1 + number, 20)
    assert sum(starts(ledger)[name] for name in suspects) == 5
    rule.release()
    await completed(queue, [*suspects, "quick-1", "quick-2"])
    assert sum(starts(ledger)[name] for name in suspects) == 6
    worker.terminate()
    assert await worker.exited() == 0


def damage(server: Server, key: str, how: int) -> None:
    """Damage a job's hash in one of six ways."""
    if how == 0:
        server.command("HDEL", key, "status")
    elif how == 1:
        server.command("HSET", key, "attempt", "many")
    elif how == 2:
        server.command("DEL", key)
        server.command("LPUSH", key, "what")
    elif how == 3:
        server.command("HSET", key, "spec", "{what")
    elif how == 4:
        server.command("HDEL", key, "spec")
    else:
        server.command("HSET", key, "status", "happy")


async def test_damaged_jobs_in_the_middle_of_a_batch_are_set_aside(
    make_queue: MakeQueue, server: Server
) -> None:
    queue = await make_queue(timings=FAST)
    ids = [f"job-{number:02}" for number in range(18)]
    damaged = ids[1::3]
    await queue.enqueue_many([Job({}, id=job_id) for job_id in ids])
    for how, job_id in enumerate(damaged):
        damage(server, queue.engine.keys.job + job_id, how)
    ran: list[str] = []

    async def handler(ctx: JobContext) -> None:
        ran.append(ctx.id)

    async with running(Worker(queue, handler, max_concurrent=18)):
        jobs = await ended(queue, ids)
        await completed(queue, [await queue.enqueue(Job({}, id="job-99"))])
    assert sorted(ran) == sorted({*ids, "job-99"} - set(damaged))
    for job_id in damaged:
        job = jobs.pop(job_id)
        assert job.status is JobStatus.FAILED
        assert job.error is not None
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}
    stats = await queue.get_queue_stats()
    assert (stats["dead_letters"], stats["stream_length"], stats["failed"]) == (6, 0, 6)
