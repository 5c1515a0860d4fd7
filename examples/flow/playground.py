"""The server that the examples use: yours, if PENSTOCK_REDIS_URL names one, else an embedded one."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import environ

from penstock import ManualClock, QueueConfig, RedisStreamsQueue, connect, create_redis_queue
from penstock.core.names import new_nonce
from penstock.store.embedded import EmbeddedValkey
from penstock.tasks.connection import Connection


@asynccontextmanager
async def server_url() -> AsyncIterator[str]:
    """The address of a server, for as long as the block runs."""
    if url := environ.get("PENSTOCK_REDIS_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory() as directory:
        async with EmbeddedValkey(directory) as server:
            yield server.url


@asynccontextmanager
async def open_queue(
    name: str = "example", clock: ManualClock | None = None
) -> AsyncIterator[RedisStreamsQueue]:
    """A queue of its own for one run of an example, on the server's clock or on one moved by hand."""
    async with server_url() as url:
        queue = await create_redis_queue(url, queue_name=f"{name}-{new_nonce()}", clock=clock)
        try:
            yield queue
        finally:
            await queue.close()


@asynccontextmanager
async def open_connection() -> AsyncIterator[Connection]:
    """A connection for tasks, with keys of its own for one run of an example."""
    config = QueueConfig(key_prefix=f"example-{new_nonce()}:")
    async with server_url() as url, connect(url, config) as connection:
        yield connection
