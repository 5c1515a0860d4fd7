"""Cancelling: told within a beat or at a checkpoint, and said only when the handler has stopped."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, LeaseTimings, Worker, in_process
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.worker.fleet import FAST
from tests.worker.process_jobs import waits_in_a_process
from tests.worker.support import (
    completed,
    ended,
    file_there,
    has_status,
    is_running,
    running,
    statuses,
    until,
)

pytestmark = pytest.mark.usefixtures("valkey")


async def test_cancelled_is_said_only_when_an_async_handler_has_stopped(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    began, told, may_stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(_: JobContext) -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            told.set()
            await may_stop.wait()

    async with running(Worker(queue, handler)) as _:
        await queue.enqueue(Job({}, id="job"))
        await began.wait()
        assert await queue.cancel("job")
        await told.wait()
        (job,) = await statuses(queue, ["job"])
        assert job.status is JobStatus.PROCESSING
        may_stop.set()
        await has_status(queue, "job", JobStatus.CANCELLED)


@pytest.mark.parametrize("how", ["looks", "waits", "is deaf"])
async def test_cancelled_is_said_only_when_a_thread_has_stopped(make_queue: MakeQueue, how: str) -> None:
    """It looks at `ctx.cancelled` and returns, is interrupted in `ctx.wait`, or finishes its work."""
    queue = await make_queue(timings=FAST)
    began, may_stop, stopped = threading.Event(), threading.Event(), threading.Event()

    def handler(ctx: JobContext) -> str:
        began.set()
        try:
            if how == "waits":
                while True:
                    ctx.wait(ctx.progress(1))
                    time.sleep(0.01)
            while not (may_stop.is_set() if how == "is deaf" else ctx.cancelled):
                time.sleep(0.01)
            return "done"
        finally:
            may_stop.wait()
            stopped.set()

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job({}, id="job"))
        await until(lambda: _is_set(began))
        assert await queue.cancel("job")
        await until(lambda: _two_more_beats(queue))
        (job,) = await statuses(queue, ["job"])
        assert job.status is JobStatus.PROCESSING
        may_stop.set()
        jobs = await ended(queue, ["job"])
    assert stopped.is_set()
    expected = JobStatus.COMPLETED if how == "is deaf" else JobStatus.CANCELLED
    assert jobs["job"].status is expected


async def _is_set(event: threading.Event) -> bool:
    return event.is_set()


_beats: dict[int, set[Any]] = {}


async def _two_more_beats(queue: Any) -> bool:
    """Whether the only worker of a queue has beaten twice since this was first asked for it."""
    seen = _beats.setdefault(id(queue), set())
    seen.add((await queue.engine.client.hvals(queue.engine.keys.workers))[0])
    return len(seen) > 3


async def test_cancelled_is_not_said_while_a_synchronous_step_runs(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    began, may_stop, stopped = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        began.set()
        may_stop.wait()
        stopped.set()

    async def handler(ctx: JobContext) -> None:
        await ctx.step("slow", step)

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job({}, id="job"))
        await until(lambda: _is_set(began))
        assert await queue.cancel("job")
        await until(lambda: _two_more_beats(queue))
        (job,) = await statuses(queue, ["job"])
        assert job.status is JobStatus.PROCESSING
        may_stop.set()
        await has_status(queue, "job", JobStatus.CANCELLED)
        assert stopped.is_set()


async def test_a_cancelled_process_is_killed(make_queue: MakeQueue, guardian: Guardian) -> None:
    queue = await make_queue(timings=FAST)
    began = guardian.directory("began") / "job"
    await queue.enqueue(Job({"began": str(began)}, type="wait", id="job"))
    async with running(Worker(queue, {"wait": in_process(waits_in_a_process)})):
        await until(lambda: file_there(began))
        assert await queue.cancel("job")
        await has_status(queue, "job", JobStatus.CANCELLED)
        assert not is_running(int(began.read_text()))


async def test_a_checkpoint_tells_before_the_beat_does(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    reached: list[str] = []

    async def handler(ctx: JobContext) -> None:
        assert await queue.cancel("job")
        await ctx.progress(10)
        reached.append("after the checkpoint")

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler)):
        await has_status(queue, "job", JobStatus.CANCELLED)
    assert reached == []


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_a_cancellation_is_called_out(make_queue: MakeQueue, guardian: Guardian, kind: str) -> None:
    """With beats an hour apart, only the call can tell; one under another lease tells nothing."""
    timings = LeaseTimings(beat_seconds=3600, presumed_dead_seconds=3 * 3600, stall_seconds=4 * 3600)
    queue = await make_queue(timings=timings)
    began = guardian.directory("began") / "job"

    async def loop(_: JobContext) -> None:
        began.write_text("1")
        await asyncio.get_running_loop().create_future()

    def thread(ctx: JobContext) -> None:
        began.write_text("1")
        while not ctx.cancelled:
            time.sleep(0.01)

    async def witness(_: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    handlers: dict[str, Any] = {"async": loop, "thread": thread, "process": in_process(waits_in_a_process)}
    handlers["witness"] = witness
    async with running(Worker(queue, handlers)):
        await queue.enqueue(Job({}, type="witness", id="witness"))
        await queue.enqueue(Job({"began": str(began)}, type=kind, id="job"))
        await until(lambda: file_there(began))
        client: Any = queue.engine.client
        await client.publish(queue.engine.keys.calls, "cancel job 99:other")
        # Calls are heard in their order.
        assert await queue.cancel("witness")
        await has_status(queue, "witness", JobStatus.CANCELLED)
        assert (await statuses(queue, ["job"]))[0].status is JobStatus.PROCESSING
        assert await queue.cancel("job")
        await has_status(queue, "job", JobStatus.CANCELLED)


async def test_a_handler_may_refuse_to_be_cancelled(make_queue: MakeQueue) -> None:
    """It has done its work, then; that is what is recorded."""
    queue = await make_queue(timings=FAST)
    began = asyncio.Event()

    async def handler(_: JobContext) -> str:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return "saved what there was"

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler)):
        await began.wait()
        assert await queue.cancel("job")
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == "saved what there was"
