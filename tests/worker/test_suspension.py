"""Sleeping, suspending and waiting for signals: no slot is held, no attempt spent, nothing run twice."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, ManualClock, RedisStreamsQueue, Worker
from penstock.core.errors import SignalTimeoutError
from tests.conftest import MakeQueue
from tests.worker.fleet import QUICK_RETRIES
from tests.worker.support import statuses

pytestmark = pytest.mark.usefixtures("valkey")

WAITS = {"sleep:1", "signal:go#1:deadline"}
WEEK_SECONDS = 7 * 86_400.0


class Stage:
    """A queue with a moved clock, and workers that run until there is nothing to do."""

    def __init__(self, queue: RedisStreamsQueue, clock: ManualClock) -> None:
        self.queue = queue
        self.clock = clock

    async def run(self, handler: Any, **options: Any) -> dict[str, Any]:
        """One worker's life; its counters."""
        worker = Worker(self.queue, handler, retry_policy=QUICK_RETRIES, **options)
        await worker.run_until_idle()
        return worker.get_stats()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, with somebody beating so that it is no outage."""
        self.clock.advance(seconds=seconds)

    async def job(self, job_id: str = "job") -> Job:
        """The job as it stands."""
        return (await statuses(self.queue, [job_id]))[0]

    async def signal(self, name: str, value: Any, job_id: str = "job") -> str:
        """Give the job a signal."""
        return await self.queue.engine.signal(job_id, name, json.dumps(value).encode())


@pytest.fixture
async def stage(make_queue: MakeQueue) -> Stage:
    clock = ManualClock()
    return Stage(await make_queue(clock=clock), clock)


async def test_a_sleep_holds_no_slot_and_spends_no_attempt(stage: Stage) -> None:
    """A week long; the worker that begins it goes idle and ends, and another one goes on."""
    made: list[str] = []

    def note(name: str, attempt: int) -> int:
        made.append(name)
        return attempt

    async def handler(ctx: JobContext) -> list[int]:
        first = await ctx.step("first", partial(note, "first", ctx.attempt))
        await ctx.sleep(WEEK_SECONDS)
        second = await ctx.step("second", partial(note, "second", ctx.attempt))
        return [first, second]

    await stage.queue.enqueue(Job({}, id="job", max_attempts=1))
    stats = await stage.run(handler, max_concurrent=1)
    assert stats["active_jobs"] == 0
    parked = await stage.job()
    assert (parked.status, parked.attempts) == (JobStatus.SUSPENDED, 0)
    await stage.pass_time(WEEK_SECONDS - 1)
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.SUSPENDED
    await stage.pass_time(1)
    await stage.run(handler)
    job = await stage.job()
    assert (job.status, job.result, job.attempts) == (JobStatus.COMPLETED, [1, 1], 1)
    assert made == ["first", "second"]


async def test_a_sleep_wakes_by_what_it_was_first_told(stage: Stage) -> None:
    """Run again later, the handler names other moments; a moment that has passed is no sleep."""
    reached: list[str] = []

    async def handler(ctx: JobContext) -> None:
        now = datetime.fromtimestamp(stage.clock.now_ms / 1000, UTC)
        await ctx.sleep_until(now.timestamp() - 5)
        await ctx.sleep_until(now.replace(year=now.year + 1), name="until next year")
        reached.append("next year")
        await ctx.sleep(60)
        reached.append("a minute later")

    await stage.queue.enqueue(Job({}, id="job"))
    await stage.run(handler)
    assert reached == []
    await stage.pass_time(366 * 86_400.0)
    await stage.run(handler)
    assert reached == ["next year"]
    await stage.pass_time(59)
    await stage.run(handler)
    assert reached == ["next year"]
    await stage.pass_time(1)
    await stage.run(handler)
    assert reached == ["next year", "next year", "a minute later"]
    assert set(await stage.queue.engine.load_steps("job")) == {"sleep:1", "until next year", "sleep:2"}


async def test_signals_are_taken_in_their_order_and_may_come_before(stage: Stage) -> None:
    taken: list[Any] = []

    async def handler(ctx: JobContext) -> Any:
        values = [await ctx.wait_for_signal("word"), await ctx.wait_for_signal("other")]
        values += [await ctx.wait_for_signal("word"), await ctx.wait_for_signal("word")]
        taken.append(values)
        return values

    await stage.queue.enqueue(Job({}, id="job"))
    assert await stage.signal("word", {"first": 1}) == "stored"
    assert await stage.signal("word", 2) == "stored"
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.SUSPENDED
    # Not the one that it waits for.
    assert await stage.signal("word", [3]) == "stored"
    assert (await stage.job()).status is JobStatus.SUSPENDED
    assert await stage.signal("other", None) == "woken"
    await stage.run(handler)
    assert (await stage.job()).result == [{"first": 1}, None, 2, [3]]
    assert len(taken) == 1
    assert await stage.signal("word", 5) == "ended"


async def test_a_signal_that_does_not_come_in_time(stage: Stage) -> None:
    """Its deadline is the first; it stays over when a signal comes later, which the next wait takes."""
    seen: list[str] = []

    async def handler(ctx: JobContext) -> Any:
        try:
            await ctx.wait_for_signal("approval", timeout_seconds=3600)
        except SignalTimeoutError as error:
            seen.append(str(error))
        return await ctx.wait_for_signal("approval", timeout_seconds=3600)

    await stage.queue.enqueue(Job({}, id="job", max_attempts=1))
    await stage.run(handler)
    await stage.pass_time(3599)
    await stage.run(handler)
    assert seen == []
    await stage.pass_time(1)
    await stage.run(handler)
    assert len(seen) == 1
    assert "signal 'approval' of job job did not come within timeout_seconds=3600" in seen[0]
    assert await stage.signal("approval", "late") == "woken"
    await stage.run(handler)
    assert (await stage.job()).result == "late"
    assert len(seen) == 2


async def test_places_do_not_move_when_a_signal_has_come(stage: Stage) -> None:
    """A deadline has its place in each attempt, also in those that find the wait over."""

    async def handler(ctx: JobContext) -> None:
        with contextlib.suppress(SignalTimeoutError):
            await ctx.wait_for_signal("approval", timeout_seconds=60)
        await ctx.step("first", lambda: 1)
        if ctx.attempt == 1:
            raise ConnectionError
        await ctx.step("second", lambda: 2)

    await stage.queue.enqueue(Job({}, id="job"))
    await stage.run(handler)
    await stage.pass_time(60)
    await stage.run(handler)
    await stage.pass_time(5)
    await stage.run(handler)
    stored = await stage.queue.engine.load_steps("job")
    places = {name: json.loads(body)["place"] for name, body in stored.items()}
    names = ["signal:approval#1", "signal:approval#1:deadline", "first", "second"]
    assert places == dict(zip(names, (1, 2, 3, 4), strict=True))


async def test_a_signal_timeout_that_nobody_catches_fails_the_job_once(stage: Stage) -> None:
    async def handler(ctx: JobContext) -> Any:
        return await ctx.wait_for_signal("approval", timeout_seconds=1)

    await stage.queue.enqueue(Job({}, id="job", max_attempts=5))
    await stage.run(handler)
    await stage.pass_time(1)
    await stage.run(handler)
    job = await stage.job()
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert str(job.error).startswith("SignalTimeoutError: signal 'approval'")


async def test_suspended_for_a_week_and_resumed_with_a_value(stage: Stage) -> None:
    made: list[str] = []

    async def handler(ctx: JobContext) -> Any:
        await ctx.step("draft", lambda: made.append("draft"))
        first = await ctx.suspend("needs a person")
        await ctx.step("send", lambda: made.append("send"))
        second = await ctx.suspend()
        return [first, second]

    await stage.queue.enqueue(Job({}, id="job"))
    assert not await stage.queue.resume_job("job", "too early")
    await stage.run(handler)
    await stage.pass_time(WEEK_SECONDS)
    await stage.run(handler)
    waiting = await stage.job()
    assert (waiting.status, waiting.suspended_for) == (JobStatus.SUSPENDED, "needs a person")
    assert await stage.queue.resume_job("job", {"approved": True})
    # Twice pressed: the second press answers nothing that is asked later.
    assert not await stage.queue.resume_job("job", {"approved": False})
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.SUSPENDED
    assert await stage.queue.resume_job("job")
    await stage.run(handler)
    done = await stage.job()
    assert (done.result, done.suspended_for) == ([{"approved": True}, None], None)
    assert made == ["draft", "send"]
    assert not await stage.queue.resume_job("job", "too late")


async def test_a_handler_that_catches_everything_is_parked_all_the_same(stage: Stage) -> None:
    """Every further call ends it again, and what it returns or raises is not its job's."""
    ends: list[str] = []
    made: list[str] = []

    async def handler(ctx: JobContext) -> str:
        try:
            await ctx.sleep(10)
        except BaseException:
            for call in (
                ctx.progress(50),
                ctx.step("late", lambda: made.append("late")),
                ctx.emit("late"),
                ctx.report_usage(tokens=1),
                ctx.enqueue(Job({}, id="child")),
                ctx.sleep(1),
                ctx.wait_for_signal("late"),
            ):
                try:
                    await call
                except BaseException as error:
                    ends.append(type(error).__name__)
            if ctx.payload == "raises":
                raise ValueError("of its own") from None
        return "done"

    await stage.queue.enqueue_many([Job("returns", id="returns"), Job("raises", id="raises")])
    await stage.run(handler)
    assert ends == ["Suspension"] * 14
    assert made == []
    assert {(await stage.job(name)).status for name in ("returns", "raises")} == {JobStatus.SUSPENDED}
    assert await stage.queue.get_status("child") is None
    await stage.pass_time(10)
    await stage.run(handler)
    assert {(await stage.job(name)).result for name in ("returns", "raises")} == {"done"}


