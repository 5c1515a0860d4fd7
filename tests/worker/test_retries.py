"""Retries: waits kept in Redis, limits, errors that are not tried again, timeouts, unknown types."""

import asyncio
import time
from typing import Any, cast

import pytest

from penstock import (
    Job,
    JobContext,
    JobStatus,
    ManualClock,
    RedisStreamsQueue,
    RetryLater,
    RetryPolicy,
    Worker,
)
from penstock.worker import attempt
from tests.conftest import MakeQueue
from tests.worker.fleet import FAST, QUICK_RETRIES
from tests.worker.support import completed, ended, has_status, running, statuses, until

pytestmark = pytest.mark.usefixtures("valkey")


async def facts(queue: RedisStreamsQueue, event: str) -> list[dict[str, str]]:
    """What the events stream says of one kind about a recorded job."""
    engine = queue.engine
    entries = await cast("Any", engine.client.xrange(engine.keys.events))
    found = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]
    return [fields for fields in found if fields["event"] == event]


async def test_waits_grow_and_outlive_their_worker(make_queue: MakeQueue) -> None:
    """Each attempt is made by a new worker: the wait is in Redis, not in a worker's memory."""
    queue = await make_queue(timings=FAST)
    attempts: list[int] = []

    async def fails(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise ConnectionError("not found, unauthorized, invalid")

    await queue.enqueue(Job({}, id="job", max_attempts=4, record=True))
    for expected in (1, 2, 3):
        async with running(Worker(queue, fails, retry_policy=QUICK_RETRIES)):

            async def tried(expected: int = expected) -> bool:
                return len(await facts(queue, "retrying")) == expected

            await until(tried)
    async with running(Worker(queue, fails, retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, ["job"])
    assert attempts == [1, 2, 3, 4]
    assert [int(fact["delay_ms"]) for fact in await facts(queue, "retrying")] == [50, 100, 200]
    assert (jobs["job"].status, jobs["job"].attempts) == (JobStatus.FAILED, 4)
    assert jobs["job"].error == "ConnectionError: not found, unauthorized, invalid"


async def test_no_attempt_is_made_before_its_time(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def fails_once(ctx: JobContext) -> int:
        if ctx.attempt == 1:
            raise RetryLater(0.7)
        return ctx.attempt

    await queue.enqueue(Job({}, id="job", record=True))
    async with running(Worker(queue, fails_once)):
        await has_status(queue, "job", JobStatus.RETRYING)
        # However often somebody looks whether it is due.
        assert (await queue.engine.promote())[0] == 0
        await completed(queue, ["job"])
    (retrying,) = await facts(queue, "retrying")
    started = [int(fact["at"]) for fact in await facts(queue, "started")]
    assert int(retrying["delay_ms"]) == 700
    assert started[1] - int(retrying["at"]) >= 700


FAILING_AT_ONCE = {
    "value": ValueError("bad input"),
    "key": KeyError("name"),
    "message": RuntimeError("the page was not found"),
}
PASSING = {"connection": ConnectionError("not found"), "disk": OSError("disk"), "other": RuntimeError("odd")}


async def test_only_errors_that_may_pass_are_tried_again(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def fails_once(ctx: JobContext) -> None:
        if ctx.attempt == 1:
            raise (FAILING_AT_ONCE | PASSING)[ctx.id]

    ids = await queue.enqueue_many([Job({}, id=name) for name in FAILING_AT_ONCE | PASSING])
    async with running(Worker(queue, fails_once, retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, ids)
    for name in PASSING:
        assert (jobs[name].status, jobs[name].attempts) == (JobStatus.COMPLETED, 2)
    for name, error in FAILING_AT_ONCE.items():
        assert (jobs[name].status, jobs[name].attempts) == (JobStatus.FAILED, 1)
        assert jobs[name].error == f"{type(error).__name__}: {error}"


async def test_the_stricter_limit_counts(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    policy = RetryPolicy(2, base_delay_seconds=0.01, jitter=False)

    async def fails(_: JobContext) -> None:
        raise ConnectionError

    await queue.enqueue(Job({}, id="by-policy", max_attempts=9))
    await queue.enqueue(Job({}, id="by-job", max_attempts=1))
    async with running(Worker(queue, fails, retry_policy=policy)):
        jobs = await ended(queue, ["by-policy", "by-job"])
    assert {name: job.attempts for name, job in jobs.items()} == {"by-policy": 2, "by-job": 1}
    assert {job.status for job in jobs.values()} == {JobStatus.FAILED}


def sleeps(ctx: JobContext) -> None:
    """Looks whether it is to stop."""
    finish = time.monotonic() + 30
    while not ctx.cancelled and time.monotonic() < finish:
        time.sleep(0.01)


async def never_returns(_: JobContext) -> None:
    await asyncio.get_running_loop().create_future()


async def times_out_itself(_: JobContext) -> None:
    raise TimeoutError("the model did not answer")


async def test_an_attempt_has_its_time(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    await queue.enqueue(Job({}, type="thread", id="thread", timeout_seconds=0.1, max_attempts=2))
    await queue.enqueue(Job({}, type="loop", id="loop", timeout_seconds=0.1, max_attempts=2))
    await queue.enqueue(Job({}, type="own", id="own", timeout_seconds=60, max_attempts=2))
    handlers: dict[str, Any] = {"thread": sleeps, "loop": never_returns, "own": times_out_itself}
    async with running(Worker(queue, handlers, retry_policy=QUICK_RETRIES)):
        jobs = await ended(queue, list(handlers))
    assert {(job.status, job.attempts) for job in jobs.values()} == {(JobStatus.FAILED, 2)}
    late = "TimeoutError: the attempt took longer than timeout_seconds=0.1"
    assert jobs["thread"].error == jobs["loop"].error == late
    assert jobs["own"].error == "TimeoutError: the model did not answer"


async def test_an_unknown_type_goes_back_unspent_until_somebody_knows_it(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "UNKNOWN_TYPE_DELAY_MS", 100)
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> int:
        return ctx.attempt

    old = Worker(queue, {"older": handler}, worker_id="old")
    new = Worker(queue, {"newer": handler}, worker_id="new")
    await queue.enqueue(Job({}, type="newer", id="job", max_attempts=1))
    async with running(old):
        job = await has_status(queue, "job", JobStatus.RETRYING)
        assert job.attempts == 0
        assert job.error == ("UnknownJobTypeError: worker old has no handler for type 'newer'; it has older")
        async with running(new):
            jobs = await completed(queue, ["job"])
    assert (jobs["job"].worker_id, jobs["job"].attempts, jobs["job"].result) == ("new", 1, 1)


async def test_a_type_nobody_has_known_for_an_hour_fails(make_queue: MakeQueue) -> None:
    """By the clock that delays are counted by, from the first who did not know it; the letter says why."""
    clock = ManualClock()
    queue = await make_queue(clock=clock)
    await queue.enqueue(Job({}, type="nobody", id="job"), delay_seconds=7200)
    clock.advance(seconds=7200)
    worker = Worker(queue, {"older": never_returns}, worker_id="old")
    await worker.run_until_idle()
    clock.advance(seconds=3599)
    await worker.run_until_idle()
    (job,) = await statuses(queue, ["job"])
    assert (job.status, job.attempts) == (JobStatus.RETRYING, 0)
    clock.advance(seconds=15)
    await worker.run_until_idle()
    (job,) = await statuses(queue, ["job"])
    assert job.status is JobStatus.FAILED
    assert job.error == (
        "UnknownJobTypeError: worker old has no handler for type 'nobody'; it has older; "
        "nobody who took the job within 3600 s could run it"
    )
    client: Any = queue.engine.client
    ((_, letter),) = await client.xrange(queue.engine.keys.dlq)
    assert letter[b"error"].decode() == job.error


async def test_an_outage_while_a_payload_is_read_is_not_charged_to_the_job(
    make_queue: MakeQueue, proxy: Any
) -> None:
    direct = await make_queue(timings=FAST)
    queue = await make_queue(timings=FAST, url=proxy.url)
    cut = proxy.cut_before("GET", times=3)
    payload = {"text": "x" * 50_000}

    async def handler(ctx: JobContext) -> int:
        return len(ctx.payload["text"])

    await direct.enqueue(Job(payload, id="job", max_attempts=1))
    async with running(Worker(queue, handler)):
        jobs = await completed(direct, ["job"])
    assert cut.hits == 3
    assert (jobs["job"].result, jobs["job"].attempts) == (50_000, 1)
