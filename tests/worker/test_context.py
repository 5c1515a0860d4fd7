"""What a handler says and makes: events, usage, children, parents; and what all of a key hear of a limit."""

import asyncio
from typing import Any, cast

import pytest

from penstock import (
    DuplicateJobError,
    Job,
    JobContext,
    JobStatus,
    LeaseLostError,
    ManualClock,
    RedisStreamsQueue,
    RetryLater,
    RetryPolicy,
    Worker,
)
from penstock.core.errors import FeedFullError
from penstock.store import flow_calls
from tests.conftest import MakeQueue
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.support import completed, ended, running, statuses

pytestmark = pytest.mark.usefixtures("valkey")


async def feed(queue: RedisStreamsQueue, job_id: str) -> list[tuple[str, str]]:
    """A job's live feed as (kind, body)."""
    entries = await cast("Any", queue.engine.client.xrange(queue.engine.keys.live + job_id))
    return [(fields[b"kind"].decode(), fields[b"body"].decode()) for _, fields in entries]


async def test_events_and_usage(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_calls, "MOST_ENTRIES", 3)
    clock = ManualClock()
    queue = await make_queue(clock=clock)
    errors: list[str] = []

    async def handler(ctx: JobContext) -> None:
        await ctx.emit({"token": "Hel"})
        await ctx.emit("lo")
        await ctx.report_usage(tokens=2, cost=0.5)
        await ctx.report_usage(tokens=1)
        await ctx.report_usage()
        await ctx.emit(3)
        for call in (ctx.emit(4), ctx.emit(object()), ctx.report_usage(tokens=-1)):
            try:
                await call
            except Exception as error:
                errors.append(type(error).__name__)

    await queue.enqueue(Job({}, id="job", type="chat", concurrency_key="tenant"))
    await Worker(queue, handler).run_until_idle()
    assert (await statuses(queue, ["job"]))[0].status is JobStatus.COMPLETED
    assert (await feed(queue, "job"))[:3] == [("emit", '{"token":"Hel"}'), ("emit", '"lo"'), ("emit", "3")]
    assert errors == [FeedFullError.__name__, "PayloadNotSerializableError", "InvalidJobError"]
    hour = clock.now_ms // 3_600_000 * 3600
    sums = await cast("Any", queue.engine.client.hgetall(f"{queue.engine.keys.usage}{hour}"))
    assert sums == {b"chat|tenant|tokens": b"3", b"chat|tenant|cost": b"0.5"}


async def test_a_repeated_attempt_makes_no_second_child(make_queue: MakeQueue) -> None:
    """By the place of the call, or by an id of its own; side by side and after one another."""
    queue = await make_queue(timings=FAST)
    made: list[list[str]] = []

    async def handler(ctx: JobContext) -> Any:
        if ctx.job.type == "child":
            return ctx.payload
        ids = list(await asyncio.gather(*(ctx.enqueue(Job(n, type="child")) for n in range(3))))
        ids.append(await ctx.enqueue(Job("own", type="child", id="own-id")))
        ids.append(await ctx.enqueue(Job("given", type="child"), job_id="given-id"))
        made.append(ids)
        if ctx.attempt == 1:
            raise ConnectionError
        return ids

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler, retry_policy=QUICK_RETRIES)):
        jobs = await completed(queue, ["job"])
        children = await completed(queue, jobs["job"].result)
    assert made[0] == made[1]
    assert [children[job_id].result for job_id in made[0]] == [0, 1, 2, "own", "given"]
    assert made[0][3:] == ["own-id", "given-id"]
    stats = await queue.get_queue_stats()
    assert stats["completed"] == 6


async def test_children_that_are_refused(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    refused: list[str] = []

    async def handler(ctx: JobContext) -> Any:
        children = [
            Job({}, parents=["nobody"]),
            Job({}, unique_key="held", unique_policy="reject"),
            Job({}, queue_name="elsewhere"),
        ]
        for child in children:
            try:
                await ctx.enqueue(child)
            except Exception as error:
                refused.append(type(error).__name__)
        held = await ctx.enqueue(Job({}, unique_key="held"))
        await cast("Any", queue.engine.client.hset(queue.engine.keys.job + ctx.id, "lease", "other"))
        try:
            await ctx.enqueue(Job({}, id="late"))
        except LeaseLostError:
            refused.append(held)
            raise

    await queue.enqueue(Job({}, id="holder", type="later", unique_key="held"), delay_seconds=600)
    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler)) as worker:
        while len(refused) < 4:
            await asyncio.sleep(0.01)
            assert not worker.done()
    assert refused == ["MissingParentError", DuplicateJobError.__name__, "InvalidJobError", "holder"]
    assert await queue.get_status("late") is None


async def test_what_parents_ended_with(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> Any:
        match ctx.job.type:
            case "good":
                return {"text": "x" * 40_000 if ctx.payload else "short"}
            case "silent":
                return None
            case "bad":
                raise ValueError("no")
        told = await ctx.parents()
        return {name: [parent.status, parent.result, parent.error] for name, parent in told.items()}

    await queue.enqueue(Job(False, id="good", type="good"))
    await queue.enqueue(Job(True, id="large", type="good"))
    await queue.enqueue(Job({}, id="silent", type="silent"))
    await queue.enqueue(Job({}, id="bad", type="bad"))
    parents = ["good", "large", "silent", "bad"]
    await queue.enqueue(Job({}, id="child", parents=parents, on_parent_failure="run"))
    await queue.enqueue(Job({}, id="orphan"))
    async with running(Worker(queue, handler)):
        jobs = await ended(queue, ["child", "orphan"])
    assert jobs["orphan"].result == {}
    assert jobs["child"].result == {
        "good": ["completed", {"text": "short"}, None],
        "large": ["completed", {"text": "x" * 40_000}, None],
        "silent": ["completed", None, None],
        "bad": ["failed", None, "ValueError: no"],
    }


async def test_a_provider_s_wait_is_for_all_of_its_key(make_queue: MakeQueue) -> None:
    """One job is told to come back in a minute: no other of that key is begun before."""
    clock = ManualClock()
    queue = await make_queue(clock=clock)
    begun: list[str] = []

    async def handler(ctx: JobContext) -> None:
        begun.append(f"{ctx.id}.{ctx.attempt}")
        if begun == ["first.1"]:
            raise RetryLater(60)

    # One at a time, so that the next of the key is not claimed while the pause is on its way.
    await queue.limits.set("provider", concurrency=1)
    for name, key in (("first", "provider"), ("second", "provider"), ("other", "another")):
        await queue.enqueue(Job({}, id=name, rate_key=key))

    async def run() -> dict[str, Any]:
        worker = Worker(queue, handler, max_concurrent=1, retry_policy=RetryPolicy(3, jitter=False))
        await worker.run_until_idle()
        return worker.get_stats()

    assert (await run())["jobs_retried"] == 1
    assert begun == ["first.1", "other.1"]
    clock.advance(seconds=59)
    await run()
    assert begun == ["first.1", "other.1"]
    clock.advance(seconds=1)
    await run()
    assert sorted(begun[2:]) == ["first.2", "second.1"]
    assert {job.status for job in await statuses(queue, ["first", "second"])} == {JobStatus.COMPLETED}
