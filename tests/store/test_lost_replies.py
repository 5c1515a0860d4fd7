"""A network that loses replies: nothing is stranded, nothing happens twice."""

import asyncio

import pytest

from penstock import Job
from penstock.core.errors import QueueUnavailableError
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.rules import named
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_a_dequeue_whose_reply_was_lost_strands_nothing(
    make_queue: MakeQueue, proxy: FaultProxy, scene: Scene
) -> None:
    queue = await make_queue("q", url=proxy.url)
    await scene.add("a", "b", "c")
    assert (await queue.dequeue("w", 0)) is not None
    proxy.cut_after("EVALSHA")
    with pytest.raises(QueueUnavailableError, match=r"did not answer .* is the server running and reachable"):
        await queue.dequeue("w", 0)
    assert (await queue.get_queue_stats())["processing"] == 2
    again = await queue.dequeue("w", 0)
    last = await queue.dequeue("w", 0)
    assert again is not None
    assert last is not None
    assert (again.id, again.attempts, last.id) == ("b", 1, "c")
    for job_id in "abc":
        assert await queue.ack(job_id)
    await scene.assert_balanced()


async def test_a_dequeue_that_could_not_read_the_payload_strands_nothing(
    make_queue: MakeQueue, proxy: FaultProxy
) -> None:
    queue = await make_queue("q", url=proxy.url)
    await queue.enqueue(Job("x" * 20_000, id="a"))
    proxy.cut_before(named("GET"))
    with pytest.raises(QueueUnavailableError):
        await queue.dequeue("w", 0)
    job = await queue.dequeue("w", 0)
    assert job is not None
    assert (len(job.payload), job.attempts, job.crashes) == (20_000, 1, 0)


async def test_a_dequeue_that_was_cancelled_strands_nothing(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    queue = await make_queue("q", url=proxy.url)
    await queue.dequeue("w", 0)
    held = proxy.hold("EVALSHA")
    other = await make_queue("q")
    await other.enqueue(Job(id="a"))
    task = asyncio.create_task(queue.dequeue("w", 0))
    await held.hit()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.release()
    job = await queue.dequeue("w", 0)
    assert job is not None
    assert (job.id, job.attempts) == ("a", 1)


async def test_an_outcome_whose_reply_was_lost_is_settled_once(
    make_queue: MakeQueue, proxy: FaultProxy, scene: Scene
) -> None:
    queue = await make_queue("q", url=proxy.url)
    await scene.add("a", "b")
    for _ in range(2):
        await queue.dequeue("w", 0)
    assert await queue.complete("a", {"n": 1})
    proxy.cut_after("EVALSHA")
    with pytest.raises(QueueUnavailableError):
        await queue.fail("b", "no")
    assert await queue.fail("b", "no"), "the lease is kept until an answer comes"
    assert len(await scene.letters()) == 1
    assert await scene.counts() == {"completed": 1, "failed": 1}


async def test_an_enqueue_whose_reply_was_lost_may_be_repeated(
    make_queue: MakeQueue, proxy: FaultProxy, scene: Scene
) -> None:
    queue = await make_queue("q", url=proxy.url)
    jobs = [Job(id=f"{number}") for number in range(300)]
    await queue.enqueue_many(jobs[:1])
    proxy.cut_after("EVALSHA")
    with pytest.raises(QueueUnavailableError):
        await queue.enqueue_many(jobs)
    assert len(await queue.enqueue_many(jobs)) == 300
    assert (await queue.get_queue_stats())["pending"] == 300
    taken = [job.id for _ in range(5) for job in (await scene.claim()).jobs]
    assert taken == [job.id for job in jobs]


async def test_nothing_is_resent_by_itself(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    queue = await make_queue("q", url=proxy.url)
    await queue.enqueue(Job(id="warm"))
    before = proxy.commands["EVALSHA"]
    proxy.cut_before("EVALSHA", times=None)
    with pytest.raises(QueueUnavailableError):
        await queue.enqueue(Job(id="a"))
    assert proxy.commands["EVALSHA"] == before + 1


async def test_a_batch_is_one_round_trip(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    queue = await make_queue("q", url=proxy.url)
    await queue.enqueue_many([Job(id=f"warm-{number}") for number in range(64)])
    before = proxy.round_trips
    await queue.enqueue_many([Job(id=f"{number}") for number in range(64)])
    assert proxy.round_trips == before + 1
    claim = await queue.engine.claim("w:1", "r0", 1)
    assert len(claim.jobs) == 1
    before = proxy.round_trips
    claim = await queue.engine.claim("w:1", "r1", 64)
    assert (len(claim.jobs), proxy.round_trips) == (64, before + 1)
