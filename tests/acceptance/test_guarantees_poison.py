"""Guarantee 5: a poison job dies alone, and a damaged one is set aside."""

import asyncio

import pytest

from penstock import Job, JobContext, JobStatus, Worker
from tests.conftest import MakeQueue
from tests.harness.ledger import Ledger
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import Workers, completed, ended, running, starts

INNOCENTS = 9


async def test_only_the_poison_job_is_dead_lettered(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """Each run of the poison job takes its worker process with it; somebody restarts workers."""
    queue = await make_queue(timings=FAST)
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
            worker = await workers.start(worker_id=worker_id, ready=False)
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
    assert {jobs[name].status for name in innocents} == {JobStatus.COMPLETED}
    poison = jobs["poison"]
    assert (poison.status, poison.crashes) == (JobStatus.FAILED, 4)
    assert poison.error == (
        "WorkerDied: the worker process died 4 times while it ran this job; the limit is 4"
    )
    assert starts(ledger)["poison"] == deaths[0] == 4
    assert (await queue.get_queue_stats())["dead_letters"] == 1
    # Two deaths shared with the poison job make a suspect; from then on suspects run one at a time.
    assert max(jobs[name].crashes for name in innocents) <= 2


async def test_suspects_run_one_at_a_time_beside_others(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """A worker that holds a suspect takes innocent jobs, but no second suspect."""
    queue = await make_queue(timings=FAST)
    gate = {"gate": str(workers.gate())}
    suspects = [f"suspect-{number}" for number in range(3)]
    await queue.enqueue_many([Job(gate, type="gated", id=name, max_attempts=9) for name in suspects])
    for death in (1, 2):
        worker = await workers.start()
        await ledger.count("start", 3 * death, 20)
        worker.kill()
        await worker.exited()
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


@pytest.mark.parametrize("damage", ["no status", "not a number", "wrong type", "spec is no JSON", "no spec"])
async def test_a_damaged_job_in_the_middle_of_a_batch_is_set_aside(
    make_queue: MakeQueue, server: Server, damage: str
) -> None:
    queue = await make_queue(timings=FAST)
    ids = [f"job-{number}" for number in range(9)]
    await queue.enqueue_many([Job({}, id=job_id) for job_id in ids])
    key = queue.engine.keys.job + "job-4"
    if damage == "no status":
        server.command("HDEL", key, "status")
    elif damage == "not a number":
        server.command("HSET", key, "attempt", "many")
    elif damage == "wrong type":
        server.command("DEL", key)
        server.command("LPUSH", key, "what")
    elif damage == "spec is no JSON":
        server.command("HSET", key, "spec", "{what")
    else:
        server.command("HDEL", key, "spec")
    ran: list[str] = []

    async def handler(ctx: JobContext) -> None:
        ran.append(ctx.id)

    async with running(Worker(queue, handler)):
        jobs = await ended(queue, ids)
        await queue.enqueue(Job({}, id="after"))
        await completed(queue, ["after"])
    assert sorted(ran) == sorted({*ids, "after"} - {"job-4"})
    damaged = jobs.pop("job-4")
    assert damaged.status is JobStatus.FAILED
    assert damaged.error is not None
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}
    stats = await queue.get_queue_stats()
    assert (stats["dead_letters"], stats["stream_length"], stats["failed"]) == (1, 0, 1)
