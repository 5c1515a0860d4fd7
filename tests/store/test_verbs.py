"""The single verbs of the queue, as the API reference has them, and looking at jobs without taking part."""

import asyncio
from typing import Any

import pytest
import redis.asyncio

from penstock import Job, JobQueue, JobStatus, JobStatusTracker, QueueConfig, RedisStreamsQueue
from penstock.core.errors import InvalidJobError, InvalidNameError
from tests.conftest import MakeClient, MakeQueue
from tests.harness.servers import Server
from tests.store.conftest import MakeScene
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_the_way_of_a_job(make_queue: MakeQueue) -> None:
    queue: JobQueue = await make_queue()
    job_id = await queue.enqueue(Job(payload={"question": "?"}))
    waiting = await queue.get_status(job_id)
    assert waiting is not None
    assert waiting.status is JobStatus.PENDING
    job = await queue.dequeue("w1")
    assert job is not None
    assert (job.id, job.payload, job.status) == (job_id, {"question": "?"}, JobStatus.PROCESSING)
    assert (job.worker_id, job.attempts) == ("w1", 1)
    assert await queue.complete(job_id, {"answer": 42})
    done = await queue.get_status(job_id)
    assert done is not None
    assert (done.status, done.result, done.worker_id) == (JobStatus.COMPLETED, {"answer": 42}, "w1")
    assert not await queue.complete(job_id), "its lease is spent"
    assert await queue.get_status("never-was") is None


async def test_settling_needs_the_lease_of_this_object(make_queue: MakeQueue) -> None:
    mine, other = await make_queue(), await make_queue()
    await mine.enqueue(Job(id="a"))
    assert await mine.dequeue("w1") is not None
    for act in (other.ack, other.nack, other.complete):
        assert not await act("a")
    assert not await other.fail("a", "no")
    assert not await mine.ack("never-was")
    assert (await mine.get_queue_stats())["processing"] == 1
    assert await mine.ack("a")


@pytest.mark.parametrize(
    ("verb", "arguments", "status"),
    [
        ("ack", {}, "completed"),
        ("nack", {}, "retrying"),
        ("nack", {"requeue": False}, "failed"),
        ("complete", {}, "completed"),
        ("complete", {"result": {"n": 1}}, "completed"),
        ("complete", {"status": JobStatus.COMPLETED}, "completed"),
        ("complete", {"status": JobStatus.FAILED, "result": {"why": "x"}}, "failed"),
        ("complete", {"status": JobStatus.CANCELLED}, "cancelled"),
        ("complete", {"status": "failed"}, "failed"),
        ("fail", {"error": "no"}, "failed"),
        ("fail", {"error": "no", "requeue": True}, "retrying"),
    ],
)
async def test_each_verb_settles_as_it_says(
    scene: Scene, verb: str, arguments: dict[str, Any], status: str
) -> None:
    await scene.add("a")
    assert await scene.queue.dequeue("w", 0) is not None
    assert await getattr(scene.queue, verb)("a", **arguments)
    assert await scene.status("a") == status
    assert not await getattr(scene.queue, verb)("a", **arguments)
    await scene.assert_balanced()


async def test_a_requeue_ends_when_the_attempts_are_spent(scene: Scene) -> None:
    await scene.add("a", max_attempts=2)
    await scene.queue.dequeue("w", 0)
    assert await scene.queue.nack("a")
    scene.clock.advance(seconds=2)
    job = await scene.queue.dequeue("w", 0)
    assert job is not None, "dequeue promotes what is due"
    assert job.attempts == 2
    assert await scene.queue.nack("a")
    failed = await scene.queue.get_status("a")
    assert failed is not None
    assert (failed.status.value, failed.error) == ("failed", "given back by nack")


@pytest.mark.parametrize("status", [JobStatus.PENDING, "retrying", "bogus"])
async def test_a_job_cannot_be_completed_as_anything(scene: Scene, status: Any) -> None:
    await scene.add("a")
    await scene.queue.dequeue("w", 0)
    with pytest.raises(InvalidJobError, match="expected completed, failed or cancelled"):
        await scene.queue.complete("a", status=status)
    assert await scene.queue.ack("a")


