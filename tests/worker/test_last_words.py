"""What arrives though nothing else brings it: a cancellation by the beat, an outcome at the stop."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, Worker
from penstock.core.outcomes import Outcome, SettleCode
from penstock.store.engine import Engine
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


class SlowlySettling(Engine):
    """An engine whose settles take their time on the way."""

    async def settle(
        self, outcomes: Sequence[Outcome], *, leave_to_janitor: bool = False
    ) -> list[SettleCode]:
        await asyncio.sleep(0.3)
        return await super().settle(outcomes, leave_to_janitor=leave_to_janitor)


async def test_a_stop_waits_for_outcomes_on_their_way(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    queue.engine = SlowlySettling(queue.client, queue.engine.keys, queue.config, FAST)
    done = asyncio.Event()

    async def handler(_: JobContext) -> None:
        done.set()

    await queue.enqueue(Job({}, id="job"))
    async with running(Worker(queue, handler)):
        await done.wait()
    job = await queue.get_status("job")
    assert job is not None
    assert job.status is JobStatus.COMPLETED
