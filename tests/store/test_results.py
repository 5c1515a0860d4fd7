"""Waiting for results: told at the end, on one connection, through outages and lost calls."""

import asyncio

import pytest

from penstock import Job, RedisStreamsQueue
from penstock.core.errors import InvalidNameError, JobCancelledError, JobFailedError, JobNotFoundError
from penstock.core.outcomes import Claimed, Outcome
from penstock.store import listener as listener_module
from penstock.store.listener import Listener
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.servers import Server
from tests.store.scene import Scene
from tests.worker.support import calls


async def _finish(queue: RedisStreamsQueue, result: object = None) -> str:
    job = await queue.dequeue("w", 1000)
    assert job is not None
    assert await queue.complete(job.id, {"of": job.id, "is": result})
    return job.id


@pytest.mark.usefixtures("server")
async def test_a_result_comes_when_the_job_has_ended(make_queue: MakeQueue) -> None:
    queue, worker = await make_queue(), await make_queue()
    await queue.enqueue(Job(id="a"))
    waiting = asyncio.create_task(queue.result("a", timeout_seconds=30))
    await _finish(worker, "done")
    assert await waiting == {"of": "a", "is": "done"}
    assert await queue.result("a") == {"of": "a", "is": "done"}, "it stays for as long as the job is kept"


@pytest.mark.usefixtures("server")
async def test_every_other_end_is_an_error_of_its_own(make_queue: MakeQueue) -> None:
    queue, worker = await make_queue(), await make_queue()
    await queue.enqueue(Job(id="bad"))
    await queue.enqueue(Job(id="off"))
    waits = [asyncio.create_task(queue.result(job_id)) for job_id in ("bad", "off")]
    await worker.dequeue("w", 0)
    await worker.fail("bad", "ValueError: no")
    await worker.cancel("off")
    failed, cancelled = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(failed, JobFailedError)
    assert str(failed) == "job bad failed: ValueError: no"
    assert failed.job.error == "ValueError: no"
    assert isinstance(cancelled, JobCancelledError)
    with pytest.raises(JobNotFoundError, match="no queue keeps job nobody"):
        await queue.result("nobody")
    with pytest.raises(InvalidNameError):
        await queue.result("no such/id")


async def test_time_runs_out_with_a_clear_word(scene: Scene) -> None:
    await scene.add("a")
    with pytest.raises(TimeoutError, match=r"job a has not ended within 0\.05 s"):
        await scene.queue.result("a", timeout_seconds=0.05)
    assert await scene.status("a") == "pending"


async def test_a_job_of_another_queue_is_waited_for_there(make_queue: MakeQueue) -> None:
    queue, other = await make_queue("one"), await make_queue("two")
    await other.enqueue(Job(id="a"))
    waiting = asyncio.create_task(queue.result("a"))
    await _finish(other)
    assert (await waiting)["of"] == "a"


async def test_thousands_of_waits_share_one_connection_and_do_not_poll(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 600.0)
    proxy = await make_proxy(valkey)
    queue, worker = await make_queue(url=proxy.url), await make_queue()
    ids = await queue.enqueue_many([Job(id=f"j{n}") for n in range(2000)])
    waits = [asyncio.create_task(queue.result(job_id)) for job_id in ids]
    await proxy.saw("SUBSCRIBE")
    asked = proxy.round_trips
    claimed: list[Claimed] = []
    while batch := (await worker.engine.claim("w:1", f"r{len(claimed)}", 64)).jobs:
        claimed += batch
    for at in range(0, len(claimed), 64):
        few = claimed[at : at + 64]
        await worker.engine.settle([Outcome(job.id, job.lease, "complete", b'{"n":1}') for job in few])
    assert await asyncio.gather(*waits) == [{"n": 1}] * 2000
    assert proxy.commands["SUBSCRIBE"] == 1
    assert proxy.connections <= 8
    # Two looks and one loading for each, all of them gathered into batches of 64 at the least.
    assert proxy.round_trips - asked < 1000


async def test_a_lost_call_is_made_up_for_by_a_look(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(Listener, "_pass_on", lambda *_: None)
    queue, worker = await make_queue(), await make_queue()
    await queue.enqueue(Job(id="a"))
    waiting = asyncio.create_task(queue.result("a"))
    await _finish(worker)
    assert (await asyncio.wait_for(waiting, 30))["of"] == "a"


async def test_an_end_during_an_outage_is_seen_after_it(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough that only the new connection can tell.
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 600.0)
    proxy = await make_proxy(valkey)
    queue, worker = await make_queue(url=proxy.url), await make_queue()
    await queue.enqueue(Job(id="a"))
    waiting = asyncio.create_task(queue.result("a"))
    await proxy.saw("SUBSCRIBE")
    await proxy.refuse()
    await _finish(worker)
    await proxy.start()
    assert (await asyncio.wait_for(waiting, 30))["of"] == "a"


async def test_the_end_between_look_and_listening_is_not_missed(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 600.0)
    proxy = await make_proxy(valkey)
    queue, worker = await make_queue(url=proxy.url), await make_queue()
    await queue.enqueue(Job(id="a"))
    held = proxy.hold(calls("watch"), times=2)
    waiting = asyncio.create_task(queue.result("a"))
    await held.hit()
    await _finish(worker)
    held.release()
    assert (await asyncio.wait_for(waiting, 30))["of"] == "a"


async def test_closing_the_queue_leaves_nothing_behind(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    await queue.enqueue(Job(id="a"))
    with pytest.raises(TimeoutError):
        await queue.result("a", timeout_seconds=0.01)
    await queue.close()
    assert not [task for task in asyncio.all_tasks() if "listener" in task.get_name()]


async def test_a_result_has_a_retention_of_its_own(scene: Scene) -> None:
    await scene.add("short", result_ttl_seconds=60)
    await scene.add("usual")
    for job in (await scene.take("short", "usual")).values():
        await scene.settle(job, body=b"1")
    scene.clock.advance(seconds=59)
    await scene.sweep()
    assert await scene.queue.result("short") == 1
    scene.clock.advance(seconds=2)
    await scene.sweep()
    with pytest.raises(JobNotFoundError):
        await scene.queue.result("short")
    assert await scene.queue.result("usual") == 1
    await scene.assert_balanced()
