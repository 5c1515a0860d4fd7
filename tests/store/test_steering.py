"""Verbs for jobs that are there, wherever they are, and for the queue as a whole."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import Job
from penstock.core.errors import DuplicateJobError, InvalidJobError, InvalidNameError, MissingParentError
from penstock.core.outcomes import Outcome
from tests.conftest import MakeQueue
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_many_are_cancelled_in_every_state_and_on_every_queue(scene: Scene) -> None:
    await scene.add("running", "pending")
    running = await scene.claim(1)
    await scene.add("later", delay_seconds=60)
    await scene.add("done")
    (done,) = (job for job in (await scene.claim(2)).jobs if job.id == "done")
    await scene.settle(done)
    await scene.queue.enqueue(Job(id="abroad"), queue_name="other")
    many = [f"m{n}" for n in range(100)]
    await scene.add(*many)
    answers = await scene.queue.cancel_many(["running", "later", "done", "abroad", "nobody", *many])
    assert running.jobs[0].id == "running"
    assert answers == {
        "running": True,
        "later": True,
        "done": False,
        "abroad": True,
        "nobody": False,
    } | dict.fromkeys(many, True)
    assert await scene.status("later") == "cancelled"
    assert await scene.status("abroad") == "cancelled"
    assert (await scene.counts())["cancelled"] == 101


async def test_pause_holds_back_every_claim_until_resume(scene: Scene) -> None:
    await scene.add("a")
    await scene.queue.pause()
    assert await scene.queue.is_paused()
    assert await scene.queue.dequeue("w", 0) is None
    assert await scene.queue.enqueue(Job(id="b")) == "b"
    await scene.queue.resume()
    assert not await scene.queue.is_paused()
    job = await scene.queue.dequeue("w", 0)
    assert job is not None
    assert job.id == "a"


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(0), timedelta(days=-400)])
async def test_run_at_is_a_moment_and_a_past_one_is_now(scene: Scene, ahead: timedelta) -> None:
    moment = datetime.fromtimestamp(scene.clock.now_ms / 1000, UTC) + ahead
    await scene.queue.enqueue(Job(id="aware"), run_at=moment)
    await scene.queue.enqueue(Job(id="epoch"), run_at=moment.timestamp())
    await scene.queue.enqueue_many([Job(id="many")], run_at=moment)
    for job_id in ("aware", "epoch", "many"):
        if ahead > timedelta(0):
            assert await scene.client.zscore(scene.keys.scheduled, job_id) == moment.timestamp() * 1000
        else:
            assert await scene.status(job_id) == "pending"


async def test_run_at_without_a_test_clock_goes_by_this_machines(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    await queue.enqueue(Job(id="a"), run_at=time.time() + 3600)
    await queue.enqueue(Job(id="b"), run_at=time.time() - 1)
    assert await queue.get_queue_stats() == await queue.get_queue_stats() | {"scheduled": 1, "pending": 1}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"run_at": datetime(2030, 1, 1)}, "time zone"),
        ({"run_at": "tomorrow"}, "aware datetime or seconds"),
        ({"run_at": float("nan")}, "aware datetime or seconds"),
        ({"run_at": True}, "aware datetime or seconds"),
        ({"run_at": 1.0, "delay_seconds": 5}, "give one of them"),
        ({"run_at": 1e12}, "ten years"),
    ],
)
async def test_a_moment_that_cannot_be_is_refused(scene: Scene, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidJobError, match=says):
        await scene.queue.enqueue(Job(id="a"), **options)
    assert await scene.status("a") is None


async def test_what_the_server_refuses_is_an_error_that_says_why(scene: Scene) -> None:
    queue = scene.queue
    with pytest.raises(MissingParentError, match="waits for job nobody"):
        await queue.enqueue(Job(id="a", parents=["nobody"]))
    with pytest.raises(MissingParentError, match="on queue elsewhere"):
        await queue.enqueue(Job(id="a", parents=["elsewhere/nobody"]))
    await queue.enqueue(Job(id="first", unique_key="k"))
    assert await queue.enqueue(Job(id="second", unique_key="k")) == "first"
    with pytest.raises(DuplicateJobError, match="job first holds") as caught:
        await queue.enqueue(Job(id="third", unique_key="k", unique_policy="reject"))
    assert caught.value.holder_id == "first"
    with pytest.raises(InvalidJobError, match="cannot be joined to job first"):
        await queue.enqueue(Job(id="fourth", joins=["first"]))
    answers = await queue.enqueue_many([Job(id="x"), Job(id="y", unique_key="k"), Job(id="z")])
    assert answers == ["x", "first", "z"]
    assert await scene.status("a") is None


async def test_a_parent_on_another_queue_that_has_ended_is_heard(scene: Scene) -> None:
    other = scene.queue.on_queue("other")
    await other.enqueue(Job(id="parent"))
    await other.dequeue("w", 0)
    await other.complete("parent", {"n": 1})
    assert await scene.queue.enqueue(Job(id="child", parents=["other/parent"])) == "child"
    assert await scene.status("child") == "pending"
    assert await scene.engine.load_inputs("child") == {"other/parent": ("completed", b'{"n":1}')}


async def test_a_signal_is_kept_or_wakes_and_reaches_other_queues(scene: Scene) -> None:
    await scene.add("a")
    assert await scene.queue.signal("a", "approved", {"by": "me"})
    assert await scene.engine.load_signals("a") == {"approved#0": b'{"by":"me"}'}
    claimed = await scene.take_one("a")
    await scene.engine.settle([Outcome("a", claimed.lease, "suspend", "waits", -1, "approved#1")])
    assert await scene.status("a") == "suspended"
    assert await scene.queue.on_queue("other").signal("a", "approved", 2)
    assert await scene.status("a") == "pending"
    assert not await scene.queue.signal("nobody", "approved")
    await scene.queue.cancel("a")
    assert not await scene.queue.signal("a", "approved")
    with pytest.raises(InvalidNameError):
        await scene.queue.signal("a", "no#t")
    with pytest.raises(InvalidJobError, match="value of signal 'x'"):
        await scene.queue.signal("a", "x", object())


async def test_resume_job_answers_its_suspension_once(scene: Scene) -> None:
    await scene.add("a")
    assert not await scene.queue.resume_job("a"), "it is not suspended"
    claimed = await scene.take_one("a")
    await scene.engine.settle([Outcome("a", claimed.lease, "suspend", "waits", -1, "suspend:1#0")])
    assert await scene.queue.resume_job("a", "yes")
    assert await scene.status("a") == "pending"
    assert not await scene.queue.resume_job("a", "twice")
    assert await scene.engine.load_signals("a") == {"suspend:1#0": b'"yes"'}
    claimed = await scene.take_one("a")
    await scene.engine.settle([Outcome("a", claimed.lease, "suspend", "waits", -1, "approved#0")])
    assert not await scene.queue.resume_job("a"), "it waits for a signal, not for resume"
    assert not await scene.queue.resume_job("nobody")


async def test_the_facets_are_made_once(scene: Scene) -> None:
    assert scene.queue.limits is scene.queue.limits
    await scene.queue.limits.set("k", concurrency=2)
    limits = await scene.queue.limits.get("k")
    assert limits is not None
    assert limits.concurrency == 2