async def test_a_wait_lets_the_steps_beside_it_finish(stage: Stage) -> None:
    """Or their functions would run again; a group of tasks is parked as a plain call is."""
    made: list[str] = []

    async def slow() -> str:
        made.append("begun")
        while len(await stage.queue.engine.load_steps("job")) < len(WAITS):  # noqa: ASYNC110 - Redis knows
            await asyncio.sleep(0.01)
        # By now both waits could have ended the handler.
        for _ in range(5):
            await stage.queue.engine.load_steps("job")
        made.append("done")
        return "slow"

    async def handler(ctx: JobContext) -> Any:
        async with asyncio.TaskGroup() as group:
            value = group.create_task(ctx.wait_for_signal("go", timeout_seconds=600))
            step = group.create_task(ctx.step("slow", slow))
            group.create_task(ctx.sleep(60))
        return [value.result(), step.result()]

    await stage.queue.enqueue(Job({}, id="job"))
    await stage.run(handler)
    assert made == ["begun", "done"]
    stored = await stage.queue.engine.load_steps("job")
    assert set(stored) == {"slow", *WAITS}
    await stage.pass_time(60)
    await stage.run(handler)
    await stage.signal("go", "gone")
    await stage.run(handler)
    assert (await stage.job()).result == ["gone", "slow"]
    assert made == ["begun", "done"]


