"""An idle worker's claim, which waits on the server behind the bell: made when a job comes, never twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from penstock import Job, JobStatus, RedisStreamsQueue
from penstock.core.errors import StoreError
from penstock.core.outcomes import Claim
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.ledger import Ledger
from tests.worker.support import Workers, calls, completed, has_status, starts, until


async def is_waiting(queue: RedisStreamsQueue, waiting: int = 1) -> None:
    """Returns when so many connections wait at the bell."""
    client = cast("Any", queue.client)

    async def waits() -> bool:
        listed = await client.client_list()
        return len([each for each in listed if each["cmd"] == "blpop" and "b" in each["flags"]]) == waiting

    await until(waits)


@asynccontextmanager
async def at_bell(queue: RedisStreamsQueue, request: str = "request") -> AsyncIterator["asyncio.Task[Claim]"]:
    """A claim that waits behind the bell of the queue's server."""
    await queue.engine.claim("w:1", "before", 1)
    claim = asyncio.create_task(queue.engine.claim_at_bell("w:1", request, 5.0))
    await is_waiting(queue)
    yield claim
    claim.cancel()


@pytest.mark.usefixtures("server")
async def test_a_job_that_comes_is_given_at_once(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    async with at_bell(queue) as claim:
        assert await queue.enqueue(Job({"n": 1}, id="a")) == "a"
        given = await claim
    assert [(job.id, job.lease) for job in given.jobs] == [("a", "1:request")]
    assert (await queue.engine.claim("w:1", "request", 1)).jobs == given.jobs


@pytest.mark.usefixtures("server")
async def test_it_takes_one_job_and_says_that_there_are_more(make_queue: MakeQueue) -> None:
    queue, other = await make_queue(), await make_queue()
    async with at_bell(queue) as claim:
        await other.enqueue_many([Job(id=str(number)) for number in range(3)])
        assert [job.id for job in (await claim).jobs] == ["0"]
        assert await queue.engine.wait_for_bell(1.0)
        assert [job.id for job in (await queue.engine.claim("w:1", "next", 9)).jobs] == ["1", "2"]


@pytest.mark.usefixtures("server")
async def test_a_wait_that_is_broken_off_claims_nothing(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    async with at_bell(queue) as claim:
        claim.cancel()
        await is_waiting(queue, 0)
    await queue.enqueue(Job(id="a"))
    job = await queue.get_status("a")
    assert job is not None
    assert job.status is JobStatus.PENDING


@pytest.mark.usefixtures("server")
async def test_a_wait_that_ends_for_nothing_claims_nothing(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    given = await queue.engine.claim_at_bell("w:1", "request", 0.01)
    assert given.jobs == []


async def test_a_server_that_has_forgotten_the_script_is_given_it(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    async with at_bell(queue) as claim:
        await cast("Any", queue.client).script_flush()
        await queue.enqueue(Job(id="a"))
        assert [job.id for job in (await claim).jobs] == ["a"]


async def test_a_wait_that_is_refused_leaves_no_answer_to_the_next_call(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    await queue.enqueue(Job(id="a"))
    client = cast("Any", queue.client)
    await client.delete(queue.engine.keys.bell)
    await client.set(queue.engine.keys.bell, "no list")
    with pytest.raises(StoreError, match="wrong kind of value"):
        await queue.engine.claim_at_bell("w:1", "request", 5.0)
    await client.delete(queue.engine.keys.bell)
    assert await client.ping() is True
    assert [job.id for job in (await queue.engine.claim("w:1", "request", 1)).jobs] == ["a"]


async def test_an_idle_worker_that_was_frozen_does_not_start_what_another_has_run(
    make_queue: MakeQueue, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue()
    frozen = await workers.start()
    await is_waiting(queue)
    frozen.stop_parent()
    await queue.enqueue(Job(type="quick", id="a"))
    await has_status(queue, "a", JobStatus.PROCESSING)
    heir = await workers.start()
    done = await completed(queue, ["a"])
    assert (done["a"].worker_id, done["a"].attempts, done["a"].crashes) == ("w2", 2, 1)
    heir.terminate()
    assert await heir.exited() == 0
    frozen.cont_parent()
    await queue.enqueue(Job(type="quick", id="b"))
    assert (await completed(queue, ["b"]))["b"].worker_id == "w1"
    assert starts(ledger) == {"a": 1, "b": 1}


async def test_an_idle_worker_that_stops_while_its_claims_reply_is_lost_gives_the_job_back(
    make_queue: MakeQueue, proxy: FaultProxy, workers: Workers, ledger: Ledger
) -> None:
    queue = await make_queue()
    worker = await workers.start(url=proxy.url)
    await is_waiting(queue)
    proxy.swallow(calls("claim"))
    await queue.enqueue(Job(type="quick", id="a"))
    await has_status(queue, "a", JobStatus.PROCESSING)
    worker.terminate()
    assert await worker.exited() == 0
    job = await queue.get_status("a")
    assert job is not None
    assert (job.status, job.attempts) in {(JobStatus.PENDING, 0), (JobStatus.COMPLETED, 1)}
    assert starts(ledger).total() <= 1
