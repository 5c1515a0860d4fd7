"""Webhooks outside of runs: deliveries that a caller enqueues, and the worker that sends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.core.acceptance import check_duration
from penstock.core.job import Job
from penstock.core.settings import get_service_settings
from penstock.store.streams import RedisStreamsQueue
from penstock.webhooks.delivery import DELIVERY_TYPE, Courier
from penstock.webhooks.egress import parse_url
from penstock.webhooks.signing import key_of
from penstock.worker.worker import Worker


async def enqueue_webhook_delivery(
    queue: RedisStreamsQueue,
    webhook_id: str,
    url: str,
    secret: str,
    event_type: str,
    event_data: dict[str, Any],
) -> Job:
    """Have ``event_data`` sent to ``url`` and return the job that does it.

    The receiver gets ``{"event", "webhook_id", "timestamp", "data"}``, signed per Standard Webhooks
    with ``secret``: base64 after ``whsec_``, or any other text, whose bytes then are the key. The
    job goes to the webhook queue of ``queue``'s connection. The secret is kept with the job, on the
    server, until the job's retention ends. Each call is a delivery of its own.

    Raises ``EgressRefusedError`` for a URL that webhooks may not go to, ``InvalidJobError`` for a
    secret that cannot sign or data that is not JSON.
    """
    settings = get_service_settings()
    parse_url(url, allow_loopback=settings.webhooks_allow_loopback)
    key_of(secret)
    body = {
        "event": event_type,
        "webhook_id": webhook_id,
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": event_data,
    }
    job = Job(
        payload={"url": url, "event": event_type, "secret": secret, "body": body},
        type=DELIVERY_TYPE,
        queue_name=settings.webhook_queue,
        max_attempts=settings.webhook_max_attempts,
        metadata={"webhook_id": webhook_id},
    )
    await queue.enqueue(job, queue_name=settings.webhook_queue)
    return job


class WebhookDeliveryWorker(Worker):
    """A ``Worker`` for the webhook queue over the given queue's connection.

    ``request_timeout`` is in seconds and bounds one attempt from the name's lookup to the answer. A
    delivery is tried five times unless the settings say otherwise, each wait twice the one before.
    """

    def __init__(
        self,
        queue: RedisStreamsQueue,
        worker_id: str,
        max_concurrent: int = 10,
        request_timeout: float = 10.0,
    ) -> None:
        """Raises ``InvalidJobError`` for a ``request_timeout`` that is no duration."""
        settings = get_service_settings()
        seconds = check_duration(request_timeout, "request_timeout", allow_zero=False)
        courier = Courier(settings, timeout_seconds=seconds)
        super().__init__(
            queue.on_queue(settings.webhook_queue),
            {DELIVERY_TYPE: courier.deliver},
            worker_id,
            max_concurrent,
        )
