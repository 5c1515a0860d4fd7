"""Deliveries that callers enqueue, and the worker for them."""

import pytest

from penstock import RedisStreamsQueue, WebhookDeliveryWorker, enqueue_webhook_delivery
from penstock.core.errors import EgressRefusedError, InvalidJobError
from penstock.core.job import JobStatus
from penstock.core.settings import ServiceSettings, set_service_settings
from tests.conftest import MakeQueue
from tests.harness.receiver import Receiver, answer, silence
from tests.webhooks.support import settings_with
from tests.worker.support import ended, running

DATA = {"debate_id": "d-456", "result": {"answer": "Ja, 好"}}


@pytest.fixture
async def queue(make_queue: MakeQueue, settings: ServiceSettings) -> RedisStreamsQueue:
    """Any queue: deliveries go to the webhook queue of its connection."""
    return await make_queue("anything")


async def test_an_event_is_sent_and_signed_with_the_given_secret(
    queue: RedisStreamsQueue, receiver: Receiver
) -> None:
    receiver.script = [answer(500)]
    job = await enqueue_webhook_delivery(
        queue=queue,
        webhook_id="wh-123",
        url=receiver.url(),
        secret="signing-secret",
        event_type="debate.completed",
        event_data=DATA,
    )
    worker = WebhookDeliveryWorker(
        queue=queue, worker_id="webhook-worker-1", max_concurrent=10, request_timeout=10.0
    )
    async with running(worker):
        done = (await ended(queue, [job.id]))[job.id]
    assert (done.status, done.attempts, done.queue_name) == (JobStatus.COMPLETED, 2, "webhooks")
    body = receiver.requests[1].verified(b"signing-secret")
    assert {name: body[name] for name in ("event", "webhook_id", "data")} == {
        "event": "debate.completed",
        "webhook_id": "wh-123",
        "data": DATA,
    }
    assert receiver.requests[1].headers["webhook-id"] == job.id


async def test_two_events_of_one_webhook_are_two_deliveries(
    queue: RedisStreamsQueue, receiver: Receiver
) -> None:
    for _ in range(2):
        await enqueue_webhook_delivery(queue, "wh-123", receiver.url(), "whsec_c2VjcmV0", "e", {})
    async with running(WebhookDeliveryWorker(queue, "w")):
        requests = await receiver.until(2)
    assert len({request.headers["webhook-id"] for request in requests}) == 2
    assert all(request.verified("whsec_c2VjcmV0") for request in requests)


async def test_the_request_timeout_bounds_an_attempt(queue: RedisStreamsQueue, receiver: Receiver) -> None:
    receiver.script = [silence()]
    job = await enqueue_webhook_delivery(queue, "wh-1", receiver.url(), "s", "e", {})
    async with running(WebhookDeliveryWorker(queue, "w", request_timeout=0.3)):
        done = (await ended(queue, [job.id]))[job.id]
    assert (done.status, done.attempts) == (JobStatus.COMPLETED, 2)


async def test_what_cannot_be_delivered_is_not_enqueued(queue: RedisStreamsQueue) -> None:
    set_service_settings(settings_with(webhooks_allow_loopback=False))
    with pytest.raises(EgressRefusedError):
        await enqueue_webhook_delivery(queue, "wh-1", "http://127.0.0.1/", "s", "e", {})
    with pytest.raises(InvalidJobError, match="secret"):
        await enqueue_webhook_delivery(queue, "wh-1", "http://example.com/", "", "e", {})
    with pytest.raises(InvalidJobError, match="request_timeout"):
        WebhookDeliveryWorker(queue, "w", request_timeout=0)
    stats = await queue.on_queue("webhooks").get_queue_stats()
    assert stats["stream_length"] == 0
