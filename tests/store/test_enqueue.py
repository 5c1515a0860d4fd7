"""Enqueueing: idempotent by id, lanes, delays, payloads apart, caps, and nothing half-written."""

from typing import Any

import pytest

from penstock import InvalidJobError, Job, PayloadTooLargeError
from penstock.core.errors import EventsBacklogError, InvalidNameError
from tests.store.conftest import MakeScene
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_a_job_is_kept_as_it_was_given(scene: Scene) -> None:
    job = Job(
        {"text": "ü", "n": [1, None, 2.5]},
        type="document",
        id="a",
        max_attempts=5,
        priority=3,
        metadata={"by": "me"},
        timeout_seconds=9.5,
        partition_key="p",
        trace={"traceparent": "00-1"},
    )
    assert await scene.queue.enqueue(job) == "a"
    kept = await scene.queue.get_status("a")
    assert kept is not None
    job.queue_name = "q"
    assert kept == job
    await scene.assert_balanced()


async def test_an_id_that_is_kept_is_not_enqueued_again(scene: Scene) -> None:
    await scene.add("a", payload=1)
    await scene.add("a", payload=2, priority=1)
    await scene.add("a", payload=3, delay_seconds=10)
    assert await scene.depth() == 1
    claimed = await scene.take_one("a")
    assert b'"payload":1' in claimed.spec
    await scene.add("a")
    await scene.settle(claimed)
    await scene.add("a")
    assert await scene.status("a") == "completed"
    assert await scene.depth() == 0
    await scene.assert_balanced()


async def test_once_its_retention_is_over_an_id_is_free_again(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"))
    scene.clock.advance(days=7.1)
    assert await scene.sweep() == 1
    await scene.add("a")
    assert await scene.status("a") == "pending"


async def test_many_jobs_keep_their_order(scene: Scene) -> None:
    ids = [f"job-{number}" for number in range(700)]
    assert await scene.add(*ids) == ids
    taken = [job.id for _ in range(11) for job in (await scene.claim()).jobs]
    assert taken == ids


async def test_the_priority_chooses_the_lane(scene: Scene) -> None:
    await scene.add("high", priority=7)
    await scene.add("low", priority=-1)
    await scene.add("normal")
    await scene.queue.enqueue(Job(id="raised", priority=-1), priority=1)
    lanes = {
        lane: [entry["id"] for _, entry in await scene.client.xrange(key)]
        for lane, key in (
            ("high", scene.keys.stream_high),
            ("normal", scene.keys.stream),
            ("low", scene.keys.stream_low),
        )
    }
    assert lanes == {"high": ["high", "raised"], "normal": ["normal"], "low": ["low"]}


async def test_a_delayed_job_waits_for_its_time(scene: Scene) -> None:
    await scene.add("a", delay_seconds=2.5, priority=1)
    assert await scene.status("a") == "scheduled"
    claim = await scene.claim()
    assert (claim.jobs, claim.due_in_ms) == ([], 2500)
    scene.clock.advance(seconds=2.499)
    assert (await scene.engine.promote())[:2] == (0, 1)
    scene.clock.advance(seconds=0.001)
    assert (await scene.engine.promote())[:2] == (1, None)
    await scene.take_one("a")
    await scene.assert_balanced()


async def test_a_large_payload_lies_apart_and_comes_back(scene: Scene) -> None:
    large = {"text": "x" * 16_384}
    await scene.add("large", payload=large)
    await scene.add("small", payload={"text": "x" * 15_000})
    assert await scene.client.exists(scene.keys.payload + "large") == 1
    assert await scene.client.exists(scene.keys.payload + "small") == 0
    assert len(await scene.field("large", "spec") or "") < 300
    kept = await scene.queue.get_status("large")
    assert kept is not None
    assert kept.payload == large
    taken = await scene.queue.dequeue("w", 0)
    assert taken is not None
    assert taken.payload == large


async def test_two_mebibytes_are_refused_and_one_is_not(scene: Scene) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"2,097,163 bytes.*limit is 1,048,576.*reference"):
        await scene.add("a", payload={"text": "x" * 2 * 1024 * 1024})
    assert await scene.status("a") is None
    await scene.add("b", payload="x" * (1024 * 1024 - 2))
    assert await scene.status("b") == "pending"


BAD_JOBS: list[dict[str, Any]] = [
    {"payload": {"x": object()}},
    {"priority": "high"},
    {"queue_name": "a b"},
    {"queue_name": ["q"]},
]


@pytest.mark.parametrize("fields", BAD_JOBS, ids=lambda fields: next(iter(fields)))
async def test_a_job_that_cannot_be_accepted_stops_its_whole_list(
    scene: Scene, fields: dict[str, Any]
) -> None:
    jobs = [Job(id=f"good-{number}") for number in range(70)]
    with pytest.raises((InvalidJobError, InvalidNameError)):
        await scene.queue.enqueue_many([*jobs, Job(id="bad", **fields)])
    assert await scene.client.keys("*:job:*") == []
    assert await scene.depth() == 0


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "5", 1e300, True])
async def test_a_delay_that_is_no_time_is_refused(scene: Scene, delay: Any) -> None:
    with pytest.raises(InvalidJobError, match="delay_seconds must be"):
        await scene.add("a", delay_seconds=delay)


async def test_a_queue_name_of_the_call_wins_over_the_jobs_own(scene: Scene) -> None:
    await scene.queue.enqueue(Job(id="a", queue_name="own"))
    await scene.queue.enqueue(Job(id="b", queue_name="own"), queue_name="given")
    places = {}
    for job_id in "ab":
        job = await scene.queue.get_status(job_id)
        assert job is not None
        places[job_id] = job.queue_name
    assert places == {"a": "own", "b": "given"}


async def test_recorded_jobs_are_refused_while_history_lags(make_scene: MakeScene) -> None:
    scene = await make_scene(event_groups=("history",), max_events=1000)
    await scene.client.eval(
        "for n = 1, 999 do redis.call('XADD', KEYS[1], '*', 'event', 'old') end", 1, scene.keys.events
    )
    await scene.add("last", record=True)
    with pytest.raises(EventsBacklogError, match=r"\{q\} holds 1,000 facts .* start a keeper or raise"):
        await scene.add("refused", record=True)
    await scene.add("unrecorded")
    assert await scene.status("refused") is None
    assert await scene.client.xlen(scene.keys.events) == 1000
    # What runs goes on: its facts are never dropped.
    await scene.settle_all((await scene.take("last", "unrecorded")).values())
    assert await scene.status("last") == "completed"
    read = await scene.client.xreadgroup("history", "h", {scene.keys.events: ">"})
    await scene.client.xack(scene.keys.events, "history", *[entry for entry, _ in read[0][1]])
    await scene.sweep()
    assert await scene.client.xlen(scene.keys.events) == 0
    await scene.add("refused", record=True)
    assert await scene.events() == [("enqueued", "refused")]
    await scene.assert_balanced()


async def test_the_facts_of_a_recorded_job_are_in_order(scene: Scene) -> None:
    await scene.add("a", record=True, max_attempts=1)
    await scene.add("b")
    jobs = await scene.take("a", "b")
    await scene.settle(jobs["b"])
    await scene.engine.note_progress([("a", jobs["a"].lease, 10.0, "x")])
    await scene.engine.store_steps([("a", jobs["a"].lease, "one", b"1")])
    await scene.settle(jobs["a"], "fail", "no")
    told = [event for event, job in await scene.events() if job == "a"]
    assert told == ["enqueued", "started", "progress", "step", "failed"]
    assert {job for _, job in await scene.events()} == {"a"}
