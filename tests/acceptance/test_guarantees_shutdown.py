"""Guarantee 9: at shutdown work finishes within the grace time or is released unspent, first in line."""

import os
import signal

import pytest

from penstock import Job, JobStatus
from tests.conftest import MakeQueue
from tests.harness.ledger import Ledger
from tests.worker.fleet import FAST
from tests.worker.support import (
    Workers,
    children,
    command_of,
    completed,
    counters,
    starts,
    statuses,
    until,
)

pytestmark = pytest.mark.usefixtures("valkey")
KINDS = ("gated", "gated_thread")


async def test_jobs_in_flight_at_sigterm_finish_or_are_released(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    worker = await workers.start(concurrency=50, grace_seconds=1.5)
    soon, never = workers.gate("soon"), workers.gate("never")
    finishing = [f"finishing-{number:02}" for number in range(25)]
    held = [f"held-{number:02}" for number in range(25)]
    await queue.enqueue_many(
        [
            Job({"gate": str(soon if job_id in finishing else never)}, type=KINDS[number % 2], id=job_id)
            for number, job_id in enumerate([*finishing, *held])
        ]
    )
    await ledger.count("start", 50)
    behind = await queue.enqueue_many([Job({}, type="quick") for _ in range(10)])
    worker.terminate()
    await worker.line("stopping; 50 jobs have 1.5 s to finish")
    soon.touch()
    assert await worker.exited() == 0
    told = counters(worker)
    assert (told["jobs_completed"], told["jobs_released"]) == (25, 25)
    jobs = await statuses(queue, held)
    assert {(job.status, job.attempts, job.crashes) for job in jobs} == {(JobStatus.PENDING, 0, 0)}
    assert {job.attempts for job in (await completed(queue, finishing)).values()} == {1}

    never.touch()
    await workers.start(concurrency=5)
    jobs_by_id = await completed(queue, [*held, *behind])
    claimed_at = {job_id: job.started_at or 0.0 for job_id, job in jobs_by_id.items()}
    assert max(claimed_at[job_id] for job_id in held) <= min(claimed_at[job_id] for job_id in behind)
    assert {jobs_by_id[job_id].attempts for job_id in held} == {1}
    assert starts(ledger) == dict.fromkeys(finishing, 1) | dict.fromkeys(held, 2) | dict.fromkeys(behind, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_releases_at_once(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, number: signal.Signals
) -> None:
    queue = await make_queue(timings=FAST)
    worker = await workers.start(grace_seconds=600.0)
    await queue.enqueue(Job({"gate": str(workers.gate())}, type="gated", id="job"))
    await ledger.count("start", 1)
    os.kill(worker.pid, number)
    await worker.line("stopping; 1 jobs have 600 s to finish")
    os.kill(worker.pid, number)
    assert await worker.exited() == 0
    (job,) = await statuses(queue, ["job"])
    assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


async def test_what_does_not_listen_holds_nobody_up(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """Functions in threads and processes that never look: released, and the process ends."""
    queue = await make_queue(timings=FAST)
    worker = await workers.start(grace_seconds=0.2)
    gate = str(workers.gate())
    await queue.enqueue(Job({"gate": gate}, type="deaf_thread", id="thread"))
    await queue.enqueue(Job({"gate": gate, "name": "process"}, type="child_waits", id="process"))
    await ledger.count("start", 2)
    worker.terminate()
    assert await worker.exited() == 0
    jobs = await statuses(queue, ["thread", "process"])
    assert {(job.status, job.attempts, job.crashes) for job in jobs} == {(JobStatus.PENDING, 0, 0)}
    assert ledger.entries("end") == []


async def test_a_signal_to_the_whole_group_ends_no_job_early(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """As service managers and terminals send it: heartbeat and pool processes leave it to the worker."""
    queue = await make_queue(timings=FAST)
    worker = await workers.start(grace_seconds=60.0)
    await queue.enqueue(Job({"gate": str(workers.gate()), "name": "job"}, type="child_waits", id="job"))
    await ledger.count("start", 1)
    os.killpg(worker.pid, signal.SIGTERM)
    await worker.line("stopping; 1 jobs have 60 s to finish")
    workers.gate().touch()
    assert await worker.exited() == 0
    done = await completed(queue, ["job"])
    assert (done["job"].attempts, done["job"].crashes) == (1, 0)


async def test_a_killed_worker_leaves_no_process_behind(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    worker = await workers.start()
    await queue.enqueue(Job({"gate": str(workers.gate()), "name": "job"}, type="child_waits", id="job"))
    await ledger.count("start", 1)
    family = children(worker.pid)
    assert len(family) >= 2
    worker.kill()
    await worker.exited()

    async def all_gone() -> bool:
        return not any(_is_alive(pid) for pid in family)

    await until(all_gone)


def _is_alive(pid: int) -> bool:
    command = command_of(pid)
    return bool(command) and "resource_tracker" not in command