async def test_dequeue_waits_for_a_job_and_no_longer(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    assert await queue.dequeue("w", timeout_ms=0) is None
    assert await queue.dequeue("w", timeout_ms=20) is None
    waiting = asyncio.create_task(queue.dequeue("w", timeout_ms=10_000))
    other = await make_queue()
    await other.enqueue(Job(id="a", payload=None), delay_seconds=0.02)
    job = await waiting
    assert job is not None
    assert job.id == "a"


async def test_a_dead_dequeuers_job_goes_to_the_next_without_any_beat(scene: Scene) -> None:
    await scene.add("a")
    assert await scene.queue.dequeue("dead", 0) is not None
    for _ in range(5):
        scene.clock.advance(seconds=11.999)
        assert await scene.queue.dequeue("heir", 0) is None
    scene.clock.advance(seconds=0.005)
    job = await scene.queue.dequeue("heir", 0)
    assert job is not None
    assert (job.id, job.crashes, job.attempts) == ("a", 1, 2)


async def test_a_worker_that_takes_over_from_a_dequeuer_is_spared_as_usual(scene: Scene) -> None:
    await scene.add("a")
    await scene.queue.dequeue("dead", 0)
    scene.clock.advance(seconds=60)
    await scene.take_one("a")
    assert await scene.field("a", "unrenewed") is None
    scene.clock.advance(seconds=60)
    assert await scene.queue.dequeue("heir", 0) is None


async def test_a_spec_of_a_newer_version_is_left_to_newer_workers(scene: Scene) -> None:
    await scene.add("a")
    spec = str(await scene.field("a", "spec"))
    await scene.client.hset(scene.keys.job + "a", "spec", spec.replace('"format":1', '"format":2'))
    assert await scene.queue.dequeue("w", 0) is None
    job = await scene.queue.get_status("a")
    assert job is not None
    assert job.status is JobStatus.RETRYING
    assert "upgrade" in (job.error or "")
    assert await scene.field("a", "attempt") == "0"


async def test_a_payload_that_is_gone_ends_the_job_with_the_reason(scene: Scene) -> None:
    await scene.add("a", payload="x" * 20_000)
    await scene.client.delete(scene.keys.payload + "a")
    await scene.add("b")
    job = await scene.queue.dequeue("w", 0)
    assert job is not None
    assert job.id == "b"
    broken = await scene.queue.get_status("a")
    assert broken is not None
    assert (broken.status.value, broken.error) == ("failed", "damaged: its payload is gone from the server")


@pytest.mark.parametrize("key", ["payload", "result"])
@pytest.mark.parametrize("content", ["{not json", None])
async def test_damage_beside_the_hash_is_said_not_raised(scene: Scene, key: str, content: str | None) -> None:
    await scene.add("a", payload="x" * 20_000)
    await scene.settle(await scene.take_one("a"), "complete", b'"' + b"x" * 20_000 + b'"')
    where = getattr(scene.keys, key) + "a"
    await scene.client.delete(where)
    if content is None:
        await scene.client.lpush(where, "what?")
    else:
        await scene.client.set(where, content)
    job = await scene.queue.get_status("a")
    assert job is not None
    assert job.status is JobStatus.COMPLETED
    assert (job.error or "").startswith("damaged: ")


async def test_verbs_reach_other_queues(make_queue: MakeQueue) -> None:
    here, there = await make_queue("here"), await make_queue("there")
    await here.enqueue(Job(id="far"), queue_name="there")
    assert await here.dequeue("w", 0) is None
    found = await here.get_status("far")
    assert found is not None
    assert found.queue_name == "there"
    job = await here.dequeue("w", 0, queue_name="there")
    assert job is not None
    assert job.queue_name == "there"
    assert await here.ack("far")
    await there.enqueue(Job(id="to-cancel"))
    assert await here.cancel("to-cancel")
    stats = await there.get_queue_stats()
    assert (stats["completed"], stats["cancelled"]) == (1, 1)
    sibling = here.on_queue("third")
    await sibling.enqueue(Job(id="x"))
    assert await there.get_status("x") is not None


async def test_the_own_queue_is_looked_at_first(make_queue: MakeQueue) -> None:
    here, there = await make_queue("here"), await make_queue("there")
    await here.enqueue(Job("mine", id="same"))
    await there.enqueue(Job("theirs", id="same"))
    for queue, payload in ((here, "mine"), (there, "theirs")):
        job = await queue.get_status("same")
        assert job is not None
        assert job.payload == payload


async def test_stats_count_exactly(scene: Scene) -> None:
    await scene.add("a", "b", "c", "d")
    await scene.add("e", priority=1)
    await scene.add("later", delay_seconds=9)
    jobs = {job.id: job for job in (await scene.claim(4)).jobs}
    await scene.settle(jobs["a"])
    await scene.settle(jobs["b"], "fail", "no")
    await scene.settle(jobs["e"], "retry", "x", 1000)
    stats = await scene.queue.get_queue_stats()
    statuses = {status.value: stats.pop(status.value) for status in JobStatus}
    assert statuses == dict.fromkeys(statuses, 0) | {
        "completed": 1,
        "failed": 1,
        "retrying": 1,
        "processing": 1,
        "pending": 1,
        "scheduled": 1,
    }
    assert stats == {"stream_length": 2, "pending_in_group": 1, "dead_letters": 1}


async def test_stats_of_an_unused_queue_are_zero(scene: Scene) -> None:
    assert set((await scene.queue.get_queue_stats()).values()) == {0}


@pytest.mark.parametrize("name", ["", "a b", "a{b", "x" * 65, "a/b", "ä", 7])
async def test_queue_names_are_checked_everywhere(scene: Scene, name: Any) -> None:
    with pytest.raises(InvalidNameError, match="queue name"):
        scene.queue.on_queue(name)
    if name:
        with pytest.raises(InvalidNameError, match="queue name"):
            await scene.queue.dequeue("w", 0, queue_name=name)


async def test_job_and_worker_names_are_checked(scene: Scene) -> None:
    with pytest.raises(InvalidNameError, match="job id"):
        await scene.queue.get_status("a*")
    with pytest.raises(InvalidNameError, match="job id"):
        await scene.queue.cancel("a{b}")
    with pytest.raises(InvalidNameError, match="worker id"):
        await scene.queue.dequeue("w:1", 0)


async def test_a_clients_owner_keeps_it(server: Server, make_client: MakeClient) -> None:
    client = make_client(server, decode_responses=False)
    queue = RedisStreamsQueue(client, "w", QueueConfig())
    await queue.enqueue(Job(id="a"))
    await queue.close()
    assert await client.ping()
    assert (queue.stream_key, queue.group_name) == ("penstock:{default}:stream", "debate-workers")


async def test_a_client_that_decodes_serves_as_well(server: Server, make_client: MakeClient) -> None:
    client = make_client(server, decode_responses=True)
    before = len(await client.client_list())
    queue = RedisStreamsQueue(client, "w", QueueConfig())
    await queue.enqueue(Job({"ü": 1}, id="a"))
    job = await queue.dequeue("w", 0)
    assert job is not None
    assert job.payload == {"ü": 1}
    assert await queue.ack("a")
    await queue.close()
    async with asyncio.timeout(10):
        # The twin connection is closed; the server notices when it next looks at it.
        while len(await client.client_list()) > before:
            continue


class TestTracker:
    """``JobStatusTracker``."""

    @pytest.fixture(params=[True, False], ids=["decoding", "bytes"])
    def tracker(
        self, request: pytest.FixtureRequest, server: Server, make_client: MakeClient
    ) -> JobStatusTracker:
        client: redis.asyncio.Redis = make_client(server, decode_responses=request.param)
        return JobStatusTracker(client, "q")

    async def test_finds_jobs_and_counts(self, scene: Scene, tracker: JobStatusTracker) -> None:
        await scene.add("a", "b", payload={"n": "ü"}, max_attempts=4)
        await scene.settle((await scene.claim(1)).jobs[0], "fail", "no")
        job = await tracker.get_job("a")
        assert job is not None
        assert (job.status, job.error, job.attempts, job.max_attempts) == (JobStatus.FAILED, "no", 1, 4)
        assert job.payload == {"n": "ü"}
        assert await tracker.get_job("never-was") is None
        counts = await tracker.get_counts_by_status()
        assert counts == dict.fromkeys([status.value for status in JobStatus], 0) | {
            "failed": 1,
            "pending": 1,
        }
        await tracker.close()

    async def test_lists_jobs_of_each_status(self, scene: Scene, tracker: JobStatusTracker) -> None:
        ends = {"completed": "complete", "failed": "fail", "cancelled": "cancel", "retrying": "retry"}
        for status, kind in ends.items():
            for number in range(3):
                scene.clock.advance(seconds=1)
                await scene.add(f"{status}-{number}")
                claimed = await scene.take_one(f"{status}-{number}")
                await scene.settle(claimed, kind, "", 60_000)  # type: ignore[arg-type]
        await scene.add("processing-0")
        await scene.take_one("processing-0")
        await scene.add("pending-1", "pending-2")
        await scene.add("pending-0", priority=-1)
        await scene.add("scheduled-0", delay_seconds=9)
        listed = {
            status: [job.id for job in await tracker.list_jobs(status)] for status in JobStatus if status
        }
        assert listed[JobStatus.COMPLETED] == ["completed-2", "completed-1", "completed-0"]
        assert listed[JobStatus.FAILED] == ["failed-2", "failed-1", "failed-0"]
        assert listed[JobStatus.CANCELLED] == ["cancelled-2", "cancelled-1", "cancelled-0"]
        assert listed[JobStatus.RETRYING] == ["retrying-0", "retrying-1", "retrying-2"]
        assert listed[JobStatus.PENDING] == ["pending-1", "pending-2", "pending-0"]
        assert listed[JobStatus.PROCESSING] == ["processing-0"]
        assert listed[JobStatus.SCHEDULED] == ["scheduled-0"]
        assert listed[JobStatus.SUSPENDED] == listed[JobStatus.WAITING] == []
        assert len(await tracker.list_jobs()) == 17
        assert [job.id for job in await tracker.list_jobs(status=JobStatus.FAILED, limit=2)] == [
            "failed-2",
            "failed-1",
        ]
        assert await tracker.list_jobs("failed", limit=0) == []
        with pytest.raises(InvalidJobError, match="'bogus' is not a job status: expected one of pending, "):
            await tracker.list_jobs("bogus")
        await tracker.close()

    async def test_a_damaged_job_is_shown_as_what_it_is(
        self, scene: Scene, tracker: JobStatusTracker
    ) -> None:
        await scene.add("a", "b", "c")
        await scene.client.hset(scene.keys.job + "a", "attempt", "many")
        await scene.client.hset(scene.keys.job + "b", "spec", "{")
        await scene.client.set(scene.keys.job + "c", "what?")
        for job_id in "abc":
            job = await tracker.get_job(job_id)
            assert job is not None
            assert job.status is JobStatus.FAILED
            assert (job.error or "").startswith("damaged: ")
        await tracker.close()

    async def test_a_job_of_a_newer_version_keeps_its_status(
        self, scene: Scene, tracker: JobStatusTracker
    ) -> None:
        await scene.add("a")
        await scene.client.hset(scene.keys.job + "a", "spec", '{"format":2,"type":"x"}')
        job = await tracker.get_job("a")
        assert job is not None
        assert job.status is JobStatus.PENDING
        assert "format 2" in (job.error or "")
        await tracker.close()


async def test_pages_of_many_jobs(make_scene: MakeScene, server: Server, make_client: MakeClient) -> None:
    scene = await make_scene()
    await scene.add(*[f"{number:03}" for number in range(250)])
    tracker = JobStatusTracker(make_client(server, decode_responses=False), "q")
    listed = await tracker.list_jobs(JobStatus.PENDING, limit=1000)
    assert [job.id for job in listed] == [f"{number:03}" for number in range(250)]


async def test_many_callers_at_once_are_no_outage(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue()
    await asyncio.gather(*(queue.get_queue_stats() for _ in range(150)))
