"""A worker's life: started, stopped, started again, in any weather, and nothing of it left behind."""

import asyncio
import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, QueueUnavailableError, Worker, create_redis_queue
from penstock.core.errors import WorkerError
from penstock.store.embedded.ports import free_port
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import children, command_of, completed, has_status, running, statuses, until


async def quick(ctx: JobContext) -> str:
    return ctx.id


async def endless(_: JobContext) -> None:
    await asyncio.get_running_loop().create_future()


def quick_thread(ctx: JobContext) -> str:
    return ctx.id


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def standing() -> tuple[int, int, list[int]]:
    """Tasks, open files and children of this process."""
    return len(asyncio.all_tasks()), open_files(), children(os.getpid())


@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("rounds", [6, pytest.param(20, marks=pytest.mark.slow)])
async def test_quick_rounds_leave_nothing(make_queue: MakeQueue, rounds: int) -> None:
    # What serves the whole process, as the thread behind `enqueue_sync`, may be there from before.
    threads_before = _job_threads()
    queue = await make_queue(timings=FAST)
    once = Worker(queue, quick_thread, worker_id="again")
    await queue.enqueue(Job({}, id="first"))
    await once.run_until_idle()
    # As many connections as will ever be in use at once; a worker closes the one on which it listened.
    await asyncio.gather(*(queue.get_status("first") for _ in range(30)))
    before = standing()
    for number in range(rounds):
        worker = once if number % 2 else Worker(queue, quick, max_concurrent=3)
        ids = [f"job-{number}-{place}" for place in range(5)]
        await queue.enqueue_many([Job({}, id=job_id) for job_id in ids])
        if number % 3:
            await worker.run_until_idle()
        else:
            async with running(worker):
                await completed(queue, ids)
        assert {job.status for job in await statuses(queue, ids)} == {JobStatus.COMPLETED}
        assert not worker.is_running

    async def no_thread_is_new() -> bool:
        return _job_threads() <= threads_before

    await until(no_thread_is_new)
    tasks, files, processes = standing()
    assert (tasks, processes) == (before[0], before[2])
    assert files <= before[1]


def _job_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("penstock")}


