"""Durable steps side by side and tried again in place, and the order in which they were called."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import msgspec
import pytest

from penstock import (
    Job,
    JobContext,
    JobStatus,
    LeaseLostError,
    RedisStreamsQueue,
    RetryLater,
    RetryPolicy,
    Worker,
)
from penstock.store.engine import Engine
from penstock.worker.steps import StepRecord
from tests.conftest import MakeQueue
from tests.harness.ledger import Ledger
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.step_jobs import STEPS
from tests.worker.support import Workers, completed, ended, has_status, running

pytestmark = pytest.mark.usefixtures("valkey")

AT_ONCE = RetryPolicy(3, base_delay_seconds=0, jitter=False)


class Fails(ConnectionError):
    """Passes by itself, as far as policies know."""


async def _records(queue: RedisStreamsQueue, job_id: str) -> dict[str, StepRecord]:
    stored = await queue.engine.load_steps(job_id)
    return {name: msgspec.json.decode(body, type=StepRecord) for name, body in stored.items()}


async def test_steps_side_by_side_run_together_and_once(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other, so they must be under way at once; the second attempt reads once for both."""
    queue = await make_queue(timings=FAST)
    calls: list[str] = []
    loads: list[str] = []
    load = Engine.load_steps

    async def counted(engine: Engine, job_id: str) -> dict[str, bytes]:
        loads.append(job_id)
        await asyncio.sleep(0)
        return await load(engine, job_id)

    monkeypatch.setattr(Engine, "load_steps", counted)
    meeting = asyncio.Barrier(3)

    async def handler(ctx: JobContext) -> Any:
        async def part(name: str) -> str:
            calls.append(name)
            await meeting.wait()
            return name.upper()

        parts = await asyncio.gather(*(ctx.step(name, partial(part, name)) for name in "abc"))
        if ctx.attempt == 1:
            raise Fails
        return parts

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == ["A", "B", "C"]
    assert calls == ["a", "b", "c"]
    assert loads == ["job"]


