"""The relay: what is enqueued, once, whatever happens to relays, servers and receivers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from penstock import Job, JobStatus, QueueConfig, RedisStreamsQueue, Worker
from penstock.webhooks.delivery import delivery_handler
from penstock.webhooks.relay import GROUP, Relay
from penstock.webhooks.signing import secret_of
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.processes import ProcessStarter
from tests.harness.receiver import Receiver
from tests.webhooks.support import ACTOR, SECRET_KEY, settings_with
from tests.worker.support import ended, running, until

URL = "http://receiver.example/hook"
TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def run_job(run_id: str, webhook_url: str | None = URL, **changed: Any) -> Job:
    """A run as the service enqueues it."""
    payload = {"goal": "g", "actor": ACTOR, "webhook_url": webhook_url} | changed
    return Job(payload, type="agent", id=run_id, record=True, max_attempts=1, trace=TRACE)


async def end(runs: RedisStreamsQueue, job: Job, result: Any = None, error: str | None = None) -> None:
    """Enqueue a run and bring it to its end."""
    await runs.enqueue(job)
    taken = await runs.dequeue("a-worker", timeout_ms=0)
    assert taken is not None
    assert taken.id == job.id
    settled = await (runs.fail(job.id, error) if error else runs.complete(job.id, result))
    assert settled


async def unacknowledged(runs: RedisStreamsQueue) -> int:
    """Facts that a relay has read and not acknowledged."""
    client: Any = runs.client
    return int((await client.xpending(runs.engine.keys.events, GROUP))["pending"])


async def relayed(deliveries: RedisStreamsQueue, run_id: str, event: str = "run.completed") -> Job:
    """The delivery of a run."""
    job = await deliveries.get_status(f"wh:{run_id}:{event}")
    assert job is not None
    return job


@asynccontextmanager
async def started(relay: Relay) -> AsyncIterator[None]:
    """The relay at work in this loop."""
    relay.start()
    try:
        yield
    finally:
        await relay.stop()


@pytest.fixture
def relay(runs: RedisStreamsQueue, deliveries: RedisStreamsQueue) -> Relay:
    """A relay to be driven round by round."""
    return Relay(runs, deliveries, settings_with(webhook_max_attempts=7))


async def test_a_completed_run_becomes_one_recorded_delivery(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    result = {"answer": "Grüße, 世界 🎉", "steps": [], "usage": {"requests": 2}}
    await end(runs, run_job("run-1"), result)
    run = await runs.get_status("run-1")
    await relay.relay(block_ms=10)
    job = await relayed(deliveries, "run-1")
    assert run is not None
    assert run.completed_at is not None
    stamp = job.payload["body"].pop("timestamp")
    assert job.payload == {
        "url": URL,
        "event": "run.completed",
        "run_id": "run-1",
        "actor": ACTOR,
        "body": {
            "event": "run.completed",
            "run_id": "run-1",
            "actor": ACTOR,
            "status": "completed",
            "result": result,
        },
    }
    assert len(stamp) == len("2024-01-01T12:00:00Z")
    assert datetime.fromisoformat(stamp).timestamp() == int(run.completed_at)
    assert (job.type, job.record, job.max_attempts, job.trace) == ("webhook", True, 7, TRACE)
    assert await unacknowledged(runs) == 0


async def test_a_run_that_was_put_back_tells_each_of_its_ends(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    await end(runs, run_job("run-1"), error="first")
    for error in ("second", None):
        await runs.dead_letters.requeue("run-1")
        assert await runs.dequeue("a-worker", timeout_ms=0)
        assert await (runs.fail("run-1", error) if error else runs.complete("run-1", {"answer": 1}))
    # Late, so that the run has gone on since its first failures.
    await relay.relay(block_ms=10)
    told = [
        (await relayed(deliveries, "run-1", event)).payload["body"]
        for event in ("run.failed", "run.failed:1", "run.completed:2")
    ]
    assert [(body["event"], body.get("error"), body.get("result")) for body in told] == [
        ("run.failed", "first", None),
        ("run.failed", "second", None),
        ("run.completed", None, {"answer": 1}),
    ]
    assert (await deliveries.get_queue_stats())["pending"] == 3


async def test_a_failed_run_tells_its_error(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    await end(runs, run_job("run-1"), error="GoalFailed: no such file")
    await relay.relay(block_ms=10)
    body = (await relayed(deliveries, "run-1", "run.failed")).payload["body"]
    del body["timestamp"]
    assert body == {
        "event": "run.failed",
        "run_id": "run-1",
        "actor": ACTOR,
        "status": "failed",
        "error": "GoalFailed: no such file",
    }


async def test_what_asks_for_no_webhook_gets_none(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    await end(runs, run_job("run-1", None), {"answer": "a"})
    await end(runs, Job("no object", type="agent", id="run-2", record=True), {})
    await runs.enqueue(run_job("run-3"))
    assert await runs.cancel("run-3")
    await runs.enqueue(run_job("run-4"))
    assert await relay.relay(block_ms=10) > 0
    assert (await deliveries.get_queue_stats())["stream_length"] == 0
    assert await unacknowledged(runs) == 0


async def test_a_large_result_is_told_whole_and_a_larger_one_left_out(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    large, largest = {"answer": "世" * 200_000}, {"answer": "x" * (1024 * 1024 - 20)}
    await end(runs, run_job("run-1"), large)
    await end(runs, run_job("run-2"), largest)
    await relay.relay(block_ms=10)
    assert (await relayed(deliveries, "run-1")).payload["body"]["result"] == large
    thin = (await relayed(deliveries, "run-2")).payload["body"]
    assert (thin["status"], thin["result"]) == ("completed", None)
    assert "too large" in thin["note"]


async def test_a_run_whose_webhook_cannot_be_sent_holds_up_no_other(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue, caplog: pytest.LogCaptureFixture
) -> None:
    client: Any = runs.client
    await end(runs, run_job("no-actor", actor=None))
    await end(runs, run_job("no-text", webhook_url=7))  # type: ignore[arg-type]
    await end(runs, run_job("l" * 200))
    await end(runs, run_job("gone"))
    await client.delete(runs.engine.keys.job + "gone")
    await end(runs, run_job("damaged"))
    await client.hset(runs.engine.keys.job + "damaged", "spec", "{")
    await end(runs, run_job("run-1"), {"answer": "a"})
    await relay.relay(block_ms=10)
    assert (await relayed(deliveries, "run-1")).status is JobStatus.PENDING
    assert (await deliveries.get_queue_stats())["stream_length"] == 1
    assert await unacknowledged(runs) == 0
    for run_id in ("no-actor", "no-text", "l" * 200, "gone"):
        assert f"the webhook of run {run_id} cannot be sent" in caplog.text


async def test_a_relay_killed_before_it_acknowledges_makes_no_second_delivery(
    runs: RedisStreamsQueue,
    deliveries: RedisStreamsQueue,
    proxy: FaultProxy,
    processes: ProcessStarter,
    receiver: Receiver,
) -> None:
    cut = proxy.cut_before("XACK", None)
    await end(runs, run_job("run-1", receiver.url()), {"answer": "a"})
    first = await processes.python(
        "-m", "tests.webhooks.relay_process", environment={"PENSTOCK_REDIS_URL": proxy.url}
    )
    await cut.hit()
    first.kill()
    await first.exited()
    assert await unacknowledged(runs) > 0
    done = await ended_by_worker(deliveries, ["wh:run-1:run.completed"])
    assert done["wh:run-1:run.completed"].status is JobStatus.COMPLETED
    second = Relay(runs, deliveries, settings_with(), silent_reader_ms=1)
    async with started(second):
        await until(lambda: none_left(runs))
    assert (await deliveries.get_queue_stats())["completed"] == 1
    assert len(receiver.requests) == 1


async def test_facts_of_a_silent_relay_are_taken_over(
    runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    await end(runs, run_job("run-1"), {"answer": "a"})
    dead = Relay(runs, deliveries, settings_with(), consumer="dead")
    assert await dead._reader.read(block_ms=10)
    async with started(Relay(runs, deliveries, settings_with(), silent_reader_ms=50)):
        await until(lambda: none_left(runs))
    assert (await relayed(deliveries, "run-1")).status is JobStatus.PENDING


async def test_two_relays_share_the_work_without_doubles(
    runs: RedisStreamsQueue, deliveries: RedisStreamsQueue
) -> None:
    async with (
        started(Relay(runs, deliveries, settings_with(), consumer="a")),
        started(Relay(runs, deliveries, settings_with(), consumer="b")),
    ):
        for at in range(30):
            await end(runs, run_job(f"run-{at}"), {"at": at})
        await until(lambda: all_there(deliveries, 30))
        await until(lambda: none_left(runs))
    assert (await deliveries.get_queue_stats())["stream_length"] == 30


async def test_an_outage_is_waited_out(
    runs: RedisStreamsQueue,
    deliveries: RedisStreamsQueue,
    make_queue: MakeQueue,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = QueueConfig(event_groups=("history", "webhooks"))
    far_runs = await make_queue("runs", url=proxy.url, config=config)
    far_deliveries = await make_queue("webhooks", url=proxy.url, config=config)
    async with started(Relay(far_runs, far_deliveries, settings_with())):
        await end(runs, run_job("run-1"), {})
        await until(lambda: all_there(deliveries, 1))
        await proxy.refuse()
        await end(runs, run_job("run-2"), {})
        await until(lambda: logged(caplog, "trying again"))
        await proxy.start()
        await until(lambda: all_there(deliveries, 2))
        await until(lambda: none_left(runs))
    assert (await relayed(deliveries, "run-2")).status is JobStatus.PENDING
    assert "a fault of its own" not in caplog.text


async def test_a_fault_of_its_own_does_not_end_a_relay(
    runs: RedisStreamsQueue,
    deliveries: RedisStreamsQueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: str) -> Job:
        raise RuntimeError("a fault")

    relay = Relay(runs, deliveries, settings_with(), silent_reader_ms=600_000)
    with monkeypatch.context() as patched:
        patched.setattr(runs, "get_status", broken)
        relay.start()
        await end(runs, run_job("run-1"), {})
        await until(lambda: logged(caplog, "a fault of its own"))
    await until(lambda: all_there(deliveries, 1))
    await relay.stop()


async def test_a_stopping_relay_finishes_what_it_has_in_hand(
    relay: Relay, runs: RedisStreamsQueue, deliveries: RedisStreamsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    enqueue = deliveries.enqueue

    async def slow(job: Job) -> str:
        reached.set()
        await go_on.wait()
        return await enqueue(job)

    monkeypatch.setattr(deliveries, "enqueue", slow)
    relay.start()
    await end(runs, run_job("run-1"), {})
    await reached.wait()
    stopping = asyncio.create_task(relay.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert (await relayed(deliveries, "run-1")).status is JobStatus.PENDING
    assert await unacknowledged(runs) == 0


async def test_every_run_is_told_once_though_the_receiver_was_down(
    runs: RedisStreamsQueue, deliveries: RedisStreamsQueue, receiver: Receiver
) -> None:
    await receiver.stop()
    ids = [f"run-{at}" for at in range(10)]
    handler = delivery_handler(settings_with(webhook_backoff_base=0.9))
    async with (
        started(Relay(runs, deliveries, settings_with())),
        running(Worker(deliveries, {"webhook": handler})),
    ):
        for run_id in ids:
            await end(runs, run_job(run_id, receiver.url()), {"answer": run_id})
        await until(lambda: all_waiting(deliveries, len(ids)))
        await receiver.start()
        done = await ended(deliveries, [f"wh:{run_id}:run.completed" for run_id in ids])
    assert {job.status for job in done.values()} == {JobStatus.COMPLETED}
    secret = secret_of(SECRET_KEY, ACTOR)
    told = {request.headers["webhook-id"]: request.verified(secret) for request in receiver.requests}
    assert {body["run_id"]: body["result"]["answer"] for body in told.values()} == {
        run_id: run_id for run_id in ids
    }
    assert len(receiver.requests) == len(ids)


async def ended_by_worker(deliveries: RedisStreamsQueue, ids: list[str]) -> dict[str, Job]:
    async with running(Worker(deliveries, {"webhook": delivery_handler(settings_with())})):
        return await ended(deliveries, ids)


async def none_left(runs: RedisStreamsQueue) -> bool:
    return await unacknowledged(runs) == 0


async def all_there(deliveries: RedisStreamsQueue, count: int) -> bool:
    return (await deliveries.get_queue_stats())["stream_length"] >= count


async def all_waiting(deliveries: RedisStreamsQueue, count: int) -> bool:
    return (await deliveries.get_queue_stats())["retrying"] >= count


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text
