"""The fixtures: one embedded server a session, one fresh queue a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio

from penstock.core.config import QueueConfig
from penstock.core.names import new_nonce
from penstock.store.embedded import EmbeddedValkey
from penstock.store.streams import RedisStreamsQueue
from penstock.testing.clock import MovableClock
from penstock.testing.failures import Failures


@pytest.fixture(scope="session")
def penstock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Valkey of this session's own. Override it to test on a server of yours."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("penstock-valkey"))
    _run(server.start())
    try:
        yield server.url
    finally:
        _run(server.stop())


@pytest.fixture
def penstock_clock() -> MovableClock:
    """The clock of the test's queue: it stands still until ``await clock.advance(seconds)``."""
    return MovableClock()


@pytest.fixture
def penstock_failures() -> Failures:
    """What shall fail next on the test's queue."""
    return Failures()


@pytest_asyncio.fixture
async def penstock_queue(
    penstock_url: str, penstock_clock: MovableClock, penstock_failures: Failures
) -> AsyncIterator[RedisStreamsQueue]:
    """An empty queue of this test's own, whose keys are removed when the test ends."""
    config = QueueConfig(redis_url=penstock_url, key_prefix=f"test-{new_nonce()}:")
    client: Any = penstock_failures.client(penstock_url)
    queue = RedisStreamsQueue(client, config=config, clock=penstock_clock)
    penstock_clock.obeyed_by(queue)
    await queue.prepare()
    try:
        yield queue
    finally:
        await queue.close()
        async for key in client.scan_iter(match=f"{config.key_prefix}*", count=1000):
            await client.unlink(key)
        await client.aclose()


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop and thread of its own: the test's loop may already be there."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()
