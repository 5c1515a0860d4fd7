"""Time limits of attempts: what is too late or too quiet is stopped, wherever it runs."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, RetryLater, RetryPolicy, Worker, in_process
from penstock.core.errors import IdleTimeoutError
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.process_jobs import waits_in_a_process
from tests.worker.support import completed, ended, file_there, is_running, running, statuses, until

pytestmark = pytest.mark.usefixtures("valkey")

LATE = "TimeoutError: the attempt took longer than timeout_seconds=0.1"
QUIET = (
    "IdleTimeoutError: the attempt reported no progress, event, step or usage for idle_timeout_seconds=0.1"
)


async def _is_set(event: threading.Event) -> bool:
    return event.is_set()


@pytest.mark.parametrize(("limit", "text"), [("timeout_seconds", LATE), ("idle_timeout_seconds", QUIET)])
async def test_a_handler_on_the_loop_is_stopped(make_queue: MakeQueue, limit: str, text: str) -> None:
    """Both attempts: a limit passed is an error that may pass."""
    queue = await make_queue(timings=FAST)
    stopped: list[int] = []

    async def handler(ctx: JobContext) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.append(ctx.attempt)

    limits: dict[str, Any] = {limit: 0.1}
    await queue.enqueue(Job({}, id="job", max_attempts=2, **limits))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, ["job"])
    assert (jobs["job"].status, jobs["job"].error) == (JobStatus.FAILED, text)
    assert stopped == [1, 2]


async def test_a_process_is_killed_when_it_is_quiet_for_too_long(
    make_queue: MakeQueue, guardian: Guardian
) -> None:
    """It cannot speak, so its quiet is as long as it runs."""
    queue = await make_queue(timings=FAST)
    began = guardian.directory("began") / "job"
    job = Job({"began": str(began)}, type="wait", id="job", max_attempts=1, idle_timeout_seconds=1.0)
    async with running(Worker(queue, {"wait": in_process(waits_in_a_process)})):
        await queue.enqueue(job)
        await until(lambda: file_there(began))
        jobs = await ended(queue, ["job"])
        assert not is_running(int(began.read_text()))
    assert str(jobs["job"].error).startswith("IdleTimeoutError: ")


@pytest.mark.parametrize("how", ["returns", "raises", "waits"])
async def test_a_thread_keeps_its_slot_until_it_has_ended(make_queue: MakeQueue, how: str) -> None:
    """It is told, and nothing is said of the job before its function has ended; then it was too late."""
    queue = await make_queue(timings=FAST)
    told, may_end = threading.Event(), threading.Event()

    def handler(ctx: JobContext) -> str:
        if ctx.payload == "quick":
            return "done"
        if how == "waits":
            with contextlib.suppress(BaseException):
                ctx.wait(asyncio.Event().wait())
        else:
            while not ctx.cancelled:
                may_end.wait(0.01)
        told.set()
        may_end.wait()
        if how == "raises":
            raise ValueError("what it makes of being stopped")
        return "half of it"

    worker = Worker(queue, handler, max_concurrent=1)
    await queue.enqueue(Job({}, id="job", max_attempts=1, timeout_seconds=0.1))
    async with running(worker):
        await until(lambda: _is_set(told))
        await queue.enqueue(Job("quick", id="next"))
        (job,) = await statuses(queue, ["job"])
        assert (job.status, worker.active_jobs) == (JobStatus.PROCESSING, 1)
        may_end.set()
        jobs = await ended(queue, ["job"])
        await completed(queue, ["next"])
    assert (jobs["job"].status, jobs["job"].error) == (JobStatus.FAILED, LATE)


async def test_a_thread_out_of_time_may_not_speak(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    ends: list[str] = []

    def handler(ctx: JobContext) -> None:
        while not ctx.cancelled:
            threading.Event().wait(0.01)
        try:
            ctx.wait(ctx.step("late", lambda: ends.append("late")))
        except BaseException as error:
            ends.append(type(error).__name__)

    await queue.enqueue(Job({}, id="job", max_attempts=1, timeout_seconds=0.1))
    async with running(Worker(queue, handler)):
        await ended(queue, ["job"])
    assert ends == ["CancelledError"]


async def test_each_sign_of_life_counts(make_queue: MakeQueue) -> None:
    """Five signs, each within the limit, outlast it together; a wait on purpose is no silence."""
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> str:
        await asyncio.sleep(0.6)
        await ctx.progress(10)
        await asyncio.sleep(0.6)
        await ctx.emit("word")
        await asyncio.sleep(0.6)
        await ctx.report_usage(tokens=1)
        await asyncio.sleep(0.6)
        await ctx.step("step", lambda: 1)

        def limited() -> int:
            tries.append(1)
            if len(tries) == 1:
                raise RetryLater(1.5)
            return 1

        tries: list[int] = []
        await ctx.step("limited", limited, retry=RetryPolicy(2))
        return "lived"

    await queue.enqueue(Job({}, id="job", max_attempts=1, idle_timeout_seconds=1.0))
    async with running(Worker(queue, handler)):
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == "lived"


async def test_a_handler_may_refuse_to_stop(make_queue: MakeQueue) -> None:
    """On the loop it hears of it as of a cancellation; what it returns then is what it chose to return."""
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return f"saved: {ctx.cancelled}"

    await queue.enqueue(Job({}, id="job", max_attempts=1, timeout_seconds=0.1))
    async with running(Worker(queue, handler)):
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == "saved: True"


async def test_a_suspended_job_s_time_does_not_run(make_queue: MakeQueue) -> None:
    """A limit is for one attempt's run; a handler that waits is not running."""
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> str:
        await ctx.sleep(1)
        return "done"

    await queue.enqueue(Job({}, id="job", max_attempts=1, timeout_seconds=0.5, idle_timeout_seconds=0.5))
    async with running(Worker(queue, handler)):
        jobs = await completed(queue, ["job"])
    assert (jobs["job"].result, jobs["job"].attempts) == ("done", 1)


def test_the_error_of_silence_is_a_timeout() -> None:
    assert issubclass(IdleTimeoutError, TimeoutError)
