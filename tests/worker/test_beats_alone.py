"""What the heartbeat brings when the call to the worker was lost."""

import asyncio
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, Worker
from tests.conftest import MakeQueue
from tests.worker.fleet import FAST
from tests.worker.support import has_status, running

pytestmark = pytest.mark.usefixtures("valkey")


async def test_a_cancellation_that_was_not_called_out_comes_with_the_beat(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    began = asyncio.Event()

    async def handler(_: JobContext) -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler)):
        await began.wait()
        client: Any = queue.engine.client
        # What the cancelling script writes, without what it publishes.
        await client.hset(queue.engine.keys.job + "job", "cancel", "1")
        await has_status(queue, "job", JobStatus.CANCELLED)
