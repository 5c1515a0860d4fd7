"""Handlers of every kind: where they run, how they are told to stop, and what they may do wrong."""

import asyncio
import os
import sys
import threading
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
        await until(lambda: file_there(began))
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
        assert not is_running(int(began.read_text()))


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


async def test_threads_that_are_given_up_on_keep_nobody_waiting(make_queue: MakeQueue) -> None:
    """Released while its function runs on, a job no longer has that thread; new jobs find another."""
    queue = await make_queue(timings=FAST)
    may_stop = threading.Event()
    begun: list[str] = []

    def handler(ctx: JobContext) -> str:
        if ctx.payload == "hangs":
            begun.append(ctx.id)
            may_stop.wait()
        return "done"

    async def all_begun() -> bool:
        return len(begun) == len(hanging)

    worker = Worker(queue, handler, max_concurrent=4)
    hanging = await queue.enqueue_many([Job("hangs") for _ in range(4)])
    async with running(worker):
        await until(all_begun)
    assert {job.status for job in await statuses(queue, hanging)} == {JobStatus.PENDING}
    await asyncio.gather(*(queue.cancel(job_id) for job_id in hanging))
    async with running(worker):
        await completed(queue, await queue.enqueue_many([Job("quick") for _ in range(4)]))
    may_stop.set()