@pytest.mark.uvloop
@pytest.mark.usefixtures("valkey")
async def test_a_round_on_uvloop(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    handlers = {"loop": quick, "thread": quick_thread, "endless": endless}
    await queue.enqueue_many([Job({}, type=kind, id=kind) for kind in handlers])
    async with running(Worker(queue, handlers)):
        await completed(queue, ["loop", "thread"])
        await has_status(queue, "endless", JobStatus.PROCESSING)
        assert await queue.cancel("endless")
        await has_status(queue, "endless", JobStatus.CANCELLED)


@pytest.mark.usefixtures("valkey")
async def test_a_frozen_heartbeat_holds_up_no_stop(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    async with running(Worker(queue, quick)):
        await completed(queue, [await queue.enqueue(Job({}, id="job"))])
        (beat,) = [pid for pid in children(os.getpid()) if "beat_process" in command_of(pid)]
        os.kill(beat, signal.SIGSTOP)
    assert command_of(beat) == ""


@pytest.mark.usefixtures("valkey")
async def test_run_until_idle_leaves_what_waits(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue(Job({}, id="ready"))
    await queue.enqueue(Job({}, id="later"), delay_seconds=600)

    async def spawns(ctx: JobContext) -> None:
        if ctx.id == "ready":
            await queue.enqueue(Job({}, id="child"))

    worker = Worker(queue, spawns)
    await worker.run_until_idle()
    jobs = {job.id: job.status for job in await statuses(queue, ["ready", "child", "later"])}
    assert jobs == {
        "ready": JobStatus.COMPLETED,
        "child": JobStatus.COMPLETED,
        "later": JobStatus.SCHEDULED,
    }
    assert worker.get_stats()["jobs_completed"] == 2
    assert not worker.is_running


@pytest.mark.usefixtures("valkey")
async def test_a_worker_runs_once_at_a_time(make_queue: MakeQueue) -> None:
    worker = Worker(await make_queue(timings=FAST), quick, worker_id="single")
    async with running(worker):
        with pytest.raises(WorkerError, match="worker single is already running"):
            await worker.start()
        assert worker.is_running
    await worker.stop()
    assert not worker.is_running


@pytest.mark.usefixtures("valkey")
async def test_a_stop_while_it_starts_is_heard(make_queue: MakeQueue) -> None:
    worker = Worker(await make_queue(timings=FAST), quick)
    task = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    await worker.stop()
    await task
    assert worker.get_stats()["jobs_processed"] == 0


@pytest.mark.usefixtures("valkey")
async def test_a_cancelled_start_releases_what_runs(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    task = asyncio.create_task(Worker(queue, endless, grace_seconds=600).start())
    await queue.enqueue(Job({}, id="job"))
    await has_status(queue, "job", JobStatus.PROCESSING)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (job,) = await statuses(queue, ["job"])
    assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


async def test_a_stop_during_an_outage_ends(
    make_queue: MakeQueue, fresh_valkey: Server, make_proxy: MakeProxy
) -> None:
    """Finished work is kept for as long as it is waited for; then the worker ends all the same."""
    proxy = await make_proxy(fresh_valkey)
    queue = await make_queue(timings=FAST, url=proxy.url + "?socket_timeout=0.5")
    worker = Worker(queue, endless)
    task = asyncio.create_task(worker.start())
    await queue.enqueue(Job({}, id="job"))
    await has_status(queue, "job", JobStatus.PROCESSING)
    away = await make_queue(timings=FAST)
    await proxy.refuse()
    stopping = asyncio.create_task(worker.stop(0))
    # The outcome of the release waits for the server; it comes back in time.
    await until(lambda: _is_stopping(worker))
    await proxy.start()
    await stopping
    await task
    (job,) = await statuses(away, ["job"])
    assert (job.status, job.attempts, job.crashes) == (JobStatus.PENDING, 0, 0)


async def _is_stopping(worker: Worker) -> bool:
    return worker.active_jobs == 0


@pytest.mark.slow
async def test_a_stop_while_the_server_stays_away_ends(make_queue: MakeQueue, fresh_valkey: Server) -> None:
    queue = await make_queue(timings=FAST)
    worker = Worker(queue, endless)
    task = asyncio.create_task(worker.start())
    await queue.enqueue(Job({}, id="job"))
    await has_status(queue, "job", JobStatus.PROCESSING)
    fresh_valkey.kill()
    await worker.stop(0)
    await task


async def test_a_server_that_is_not_there_is_named(make_queue: MakeQueue, fresh_valkey: Server) -> None:
    port = free_port()
    with pytest.raises(
        QueueUnavailableError, match=rf"127.0.0.1:{port} did not answer .*is the server running"
    ):
        await create_redis_queue(f"redis://127.0.0.1:{port}")
    queue = await make_queue(timings=FAST)
    fresh_valkey.kill()
    with pytest.raises(QueueUnavailableError, match="did not answer"):
        await Worker(queue, quick).start()


@pytest.mark.usefixtures("valkey")
async def test_a_role_that_fails_ends_the_worker(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a worker would hold its jobs for ever."""
    queue = await make_queue(timings=FAST)
    worker = Worker(queue, endless)
    task = asyncio.create_task(worker.start())
    await queue.enqueue(Job({}, id="job"))
    await has_status(queue, "job", JobStatus.PROCESSING)

    async def broken(*_: Any) -> None:
        raise AssertionError("a fault of ours")

    monkeypatch.setattr(queue.engine, "promote", broken)
    with pytest.raises(WorkerError, match=r"penstock-promoter failed: AssertionError\('a fault of ours'\)"):
        await task
    (job,) = await statuses(queue, ["job"])
    assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


@pytest.mark.parametrize("how", ["returns", "raises", "speaks", "sleeps", "thread", "thread raises"])
async def test_a_job_that_has_ended_waits_for_no_garbage_collector(make_queue: MakeQueue, how: str) -> None:
    """Its payload may be a megabyte, and collections may be seconds apart."""
    queue = await make_queue()

    async def on_the_loop(ctx: JobContext) -> None:
        if how == "raises":
            raise ValueError("no")
        if how == "speaks":
            await ctx.progress(50)
            await ctx.step("one", lambda: 1)
            await ctx.emit("two")
        if how == "sleeps":
            await ctx.sleep(60)

    def in_a_thread(_: JobContext) -> None:
        if how == "thread raises":
            raise ValueError("no")

    handler = in_a_thread if how.startswith("thread") else on_the_loop
    await queue.enqueue_many(Job({}, max_attempts=1) for _ in range(20))
    gc.collect()
    gc.disable()
    try:
        await Worker(queue, handler).run_until_idle()
        left = [each for each in gc.get_objects() if isinstance(each, JobContext)]
    finally:
        gc.enable()
    assert left == []
