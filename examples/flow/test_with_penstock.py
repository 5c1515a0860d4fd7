"""Tests of an application's jobs with the kit, on a real server that is started for the session.

    pytest -p penstock.testing examples/flow/test_with_penstock.py

A project writes ``pytest_plugins = ["penstock.testing"]`` into its ``conftest.py`` instead.
"""

from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, QueueUnavailableError, RedisStreamsQueue
from penstock.testing import Failures, MovableClock, run_until_idle

sent: list[str] = []


async def remind(ctx: JobContext) -> dict[str, Any]:
    """A handler of the application: sends one reminder."""
    sent.append(ctx.payload["to"])
    return {"sent_to": ctx.payload["to"]}


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    """Each test begins with an empty outbox."""
    sent.clear()


@pytest.mark.asyncio
async def test_a_reminder_is_sent(penstock_queue: RedisStreamsQueue) -> None:
    """The job runs for real: on a server, in a worker."""
    job_id = await penstock_queue.enqueue(Job({"to": "ada"}, type="remind"))
    await run_until_idle(penstock_queue, {"remind": remind})
    assert sent == ["ada"]
    assert await penstock_queue.result(job_id) == {"sent_to": "ada"}


@pytest.mark.asyncio
async def test_it_waits_for_its_day(penstock_queue: RedisStreamsQueue, penstock_clock: MovableClock) -> None:
    """A week passes in no time."""
    await penstock_queue.enqueue(Job({"to": "ada"}, type="remind"), delay_seconds=7 * 86_400)
    await run_until_idle(penstock_queue, {"remind": remind})
    assert sent == []
    await penstock_clock.advance(7 * 86_400)
    await run_until_idle(penstock_queue, {"remind": remind})
    assert sent == ["ada"]


@pytest.mark.asyncio
async def test_a_failed_attempt_is_repeated(penstock_queue: RedisStreamsQueue) -> None:
    """Retries wait by the clock, which is moved as far as they need."""
    attempts = []

    async def flaky(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ConnectionError("the mail server is away")

    job_id = await penstock_queue.enqueue(Job({"to": "ada"}, type="remind"))
    await run_until_idle(penstock_queue, {"remind": flaky}, up_to_seconds=60)
    job = await penstock_queue.get_status(job_id)
    assert attempts == [1, 2]
    assert job is not None
    assert job.status is JobStatus.COMPLETED


@pytest.mark.asyncio
async def test_a_worker_that_dies_after_sending_sends_again(
    penstock_queue: RedisStreamsQueue, penstock_failures: Failures
) -> None:
    """At least once: what must not happen twice belongs into a durable step."""
    penstock_failures.kill_handler("remind", after_work=True)
    await penstock_queue.enqueue(Job({"to": "ada"}, type="remind"))
    await run_until_idle(penstock_queue, {"remind": remind})
    assert sent == ["ada", "ada"]


@pytest.mark.asyncio
async def test_a_lost_reply_makes_no_double(
    penstock_queue: RedisStreamsQueue, penstock_failures: Failures
) -> None:
    """The caller does not know whether its job was accepted, and may simply try again."""
    job = Job({"to": "ada"}, type="remind")
    penstock_failures.lose_reply_of("enqueue")
    with pytest.raises(QueueUnavailableError):
        await penstock_queue.enqueue(job)
    await penstock_queue.enqueue(job)
    await run_until_idle(penstock_queue, {"remind": remind})
    assert sent == ["ada"]
