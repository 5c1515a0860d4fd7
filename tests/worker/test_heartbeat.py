"""The heartbeat: nothing starves it, nothing fools it, and it outlives neither its worker nor its use."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from penstock import Job, JobContext, JobStatus, LeaseTimings, RedisStreamsQueue, Worker
from penstock.core.errors import HeartbeatError, WorkerSupersededError
from penstock.worker.beat_board import HeldLease
from penstock.worker.beat_process import StallWatch, to_blame
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.ledger import Ledger
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server
from tests.harness.waiting import Signal
from tests.worker import jobs
from tests.worker.fleet import FAST
from tests.worker.support import (
    Workers,
    calls,
    completed,
    counters,
    has_status,
    heartbeat_pids,
    running,
    starts,
    until,
)

CALM = LeaseTimings(beat_seconds=0.5, presumed_dead_seconds=4.0, stall_seconds=30.0)
STALLING = LeaseTimings(beat_seconds=0.2, presumed_dead_seconds=1.0, stall_seconds=2.0)


@pytest.mark.parametrize("culprit", ["blocks_at_first", "thread_holds_gil_at_first"])
async def test_a_stalled_loop_lets_its_jobs_go(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, culprit: str
) -> None:
    """The stack is dumped, the job that is to blame pays with a crash, its neighbours with nothing."""
    queue = await make_queue(timings=STALLING)
    stalled = await workers.start(timings=STALLING)
    neighbours = [f"neighbour-{number}" for number in range(3)]
    payload = {"gate": str(workers.gate())}
    await queue.enqueue_many([Job(payload, type="parked_at_first", id=name) for name in neighbours])
    await ledger.count("start", 3)
    await queue.enqueue(Job({"seconds": 60}, type=culprit, id="culprit"))
    await ledger.count("start", 4)
    heir = await workers.start(timings=STALLING)
    await ledger.count("start", 8)
    await stalled.line(rf"in {culprit}$")
    done = await completed(queue, [*neighbours, "culprit"])
    assert {entry["worker"] for entry in ledger.entries("end")} == {"w2"}
    assert (done["culprit"].attempts, done["culprit"].crashes) == (2, 1)
    assert {(done[name].attempts, done[name].crashes) for name in neighbours} == {(1, 0)}
    stalled.kill()
    heir.terminate()
    assert await heir.exited() == 0


async def test_a_worker_goes_on_after_a_stall(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    """It is told which of its jobs are no longer its own, and may take them up again itself."""
    queue = await make_queue(timings=STALLING)
    worker = await workers.start(timings=STALLING)
    gate = str(workers.gate())
    await queue.enqueue(Job({"gate": gate}, type="gated", id="neighbour"))
    await ledger.count("start", 1)
    await queue.enqueue(Job({"seconds": 3.5}, type="blocks_at_first", id="culprit"))
    await worker.line("event loop stood still for more than 2 s")
    await ledger.count("start", 3)
    workers.gate().touch()
    done = await completed(queue, ["neighbour", "culprit"])
    # Nobody had taken the culprit when it ended after all, so its result counted.
    assert (done["culprit"].attempts, done["culprit"].crashes) == (1, 0)
    assert (done["neighbour"].attempts, done["neighbour"].crashes) == (1, 0)
    assert starts(ledger) == {"neighbour": 2, "culprit": 1}
    worker.terminate()
    assert await worker.exited() == 0
    assert counters(worker)["jobs_completed"] == 2


def test_a_frozen_machine_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("penstock.worker.beat_process.time.monotonic", lambda: now[0])
    watch = StallWatch(LeaseTimings(5.0, 15.0, 120.0), 120.0)

    def after(seconds: float, turns: int) -> bool:
        now[0] += seconds
        return watch.is_over(turns)

    assert not after(5, 1)
    # Frozen for an hour, together with the worker: the loop has not turned, but nobody saw it stand.
    assert not after(3600, 1)
    assert not after(5, 2)
    assert not any(after(5, 2) for _ in range(24))
    assert after(5, 2)
    assert not after(5, 3)


def test_only_what_can_have_stopped_the_loop_is_blamed() -> None:
    on_loop, beside, in_thread = (
        HeldLease(1, False, "on-loop", "1:a"),
        HeldLease(2, False, "beside", "1:a"),
        HeldLease(3, True, "in-thread", "1:a"),
    )
    leases = [on_loop, beside, in_thread]
    assert to_blame(leases, serial=1, is_gil_held=False) == [on_loop]
    assert to_blame(leases, serial=0, is_gil_held=False) == []
    assert to_blame(leases, serial=0, is_gil_held=True) == [in_thread]
    assert to_blame(leases, serial=1, is_gil_held=True) == [on_loop, in_thread]


async def test_a_killed_heartbeat_is_started_anew_and_no_lease_is_lost(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=CALM)
    worker = await workers.start(timings=CALM)
    await queue.enqueue(Job({"gate": str(workers.gate())}, type="gated", id="job"))
    await ledger.count("start", 1)
    lease = await has_status(queue, "job", JobStatus.PROCESSING)
    (first,) = heartbeat_pids(worker)
    os.kill(first, signal.SIGKILL)
    await worker.line("its process died; starting it anew")

    async def another() -> bool:
        return heartbeat_pids(worker) not in ([], [first])

    await until(another)
    taker = await workers.start(timings=CALM)
    seen = await _beats(queue, worker_id="w1", count=3)
    assert seen
    workers.gate().touch()
    done = await completed(queue, ["job"])
    assert done["job"].worker_id == lease.worker_id == "w1"
    assert (done["job"].attempts, done["job"].crashes) == (1, 0)
    for process in (worker, taker):
        process.terminate()
        assert await process.exited() == 0


async def _beats(queue: RedisStreamsQueue, worker_id: str, count: int) -> bool:
    """Wait until a worker has been seen to beat so many times."""
    engine = queue.engine
    seen: set[bytes] = set()

    async def enough() -> bool:
        seen.add(await cast("Any", engine.client.hget(engine.keys.workers, worker_id)))
        return len(seen) > count

    return await until(enough)


async def test_a_worker_whose_heartbeat_keeps_dying_stops(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=CALM)
    worker = await workers.start(timings=CALM)
    await queue.enqueue(Job({"gate": str(workers.gate())}, type="gated", id="job"))
    await ledger.count("start", 1)
    killed: set[int] = set()

    async def kill_next() -> bool:
        for pid in set(heartbeat_pids(worker)) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return len(killed) == 5

    await until(kill_next)
    assert await worker.exited() == 1
    assert (
        worker.stdout[-1]
        == f"{HeartbeatError.__name__}: the heartbeat process died five times within a minute"
    )
    job = await queue.get_status("job")
    assert job is not None
    assert (job.status, job.attempts, job.crashes) == (JobStatus.PENDING, 0, 0)


async def test_the_older_of_two_processes_with_one_id_stops(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue(timings=FAST)
    older = await workers.start(worker_id="twin")
    await queue.enqueue(Job({"gate": str(workers.gate())}, type="gated", id="job"))
    await ledger.count("start", 1)
    newer = await workers.start(worker_id="twin")
    assert await older.exited() == 1
    assert older.stdout[-1].startswith(
        f"{WorkerSupersededError.__name__}: another process started as worker 'twin'; this one stops."
    )
    assert sum("another process started as worker" in line for line in older.stderr) == 1
    await ledger.count("start", 2)
    workers.gate().touch()
    done = await completed(queue, ["job"])
    assert (done["job"].attempts, done["job"].crashes) == (1, 0)
    newer.terminate()
    assert await newer.exited() == 0


async def test_a_silent_connection_costs_no_lease(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, tmp_path: Path
) -> None:
    """The heartbeat's connection goes half-open: it must give up on it while the lease still lasts."""
    proxy = await make_proxy(valkey)
    direct = await make_queue(timings=CALM)
    queue = await make_queue(timings=CALM, url=proxy.url)
    gate = tmp_path / "gate"
    handlers = {"gated": jobs.gated_quietly}
    async with running(Worker(queue, handlers, worker_id="w1")):
        await direct.enqueue(Job({"gate": str(gate)}, type="gated", id="job"))
        await has_status(direct, "job", JobStatus.PROCESSING)
        # The other worker shows that the server is there all the time, and would take what lapses.
        async with running(Worker(direct, handlers, worker_id="w2")):
            renewals = calls("renew")
            silent = proxy.swallow(renewals, times=1)
            await silent.hit()
            again = proxy.watch(renewals)
            await again.hit(3)
            gate.touch()
            done = await completed(direct, ["job"])
    assert (done["job"].worker_id, done["job"].crashes) == ("w1", 0)


