"""Guarantees 1 to 3: a zombie's writes are refused, a long job runs once, a dead worker's jobs go on."""

import asyncio
from pathlib import Path

import pytest

from penstock import Job, JobStatus, LeaseTimings
from tests.conftest import MakeQueue
from tests.harness.ledger import Ledger
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import (
    Workers,
    command_of,
    completed,
    counters,
    heartbeat_pids,
    starts,
    until,
)

DEFAULT = LeaseTimings()
BLOCKERS = ("holds_gil", "thread_holds_gil", "blocks_loop", "busy_loop")


def zombie_job(gate: Path, job_id: str = "slow") -> Job:
    return Job({"gate": str(gate)}, type="stubborn", id=job_id)


@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize(
    "timings", [pytest.param(FAST, id="short"), pytest.param(DEFAULT, id="default", marks=pytest.mark.slow)]
)
async def test_a_frozen_worker_that_wakes_up_may_not_write(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, timings: LeaseTimings
) -> None:
    queue = await make_queue(timings=timings)
    zombie = await workers.start(timings=timings)
    await queue.enqueue(zombie_job(workers.gate()))
    await ledger.count("start", 1)
    heir = await workers.start(timings=timings)
    zombie.stop_group()
    await ledger.until(lambda _: starts(ledger)["slow"] == 2, timings.presumed_dead_seconds + 10)
    workers.gate().touch()
    jobs = await completed(queue, ["slow"])
    workers.gate().unlink()
    assert (jobs["slow"].worker_id, jobs["slow"].result) == ("w2", {"attempt": 2})
    zombie.cont_group()
    # Its beat tells it first: the handler is cancelled, returns a result all the same, and is refused.
    await ledger.count("told", 1)
    await zombie.line("its complete was refused: the job is no longer ours")
    zombie.terminate()
    assert await zombie.exited() == 0
    assert counters(zombie)["late_writes_refused"] == 1
    assert counters(zombie)["jobs_completed"] == 0
    after = await completed(queue, ["slow"])
    assert after["slow"].result == {"attempt": 2}
    assert (after["slow"].attempts, after["slow"].crashes) == (2, 1)
    heir.terminate()
    assert await heir.exited() == 0


async def test_a_zombie_may_not_write_for_a_new_job_of_the_same_id(
    make_queue: MakeQueue, valkey: Server, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    zombie = await workers.start()
    await queue.enqueue(zombie_job(workers.gate("old")))
    await ledger.count("start", 1)
    zombie.stop_group()
    valkey.command("FLUSHALL")
    heir = await workers.start()
    # The new job's first lease has the same counter as the zombie's: the nonce tells them apart.
    await queue.enqueue(zombie_job(workers.gate("new")))
    await ledger.count("start", 2)
    zombie.cont_group()
    await zombie.line("its complete was refused: the job is no longer ours")
    job = await queue.get_status("slow")
    assert job is not None
    assert (job.status, job.worker_id, job.attempts) == (JobStatus.PROCESSING, "w2", 1)
    workers.gate("new").touch()
    jobs = await completed(queue, ["slow"])
    assert jobs["slow"].crashes == 0
    zombie.terminate()
    await zombie.exited()
    assert counters(zombie)["late_writes_refused"] == 1
    assert starts(ledger) == {"slow": 2}
    heir.terminate()
    await heir.exited()


@pytest.mark.parametrize(
    "timings",
    [
        pytest.param(LeaseTimings(0.25, 0.75, 10.0), id="short"),
        pytest.param(DEFAULT, id="default", marks=pytest.mark.slow),
    ],
)
async def test_a_job_that_blocks_everything_for_three_leases_runs_once(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, timings: LeaseTimings
) -> None:
    """One job each blocks four workers; a fifth would take a job whose lease lapses."""
    queue = await make_queue(timings=timings)
    seconds = 3 * timings.presumed_dead_seconds
    running = [
        await workers.start(timings=timings, concurrency=1, ready=False) for _ in range(len(BLOCKERS) + 1)
    ]
    for worker in running:
        await worker.line("running on", timeout_seconds=60)
    await queue.enqueue_many([Job({"seconds": seconds}, type=kind, id=kind) for kind in BLOCKERS])
    jobs = await completed(queue, BLOCKERS, seconds + 20)
    assert starts(ledger) == dict.fromkeys(BLOCKERS, 1)
    assert {(job.attempts, job.crashes) for job in jobs.values()} == {(1, 0)}
    for worker in running:
        worker.kill()


async def test_a_dead_workers_jobs_start_elsewhere_without_repeating_steps(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    victim = await workers.start()
    ids = [f"job-{number}" for number in range(4)]
    await queue.enqueue_many([Job({"gate": str(workers.gate())}, type="steps", id=job_id) for job_id in ids])
    await ledger.count("before-gate", 4)
    await workers.start()
    (beat,) = heartbeat_pids(victim)
    victim.kill()
    assert await victim.exited() == -9
    entries = await ledger.count("before-gate", 8)
    died_at = max(e["at_seconds"] for e in entries[:4])
    assert {entry["attempt"] for entry in entries[4:]} == {2}
    assert entries[4]["at_seconds"] >= died_at
    workers.gate().touch()
    jobs = await completed(queue, ids)
    steps = [(entry["job"], entry["step"]) for entry in ledger.entries("step")]
    assert len(steps) == len(set(steps)) == 12
    assert {tuple(job.result["made_in"]) for job in jobs.values()} == {(1, 1, 2)}
    assert {(job.attempts, job.crashes) for job in jobs.values()} == {(2, 1)}

    async def beat_is_gone() -> bool:
        return command_of(beat) == ""

    await until(beat_is_gone)


@pytest.mark.slow
async def test_a_dead_workers_jobs_are_first_in_line_within_20_seconds(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue()
    victim = await workers.start(timings=DEFAULT)
    await queue.enqueue(Job({"gate": str(workers.gate())}, type="gated", id="held"))
    await ledger.count("start", 1)
    await workers.start(timings=DEFAULT, concurrency=1)
    victim.kill()
    await victim.exited()
    # The survivor has one slot and a queue of others to fill it with.
    backlog = [Job({"seconds": 0.5}, type="innocent") for _ in range(200)]
    asked_at = asyncio.get_running_loop().time()
    await queue.enqueue_many(backlog)
    await ledger.until(
        lambda _: starts(ledger)["held"] == 2, 20 - (asyncio.get_running_loop().time() - asked_at)
    )


async def test_a_forked_child_does_not_keep_a_dead_workers_heart_beating(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """The child inherits the pipe whose end tells the heartbeat process that its worker is gone."""
    timings = LeaseTimings(0.3, 1.5, 60.0)
    queue = await make_queue(timings=timings)
    victim = await workers.start(timings=timings)
    payload = {"gate": str(workers.gate()), "child_seconds": 60}
    await queue.enqueue(Job(payload, type="forks_then_waits", id="forks"))
    await ledger.count("start", 1)
    await workers.start(timings=timings)
    victim.kill()
    await ledger.count("start", 2)
    workers.gate().touch()
    jobs = await completed(queue, ["forks"])
    assert jobs["forks"].crashes == 1