async def test_a_plain_function_waits_too(stage: Stage) -> None:
    def handler(ctx: JobContext) -> Any:
        value = ctx.wait(ctx.wait_for_signal("go"))
        ctx.wait(ctx.sleep(5))
        return value

    await stage.queue.enqueue(Job({}, id="job", max_attempts=1))
    await stage.run(handler)
    await stage.signal("go", 7)
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.SUSPENDED
    await stage.pass_time(5)
    await stage.run(handler)
    assert (await stage.job()).result == 7


@pytest.mark.parametrize("how", ["sleep", "signal", "suspend"])
async def test_a_job_is_cancelled_while_it_waits(stage: Stage, how: str) -> None:
    async def handler(ctx: JobContext) -> None:
        match how:
            case "sleep":
                await ctx.sleep(60)
            case "signal":
                await ctx.wait_for_signal("go")
            case "suspend":
                await ctx.suspend()

    await stage.queue.enqueue(Job({}, id="job"))
    await stage.run(handler)
    assert await stage.queue.cancel("job")
    assert (await stage.job()).status is JobStatus.CANCELLED
    await stage.pass_time(61)
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.CANCELLED
    assert await stage.signal("go", 1) == "ended"
    books = await stage.queue.engine.call("audit", {"group": stage.queue.group_name})
    assert books[::2] == books[1::2]


async def test_a_cancellation_wins_over_a_wait_that_begins(stage: Stage) -> None:
    async def handler(ctx: JobContext) -> None:
        assert await stage.queue.cancel(ctx.id)
        with contextlib.suppress(asyncio.CancelledError):
            await ctx.sleep(60)
        await ctx.suspend()

    await stage.queue.enqueue(Job({}, id="job"))
    await stage.run(handler)
    assert (await stage.job()).status is JobStatus.CANCELLED


async def test_what_waits_refuse(stage: Stage) -> None:
    async def handler(ctx: JobContext) -> None:
        match ctx.job.type:
            case "inside":
                await ctx.step("outer", lambda: ctx.sleep(1))
            case "naive":
                await ctx.sleep_until(datetime(2030, 1, 1))
            case "moment":
                await ctx.sleep_until(float("nan"))
            case "seconds":
                await ctx.sleep(-1)
            case "name":
                await ctx.wait_for_signal("a#b")
            case "taken":
                await ctx.step("sleep:1", lambda: 1)
                await ctx.sleep(1)

    refusals = {
        "inside": "StepError: step 'outer' cannot sleep",
        "naive": "InvalidJobError: sleep_until got 2030-01-01T00:00:00 without a time zone",
        "moment": "InvalidJobError: sleep_until takes an aware datetime",
        "seconds": "InvalidJobError: seconds must be 0 or more",
        "name": "InvalidNameError: signal name 'a#b' is not allowed",
        "taken": "StepRepeatedError: step 'sleep:1' was already run",
    }
    await stage.queue.enqueue_many([Job({}, type=kind, id=kind) for kind in refusals])
    await stage.run(handler)
    for kind, text in refusals.items():
        job = await stage.job(kind)
        assert text in str(job.error), job
        assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
