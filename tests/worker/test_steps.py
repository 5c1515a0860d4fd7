"""Durable steps and progress: run once, replayed as stored, refused when they would mix versions."""

import asyncio
from functools import partial
from typing import Any, cast

import pytest

from penstock import Job, JobContext, JobStatus, LeaseLostError, RedisStreamsQueue, Worker
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.support import completed, ended, has_status, running, until

pytestmark = pytest.mark.usefixtures("valkey")

ROUGH = {"tuple": (1, 2), 3: "three", "none": None, "big": 2**53, "text": "é\u2028", "nested": [{"a": 1.5}]}


def _nothing() -> Any:
    return None


class Fails(ConnectionError):
    """Makes the attempt fail so that the job runs again."""


async def test_a_replay_returns_what_the_first_run_did(make_queue: MakeQueue) -> None:
    """Through JSON both times, whatever kind of function made it, and the function is not called again."""
    queue = await make_queue(timings=FAST)
    called: list[str] = []
    seen: list[list[Any]] = []

    async def make(name: str) -> Any:
        called.append(name)
        return ROUGH

    def make_plainly(name: str) -> Any:
        called.append(name)
        return ROUGH

    async def handler(ctx: JobContext) -> Any:
        values = [
            await ctx.step("lambda of a coroutine", lambda: make("lambda of a coroutine")),
            await ctx.step("plain", lambda: make_plainly("plain")),
            await ctx.step("nothing", _nothing),
        ]

        async def inner() -> Any:
            return await make("coroutine function")

        values.append(await ctx.step("coroutine function", inner, inputs={"b": 1, "a": [2]}))
        values += await asyncio.gather(*(ctx.step(f"round-{n}", partial(abs, -n)) for n in range(5)))
        seen.append(values)
        if ctx.attempt < 3:
            raise Fails
        return values

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
    assert called == ["lambda of a coroutine", "plain", "coroutine function"]
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2] == jobs["job"].result
    assert (seen[0][0]["tuple"], seen[0][0]["3"]) == ([1, 2], "three")
    assert jobs["job"].current_step is not None


async def test_a_step_that_failed_is_run_again(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    calls: list[int] = []

    async def handler(ctx: JobContext) -> Any:
        def flaky() -> int:
            calls.append(ctx.attempt)
            if ctx.attempt == 1:
                raise Fails
            return ctx.attempt

        return await ctx.step("flaky", flaky)

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
    assert (calls, jobs["job"].result) == ([1, 2], 2)


async def refusing(ctx: JobContext) -> Any:
    """Each type of job breaks another rule about steps; none of it may be tried again."""
    match ctx.job.type:
        case "mismatch":
            await ctx.step("model", lambda: 1, inputs={"temperature": ctx.attempt})
            raise Fails
        case "repeated":
            await ctx.step("same", lambda: 1)
            await ctx.step("same", lambda: 1)
        case "name":
            await ctx.step("", lambda: 1)
        case "large":
            await ctx.step("large", lambda: "x" * 1024 * 1024)
        case "no-json":
            await ctx.step("no-json", object)
        case "inputs":
            await ctx.step("inputs", lambda: 1, inputs=object())
        case "many":
            await asyncio.gather(*(ctx.step(f"step-{n:04}", lambda: 1) for n in range(1001)))
        case "progress":
            await ctx.progress(101)


REFUSALS = {
    "mismatch": "StepMismatchError: step 'model' of job mismatch was finished with other inputs",
    "repeated": "StepRepeatedError: step 'same' was already run in this attempt",
    "name": "InvalidNameError: ",
    "large": "ResultNotSerializableError: the result of step 'large' is 1,048,578 bytes of JSON",
    "no-json": "ResultNotSerializableError: the result of step 'no-json' is not JSON",
    "inputs": "PayloadNotSerializableError: the inputs of step 'inputs' is not JSON",
    "many": "is one too many: a job keeps at most 1,000 steps",
    "progress": "InvalidJobError: progress must be from 0 to 100, got 101",
}


async def test_what_steps_refuse(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue_many([Job({}, type=kind, id=kind) for kind in REFUSALS])
    async with running(Worker(queue, refusing, retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, list(REFUSALS))
    for kind, text in REFUSALS.items():
        assert text in str(jobs[kind].error), kind
        assert (jobs[kind].status, jobs[kind].attempts) == (JobStatus.FAILED, 2 if kind == "mismatch" else 1)
    engine = queue.engine
    assert await cast("Any", engine.client.hlen(engine.keys.steps + "many")) == 1000


async def test_progress_and_steps_from_a_thread(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    seen: list[tuple[float, str | None]] = []

    def handler(ctx: JobContext) -> Any:
        first = ctx.wait(ctx.step("first", lambda: {"attempt": ctx.attempt}))
        ctx.wait(ctx.progress(33.333, "second"))
        if ctx.attempt == 1:
            raise Fails
        return first

    async def look() -> bool:
        job = await queue.get_status("job")
        assert job is not None
        seen.append((job.progress, job.current_step))
        return job.status is JobStatus.COMPLETED

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        await until(look)
    job = await queue.get_status("job")
    assert job is not None
    assert (job.result, job.attempts) == ({"attempt": 1}, 2)
    assert (33.33, "second") in seen
    assert job.progress == 100.0


async def test_a_job_that_is_gone_may_not_write(make_queue: MakeQueue) -> None:
    """Whatever it tries: each try is refused, counted, and makes no key."""
    queue = await make_queue(timings=FAST)
    refused: list[str] = []
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(ctx: JobContext) -> str:
        began.set()
        await go_on.wait()
        for attempt in (lambda: ctx.progress(5), lambda: ctx.step("one", lambda: 1)):
            try:
                await attempt()
            except LeaseLostError as error:
                refused.append(str(error))
        return "late"

    worker = Worker(queue, handler)
    async with running(worker):
        await queue.enqueue(Job({}, id="job"))
        await began.wait()
        await cast("Any", queue.engine.client.flushall())
        go_on.set()

        async def dropped() -> bool:
            return worker.active_jobs == 0

        await until(dropped)

        async def counted() -> bool:
            return int(worker.get_stats()["late_writes_refused"]) == 3

        await until(counted)
    assert refused == ["job job is no longer this worker's: its lease was lost"] * 2
    assert await queue.get_status("job") is None
    assert await _keys_of(queue, "job") == []


async def _keys_of(queue: RedisStreamsQueue, job_id: str) -> list[bytes]:
    keys: list[bytes] = await cast("Any", queue.engine.client.keys(f"*{job_id}"))
    return keys


async def test_an_outage_while_steps_are_read_is_not_charged_to_the_job(
    make_queue: MakeQueue, proxy: FaultProxy
) -> None:
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url)
    called: list[int] = []

    async def handler(ctx: JobContext) -> int:
        def first() -> int:
            called.append(ctx.attempt)
            return ctx.attempt

        value = await ctx.step("first", first)
        if ctx.attempt == 1:
            raise Fails
        return value

    await direct.enqueue(Job({}, id="job", max_attempts=2))
    cut = proxy.cut_before("HGETALL", times=3)
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        await has_status(direct, "job", JobStatus.COMPLETED)
    assert (called, cut.hits) == ([1], 3)