async def test_one_of_several_that_fails_does_not_undo_the_others(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    calls: list[str] = []

    async def handler(ctx: JobContext) -> Any:
        async def good() -> str:
            calls.append("good")
            return "good"

        async def bad() -> str:
            calls.append("bad")
            if ctx.attempt == 1:
                raise Fails
            return "better"

        first = await asyncio.gather(
            ctx.step("good", good), ctx.step("bad", bad), return_exceptions=ctx.attempt == 1
        )
        if ctx.attempt == 1:
            raise Fails
        return first

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == ["good", "better"]
    assert calls == ["good", "bad", "bad"]


async def test_each_step_keeps_the_place_of_its_call(make_queue: MakeQueue) -> None:
    """Also in a later attempt, where the finished ones are counted though they are not run."""
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> None:
        await ctx.step("first", lambda: 1)
        await asyncio.gather(ctx.step("second", lambda: 2), ctx.step("third", lambda: 3))
        if ctx.attempt == 1:
            raise Fails
        await ctx.step("fourth", lambda: 4)

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        await completed(queue, ["job"])
    places = {name: record.place for name, record in (await _records(queue, "job")).items()}
    assert places == {"first": 1, "second": 2, "third": 3, "fourth": 4}


async def test_a_step_stored_without_a_place_is_read(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    called: list[int] = []

    async def handler(ctx: JobContext) -> Any:
        if ctx.attempt == 1:
            await ctx.step("old", lambda: "made")
            raise Fails
        return await ctx.step("old", lambda: called.append(1))

    await queue.enqueue(Job({}, id="job"))
    worker = Worker(queue, handler, retry_policy=RetryPolicy(9, base_delay_seconds=0.5, jitter=False))
    async with running(worker):
        await has_status(queue, "job", JobStatus.RETRYING)
        key = queue.engine.keys.steps + "job"
        record = msgspec.json.decode((await queue.engine.load_steps("job"))["old"])
        del record["place"]
        await cast("Any", queue.engine.client.hset(key, "old", msgspec.json.encode(record)))
        jobs = await completed(queue, ["job"])
    assert jobs["job"].result == "made"
    assert called == []


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_step_is_tried_again_in_place(make_queue: MakeQueue, kind: str) -> None:
    queue = await make_queue(timings=FAST)
    tries: list[int] = []

    def plain() -> int:
        tries.append(len(tries))
        if len(tries) < 3:
            raise Fails
        return len(tries)

    async def loop() -> int:
        return plain()

    async def handler(ctx: JobContext) -> Any:
        return await ctx.step("flaky", loop if kind == "async" else plain, retry=AT_ONCE)

    await queue.enqueue(Job({}, id="job", max_attempts=1))
    async with running(Worker(queue, handler)):
        jobs = await completed(queue, ["job"])
    assert (jobs["job"].result, jobs["job"].attempts) == (3, 1)


async def test_what_a_step_s_retries_do_not_cure_is_the_handler_s(make_queue: MakeQueue) -> None:
    """The policy's number of tries, then the error; an error that cannot pass is not tried again."""
    queue = await make_queue(timings=FAST)
    tries: dict[str, int] = {"passing": 0, "lasting": 0}

    async def handler(ctx: JobContext) -> Any:
        def fails() -> None:
            tries[ctx.id] += 1
            raise Fails("busy") if ctx.id == "passing" else ValueError("wrong")

        await ctx.step("fails", fails, retry=AT_ONCE)

    await queue.enqueue_many([Job({}, id=name, max_attempts=1) for name in tries])
    async with running(Worker(queue, handler)):
        jobs = await ended(queue, list(tries))
    assert tries == {"passing": 3, "lasting": 1}
    assert jobs["passing"].error == "Fails: busy"
    assert jobs["lasting"].error == "ValueError: wrong"


async def test_a_step_waits_as_long_as_its_error_asks(make_queue: MakeQueue) -> None:
    """Retry-After wins over the policy, and a cancellation over both."""
    queue = await make_queue(timings=FAST)
    loop = asyncio.get_running_loop()
    waiting = asyncio.Event()
    tries: list[str] = []

    async def handler(ctx: JobContext) -> Any:
        def limited() -> str:
            tries.append(ctx.id)
            if tries.count(ctx.id) > 1:
                return "answered"
            if ctx.id == "long":
                loop.call_soon_threadsafe(waiting.set)
                raise RetryLater(3600)
            raise RetryLater(0.01)

        return await ctx.step("limited", limited, retry=RetryPolicy(3, base_delay_seconds=600, jitter=False))

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job({}, id="short"))
        jobs = await completed(queue, ["short"])
        assert jobs["short"].result == "answered"
        await queue.enqueue(Job({}, id="long"))
        await waiting.wait()
        assert await queue.cancel("long")
        await has_status(queue, "long", JobStatus.CANCELLED)
    assert tries == ["short", "short", "long"]


async def test_a_thread_that_waits_for_a_step_s_next_try_is_interrupted(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handler(ctx: JobContext) -> None:
        def fails() -> None:
            loop.call_soon_threadsafe(failed.set)
            raise RetryLater(3600)

        ctx.wait(ctx.step("fails", fails, retry=AT_ONCE))

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job({}, id="job"))
        await failed.wait()
        assert await queue.cancel("job")
        await has_status(queue, "job", JobStatus.CANCELLED)


async def test_a_lost_lease_is_not_tried_again(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    tries: list[int] = []
    over = asyncio.Event()

    async def handler(ctx: JobContext) -> None:
        async def speaks() -> None:
            tries.append(1)
            await cast("Any", queue.engine.client.hset(queue.engine.keys.job + ctx.id, "lease", "other"))
            await ctx.progress(1)

        try:
            await ctx.step("speaks", speaks, retry=AT_ONCE)
        except LeaseLostError:
            over.set()
            raise

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job({}, id="job"))
        await over.wait()
    assert tries == [1]


@pytest.mark.parametrize(
    "kill_in",
    [
        pytest.param(["step-1", "step-4"], id="two"),
        pytest.param(STEPS, id="each in turn", marks=pytest.mark.slow),
    ],
)
async def test_a_worker_killed_inside_a_step_runs_no_finished_one_again(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger, kill_in: list[str]
) -> None:
    """The step in which it was killed runs again; the others ran once, outside Redis's knowledge too."""
    queue = await make_queue(timings=FAST)
    await queue.enqueue(Job({"kill_in": kill_in}, type="seven", id="job", max_attempts=10))
    async with killed_and_started(workers):
        jobs = await completed(queue, ["job"], 90)
    assert jobs["job"].result == [name.upper() for name in STEPS]
    assert jobs["job"].crashes == len(kill_in)
    made = [entry["step"] for entry in ledger.entries("made")]
    assert made == STEPS
    begun = Counter(entry["step"] for entry in ledger.entries("begun"))
    assert begun == Counter(STEPS) + Counter(kill_in)


async def test_a_worker_killed_around_a_wait(make_queue: MakeQueue, workers: Workers, ledger: Ledger) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue(Job({"kill_in": ["step-1", "step-2"]}, type="waits", id="job", max_attempts=5))
    async with killed_and_started(workers):
        await has_status(queue, "job", JobStatus.SUSPENDED, 30)
        assert await queue.signal("job", "word", "given")
        jobs = await completed(queue, ["job"], 60)
    assert jobs["job"].result == ["STEP-1", "given", "STEP-2", "STEP-3"]
    assert [entry["step"] for entry in ledger.entries("made")] == ["step-1", "step-2", "step-3"]


@asynccontextmanager
async def killed_and_started(workers: Workers) -> AsyncIterator[None]:
    """A worker process that is started again whenever it dies."""

    async def supervise() -> None:
        while True:
            worker = await workers.start(handlers="tests.worker.step_jobs:handlers", ready=False)
            assert await worker.exited(60) == -9

    supervisor = asyncio.create_task(supervise())
    try:
        yield
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