async def test_thousands_of_lost_leases_are_told(make_queue: MakeQueue, valkey: Server) -> None:
    """One message names them all, however long their ids are."""
    queue = await make_queue(timings=FAST)
    started: list[str] = []
    told: list[str] = []
    changed = Signal()

    async def waits(ctx: JobContext) -> None:
        started.append(ctx.id)
        changed.notify()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append(ctx.id)
            changed.notify()
            raise

    ids = [f"{number:03}-" + "x" * 190 for number in range(600)]
    worker = Worker(queue, waits, max_concurrent=600)
    async with running(worker):
        await queue.enqueue_many([Job(id=job_id) for job_id in ids])
        await changed.until(lambda: len(started) == 600, 20, lambda: f"{len(started)} started")
        valkey.command("FLUSHALL")
        await changed.until(lambda: len(told) == 600, 20, lambda: f"{len(told)} told")
        await queue.enqueue(Job(id="next"))
        await changed.until(lambda: started[-1] == "next", 20, lambda: "the worker went on")


async def test_a_message_to_a_dead_worker_ends_the_heartbeat_quietly(processes: ProcessStarter) -> None:
    process = await processes.python(
        "-c",
        "import os, sys, threading\n"
        "from penstock.worker.beat_process import Teller\n"
        "reading, writing = os.pipe()\n"
        "os.close(reading)\n"
        "os.dup2(writing, sys.stdout.fileno())\n"
        "Teller()(lost=[])\n"
        "threading.Event().wait()\n",
    )
    assert await process.exited() == 0
    assert process.stderr == []
