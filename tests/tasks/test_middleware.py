"""Middleware: around handlers of every kind, the first outermost, with the outcome in its hands."""

import asyncio
import inspect
import traceback
from typing import Any

import pytest

from penstock import CallNext, Job, JobContext, JobStatus, Middleware, RetryLater, Worker, in_process
from penstock.core.errors import ConfigurationError
from tests.conftest import MakeQueue
from tests.tasks.jobs import greet, name_of_thread, square
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.process_jobs import in_a_process
from tests.worker.support import ended, has_status, running

pytestmark = pytest.mark.usefixtures("valkey")


class Noting:
    """Notes when it is entered and left, and how."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self._name = name
        self._lines = lines

    async def __call__(self, ctx: JobContext, call_next: CallNext) -> Any:
        self._lines.append(f"{self._name} > {ctx.id}")
        try:
            result = await call_next(ctx)
        except BaseException as error:
            self._lines.append(f"{self._name} ! {type(error).__name__}")
            raise
        self._lines.append(f"{self._name} < {ctx.id}")
        return result


async def on_the_loop(ctx: JobContext) -> str:
    await asyncio.sleep(0)
    return f"loop {ctx.payload}"


def in_a_thread(ctx: JobContext) -> str:
    return f"thread {ctx.payload}"


KINDS: dict[str, tuple[Any, Any]] = {
    "loop": (on_the_loop, "x"),
    "thread": (in_a_thread, "x"),
    "process": (in_process(in_a_process), "x"),
    "coroutine": (lambda ctx: on_the_loop(ctx), "x"),  # noqa: PLW0108 - a plain function that makes a coroutine
    "task": (greet, {"name": "Ada"}),
    "thread-task": (name_of_thread, {"prefix": "in"}),
    "process-task": (square, {"number": 3}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_around_handlers_of_every_kind(make_queue: MakeQueue, kind: str) -> None:
    handler, payload = KINDS[kind]
    queue = await make_queue(timings=FAST)
    await queue.enqueue(Job(payload, type=kind, id="job"))
    lines: list[str] = []
    middleware = [Noting("outer", lines), Noting("inner", lines)]
    await Worker(queue, {kind: handler}, middleware=middleware).run_until_idle()
    job = await queue.get_status("job")
    assert job is not None
    assert job.status is JobStatus.COMPLETED, job.error
    assert lines == ["outer > job", "inner > job", "inner < job", "outer < job"]


async def test_it_decides_what_becomes_of_the_attempt(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    calls: list[str] = []

    async def handler(ctx: JobContext) -> str:
        calls.append(ctx.id)
        if ctx.id == "raises":
            raise ValueError("of the handler")
        return ctx.id

    async def decide(ctx: JobContext, call_next: CallNext) -> Any:
        if ctx.id == "skipped":
            return "from the cache"
        if ctx.id == "later" and ctx.attempt == 1:
            raise RetryLater(0.01)
        try:
            return {"wrapped": await call_next(ctx)}
        except ValueError as error:
            return f"mended: {error}"

    ids = ["skipped", "later", "raises", "plain"]
    await queue.enqueue_many([Job({}, id=job_id) for job_id in ids])
    async with running(Worker(queue, handler, middleware=[decide], retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, ids)
    assert {job_id: job.result for job_id, job in jobs.items()} == {
        "skipped": "from the cache",
        "later": {"wrapped": "later"},
        "raises": "mended: of the handler",
        "plain": {"wrapped": "plain"},
    }
    assert "skipped" not in calls
    assert jobs["later"].attempts == 2


async def test_an_error_passes_through_and_fails_the_job(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    lines: list[str] = []
    await queue.enqueue(Job({"size": 1}, type="greet", id="job"))
    await Worker(queue, tasks=[greet], middleware=[Noting("only", lines)]).run_until_idle()
    assert lines == ["only > job", "only ! TaskArgumentError"]


async def test_a_cancellation_passes_through(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    lines: list[str] = []
    began = asyncio.Event()

    async def waits(_: JobContext) -> None:
        began.set()
        await asyncio.Event().wait()

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, waits, middleware=[Noting("only", lines)])):
        await began.wait()
        await queue.cancel("job")
        await has_status(queue, "job", JobStatus.CANCELLED)
    assert lines == ["only > job", "only ! CancelledError"]


async def test_what_cannot_be_called_is_refused(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    for wrong in (Noting, "noting"):
        with pytest.raises(ConfigurationError, match="cannot be called: expected an object with"):
            Worker(queue, on_the_loop, middleware=[wrong])  # type: ignore[list-item]


async def test_without_it_nothing_stands_between_attempt_and_handler(make_queue: MakeQueue) -> None:
    """A feature that is not used costs nothing: the handler is called by the dispatch itself."""
    callers: list[str] = []

    async def handler(_: JobContext) -> None:
        callers.extend(frame.f_code.co_name for frame, _ in traceback.walk_stack(inspect.currentframe()))

    async def pass_on(ctx: JobContext, call_next: CallNext) -> Any:
        return await call_next(ctx)

    async def callers_with(*middleware: Middleware) -> list[str]:
        callers.clear()
        queue = await make_queue(timings=FAST)
        await queue.enqueue(Job({}))
        await Worker(queue, handler, middleware=middleware).run_until_idle()
        return list(callers)

    assert (await callers_with())[:3] == ["handler", "watched", "_run"]
    assert (await callers_with(pass_on))[:3] == ["handler", "_call", "pass_on"]
