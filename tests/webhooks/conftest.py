"""Fixtures for tests of webhooks: receivers on loopback, the two queues, settings that fit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from penstock import QueueConfig, RedisStreamsQueue
from penstock.core.settings import ServiceSettings, set_service_settings
from tests.conftest import MakeQueue
from tests.harness.receiver import Receiver
from tests.webhooks.support import settings_with

MakeReceiver = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def make_receiver() -> AsyncIterator[MakeReceiver]:
    """Starts receivers; they are stopped when the test ends."""
    async with AsyncExitStack() as receivers:

        async def make(host: str = "127.0.0.1") -> Receiver:
            receiver = Receiver(host)
            await receiver.start()
            receivers.push_async_callback(receiver.stop)
            return receiver

        yield make


@pytest.fixture
async def receiver(make_receiver: MakeReceiver) -> Receiver:
    """A receiver on 127.0.0.1."""
    return await make_receiver()


@pytest.fixture
def settings() -> Iterator[ServiceSettings]:
    """Settings with a key, short waits and loopback allowed, in force as the process's own."""
    settings = settings_with()
    set_service_settings(settings)
    yield settings
    set_service_settings(None)


@pytest.fixture
async def runs(make_queue: MakeQueue) -> RedisStreamsQueue:
    """The run queue."""
    return await make_queue(
        "runs", config=QueueConfig(event_groups=("history", "webhooks"), retry_base_delay=0.1)
    )


@pytest.fixture
async def deliveries(make_queue: MakeQueue) -> RedisStreamsQueue:
    """The webhook queue."""
    return await make_queue("webhooks", config=QueueConfig(event_groups=("history",), poll_interval_ms=50))
