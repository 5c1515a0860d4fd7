"""Handlers of every kind: where they run, how they are told to stop, and what they may do wrong."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, Worker, in_process
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.process_jobs import (
    dies_in_a_process,
    exits_in_a_process,
    in_a_process,
    raises_in_a_process,
    raises_the_unspeakable,
    returns_the_unspeakable,
    waits_in_a_process,
)
from tests.worker.support import completed, ended, has_status, running, statuses, until

pytestmark = pytest.mark.usefixtures("valkey")


def in_a_thread(ctx: JobContext) -> str:
    ctx.wait(ctx.progress(40, "reading"))
    return threading.current_thread().name


async def on_the_loop(_: JobContext) -> str:
    return threading.current_thread().name


class AsyncCall:
    """An object with an async call."""

    async def __call__(self, ctx: JobContext) -> str:
        return ctx.id


async def test_every_kind_runs_where_it_belongs(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    handlers: dict[str, Any] = {
        "loop": on_the_loop,
        "thread": in_a_thread,
        "process": in_process(in_a_process),
        "object": AsyncCall(),
        "lambda": lambda ctx: on_the_loop(ctx),  # noqa: PLW0108 - a plain function that makes a coroutine
    }
    await queue.enqueue_many([Job({"kind": kind}, type=kind, id=kind) for kind in handlers])
    async with running(Worker(queue, handlers)):
        jobs = await completed(queue, list(handlers))
    assert jobs["loop"].result == jobs["lambda"].result == threading.main_thread().name
    assert jobs["thread"].result.startswith("penstock-job")
    assert jobs["thread"].current_step == "reading"
    assert jobs["object"].result == "object"
    assert jobs["process"].result["given"] == {"kind": "process"}
    assert jobs["process"].result["pid"] != os.getpid()


async def test_a_process_that_dies_takes_only_its_own_job(make_queue: MakeQueue, guardian: Guardian) -> None:
    queue = await make_queue(timings=FAST)
    began = guardian.directory("began") / "innocent"
    handlers = {
        "wait": in_process(waits_in_a_process),
        "die": in_process(dies_in_a_process),
        "exit": in_process(exits_in_a_process),
        "work": in_process(in_a_process),
    }
    async with running(Worker(queue, handlers, retry_policy=QUICK_RETRIES)):
        await queue.enqueue(Job({"began": str(began)}, type="wait", id="innocent", max_attempts=1))
        await until(lambda: _exists(began))
        await queue.enqueue(Job({}, type="die", id="killed", max_attempts=2))
        await queue.enqueue(Job({}, type="exit", id="exited", max_attempts=1))
        jobs = await ended(queue, ["killed", "exited"])
        (innocent,) = await statuses(queue, ["innocent"])
        assert innocent.status is JobStatus.PROCESSING
        await queue.enqueue(Job({}, type="work", id="after"))
        await completed(queue, ["after"])
        await queue.cancel("innocent")
        await has_status(queue, "innocent", JobStatus.CANCELLED)
    died = "ProcessDied: the process that ran this job's function died"
    assert (jobs["killed"].error, jobs["killed"].attempts) == (f"{died} (killed by signal 9)", 2)
    assert jobs["exited"].error == f"{died} (exit code 3)"


async def _exists(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0  # noqa: ASYNC240 - one look


async def test_what_a_process_answers(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    handlers = {
        "raise": in_process(raises_in_a_process),
        "unspeakable-error": in_process(raises_the_unspeakable),
        "unspeakable-value": in_process(returns_the_unspeakable),
        "unknown": in_process(lambda payload: payload),
    }
    await queue.enqueue_many([Job({}, type=kind, id=kind) for kind in handlers])
    async with running(Worker(queue, handlers)):
        jobs = await ended(queue, list(handlers))
    assert {job.status for job in jobs.values()} == {JobStatus.FAILED}
    assert {job.attempts for job in jobs.values()} == {1}
    assert jobs["raise"].error == "ValueError: from afar"
    assert "cannot be passed between processes" in str(jobs["unspeakable-error"].error)
    assert "cannot be passed between processes" in str(jobs["unspeakable-value"].error)
    assert "pickle" in str(jobs["unknown"].error)


async def test_a_process_out_of_time_is_killed(make_queue: MakeQueue, guardian: Guardian) -> None:
    queue = await make_queue(timings=FAST)
    began = guardian.directory("began") / "job"
    late = Job({"began": str(began)}, type="wait", id="job", max_attempts=1, timeout_seconds=1.0)
    handlers = {"wait": in_process(waits_in_a_process), "work": in_process(in_a_process)}
    async with running(Worker(queue, handlers, max_concurrent=1)):
        # The process that has done this is there already when the time of the other begins.
        await completed(queue, [await queue.enqueue(Job({}, type="work"))])
        jobs = await ended(queue, [await queue.enqueue(late)])
        assert jobs["job"].error == "TimeoutError: the attempt took longer than timeout_seconds=1"
        assert not _is_running(int(began.read_text()))


def _is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


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
        await until(lambda: _exists(began))
        assert await queue.cancel("job")
        await has_status(queue, "job", JobStatus.CANCELLED)
        assert not _is_running(int(began.read_text()))


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


async def test_a_cancellation_of_the_handlers_own_is_a_failure(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> str:
        if ctx.attempt == 1:
            raise asyncio.CancelledError
        return "second"

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
    assert (jobs["job"].result, jobs["job"].attempts) == ("second", 2)
    assert "cancelled from within" in str(jobs["job"].error)


class Odd(BaseException):
    """Nothing that `except Exception` catches."""


def exits(_: JobContext) -> None:
    sys.exit("enough")


async def exits_on_the_loop(_: JobContext) -> None:
    sys.exit("enough")


async def raises_odd(_: JobContext) -> None:
    raise Odd("what is this")


def raises_stop_iteration(_: JobContext) -> None:
    raise StopIteration("from a thread")


ODD: dict[str, tuple[Any, str]] = {
    "thread": (exits, "SystemExit: enough"),
    "loop": (exits_on_the_loop, "SystemExit: enough"),
    "odd": (raises_odd, "Odd: what is this"),
    "stop": (raises_stop_iteration, "RuntimeError: the function raised StopIteration('from a thread')"),
}


async def test_whatever_a_handler_raises_ends_its_attempt_only(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    handlers = {name: handler for name, (handler, _) in ODD.items()} | {"fine": on_the_loop}
    await queue.enqueue_many([Job({}, type=name, id=name, max_attempts=1) for name in ODD])
    async with running(Worker(queue, handlers)):
        jobs = await ended(queue, list(ODD))
        await queue.enqueue(Job({}, type="fine", id="after"))
        await completed(queue, ["after"])
    assert {name: job.error for name, job in jobs.items()} == {name: text for name, (_, text) in ODD.items()}


async def test_results_that_are_not_json_fail_at_once(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> Any:
        return object() if ctx.payload == "object" else "x" * (1024 * 1024)

    await queue.enqueue(Job("object", id="object"))
    await queue.enqueue(Job("large", id="large"))
    async with running(Worker(queue, handler)):
        jobs = await ended(queue, ["object", "large"])
    assert {(job.status, job.attempts) for job in jobs.values()} == {(JobStatus.FAILED, 1)}
    assert str(jobs["object"].error).startswith("ResultNotSerializableError: the result is not JSON")
    assert "the limit is 1,048,576: store it elsewhere" in str(jobs["large"].error)


async def test_threads_that_do_not_stop_keep_nobody_waiting(make_queue: MakeQueue) -> None:
    """Out of time and given up on, a thread no longer has a slot, and new jobs find another thread."""
    queue = await make_queue(timings=FAST)
    may_stop = threading.Event()

    def handler(ctx: JobContext) -> str:
        if ctx.payload == "hangs":
            may_stop.wait()
        return "done"

    async with running(Worker(queue, handler, max_concurrent=2)):
        hanging = [Job("hangs", max_attempts=1, timeout_seconds=0.05) for _ in range(4)]
        await ended(queue, await queue.enqueue_many(hanging))
        await completed(queue, await queue.enqueue_many([Job("quick") for _ in range(4)]))
        may_stop.set()
