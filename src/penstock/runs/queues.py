"""The two queues of the run service, with the readers that their events streams must wait for."""

from __future__ import annotations

from typing import Final

from penstock.core.config import QueueConfig, get_queue_config
from penstock.core.settings import ServiceSettings
from penstock.store.streams import RedisStreamsQueue, create_redis_queue

#: The group of the projector, on both queues.
HISTORY_GROUP: Final = "history"
#: The group of the webhook relay, on the run queue.
WEBHOOK_GROUP: Final = "webhooks"


def run_queue_config() -> QueueConfig:
    """The settings of the run queue: facts are kept until history and webhooks have passed them."""
    return _kept_for(HISTORY_GROUP, WEBHOOK_GROUP)


def webhook_queue_config() -> QueueConfig:
    """The settings of the webhook queue: facts are kept until history has passed them."""
    return _kept_for(HISTORY_GROUP)


async def open_run_queue(
    settings: ServiceSettings, redis_url: str | None = None, consumer_name: str | None = None
) -> RedisStreamsQueue:
    """Connect to the queue that runs travel on; raises what ``create_redis_queue`` raises.

    Every process that works on the queue opens it so: a worker that knew fewer readers would let
    facts be trimmed that some reader still needs.
    """
    return await create_redis_queue(
        redis_url, consumer_name, queue_name=settings.run_queue, config=run_queue_config()
    )


async def open_webhook_queue(
    settings: ServiceSettings, redis_url: str | None = None, consumer_name: str | None = None
) -> RedisStreamsQueue:
    """Connect to the queue that deliveries travel on; raises what ``create_redis_queue`` raises."""
    return await create_redis_queue(
        redis_url, consumer_name, queue_name=settings.webhook_queue, config=webhook_queue_config()
    )


def _kept_for(*groups: str) -> QueueConfig:
    config = get_queue_config()
    return config.model_copy(update={"event_groups": tuple(dict.fromkeys((*config.event_groups, *groups)))})
