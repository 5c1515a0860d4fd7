"""A relay in a process of its own, on the server of its environment, until it is killed."""

import asyncio

from penstock import QueueConfig, create_redis_queue
from penstock.webhooks.relay import Relay
from tests.webhooks.support import settings_with


async def main() -> None:
    runs = await create_redis_queue(
        queue_name="runs", config=QueueConfig(event_groups=("history", "webhooks"))
    )
    deliveries = await create_redis_queue(
        queue_name="webhooks", config=QueueConfig(event_groups=("history",))
    )
    await Relay(runs, deliveries, settings_with()).run()


asyncio.run(main())
