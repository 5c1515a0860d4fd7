"""Forks: what is copied, what is left, and what is refused."""

from functools import partial
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus, ManualClock, RedisStreamsQueue, Worker
from penstock.core.errors import InvalidJobError, JobNotFoundError, StepError
from penstock.store.scripts import load
from penstock.worker.janitor import Janitor
from tests.conftest import MakeQueue
from tests.worker.support import statuses

pytestmark = pytest.mark.usefixtures("valkey")

STEPS = [f"step-{number}" for number in range(1, 8)]


class Seven:
    """A handler of seven steps, and what it ran for which job."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []

    async def __call__(self, ctx: JobContext) -> list[str]:
        return [await ctx.step(name, partial(self._make, ctx, name)) for name in STEPS]

    def _make(self, ctx: JobContext, name: str) -> str:
        self.ran.append((ctx.id, name))
        return f"{name} of {ctx.payload['text']}"


@pytest.fixture
def seven() -> Seven:
    return Seven()


@pytest.fixture
async def queue(make_queue: MakeQueue) -> RedisStreamsQueue:
    return await make_queue("q", clock=ManualClock())


async def run(queue: RedisStreamsQueue, handler: Any) -> None:
    await Worker(queue, handler).run_until_idle()


async def test_a_fork_from_step_four_runs_four_to_seven_only(queue: RedisStreamsQueue, seven: Seven) -> None:
    await queue.enqueue(Job({"text": "old"}, id="old", priority=1, metadata={"asked": "by Ann"}))
    await run(queue, seven)
    forked = await queue.fork("old", "step-4", payload={"text": "new"})
    await run(queue, seven)
    old, new = await statuses(queue, ["old", forked])
    assert [name for job, name in seven.ran if job == forked] == STEPS[3:]
    assert new.result == [f"{name} of old" for name in STEPS[:3]] + [f"{name} of new" for name in STEPS[3:]]
    assert (new.status, new.attempts, new.priority) == (JobStatus.COMPLETED, 1, 1)
    assert new.metadata == {"asked": "by Ann", "fork": {"forked_from": "old", "from_step": "step-4"}}
    assert old.result == [f"{name} of old" for name in STEPS]
    assert len(await queue.engine.load_steps(forked)) == 7


async def test_a_fork_of_a_failed_job_goes_on_where_it_stopped(
    queue: RedisStreamsQueue, seven: Seven
) -> None:
    async def breaks(ctx: JobContext) -> Any:
        await ctx.step("step-1", lambda: "done")
        raise ValueError("the bug that is mended since")

    await queue.enqueue(Job({"text": "it"}, id="old"))
    await run(queue, breaks)
    assert await queue.fork("old", None, new_id="again") == "again"
    await run(queue, seven)
    (again,) = await statuses(queue, ["again"])
    assert seven.ran == [("again", name) for name in STEPS[1:]]
    assert again.result[:2] == ["done", "step-2 of it"]


async def test_a_fork_takes_the_signals_that_its_steps_took(queue: RedisStreamsQueue) -> None:
    """Those of later waits are to be given anew, and are counted on from the copied ones."""

    async def handler(ctx: JobContext) -> Any:
        first = await ctx.wait_for_signal("word")
        await ctx.step("between", lambda: 1)
        return [first, await ctx.wait_for_signal("word"), await ctx.parents()]

    await queue.enqueue(Job({}, id="parent", type="quick"))
    await queue.enqueue(Job({}, id="old", parents=["parent"]))
    await queue.signal("old", "word", "one")
    await queue.signal("old", "word", "two")
    handlers = {"quick": lambda _: "from the parent", "default": handler}
    await run(queue, handlers)
    forked = await queue.fork("old", "between")
    await run(queue, handlers)
    assert (await statuses(queue, [forked]))[0].status is JobStatus.SUSPENDED
    await queue.signal(forked, "word", "another")
    await run(queue, handlers)
    (job,) = await statuses(queue, [forked])
    assert job.result == ["one", "another", {"parent": ["completed", "from the parent", None]}]


async def test_a_large_payload_and_a_key_go_along_but_not_what_was_the_old_one_s(
    queue: RedisStreamsQueue, seven: Seven
) -> None:
    text = "x" * 30_000
    job = Job({"text": text}, id="old", concurrency_key="tenant", unique_key="once", record=True)
    await queue.enqueue(job)
    await run(queue, seven)
    forked = await queue.fork("old", "step-7")
    assert await queue.enqueue(Job({}, id="another", unique_key="once", type="x")) == "another"
    await queue.cancel("another")
    await run(queue, seven)
    (new,) = await statuses(queue, [forked])
    assert new.result[6] == f"step-7 of {text}"
    client: Any = queue.engine.client
    events = await client.xrange(queue.engine.keys.events)
    told = [
        fields[b"name"] for _, fields in events if fields[b"job"].decode() == forked and b"name" in fields
    ]
    assert told == [name.encode() for name in STEPS]
    flow = await client.hget(queue.engine.keys.job + forked, "flow")
    assert b"tenant" in flow
    assert b"once" not in flow


async def test_nothing_is_left_of_a_fork(queue: RedisStreamsQueue, seven: Seven) -> None:
    await queue.enqueue(Job({"text": "it"}, id="old"))
    await run(queue, seven)
    forked = await queue.fork("old", "step-4")
    await queue.cancel(forked)
    clock = queue.engine.clock
    assert isinstance(clock, ManualClock)
    clock.advance(days=60)
    await Janitor(queue.engine).sweep()
    client: Any = queue.engine.client
    assert [key for key in await client.keys("*") if forked in key.decode() or b":old" in key] == []
    books = await queue.engine.call("audit", {"group": queue.group_name})
    assert books[::2] == books[1::2]


async def test_what_forking_refuses(queue: RedisStreamsQueue, seven: Seven) -> None:
    await queue.enqueue(Job({"text": "it"}, id="old"))
    await run(queue, seven)
    with pytest.raises(JobNotFoundError, match="job gone is not kept"):
        await queue.fork("gone", "step-1")
    with pytest.raises(StepError, match=r"has no finished step 'step-8'; .* it has: step-1, step-2"):
        await queue.fork("old", "step-8")
    with pytest.raises(InvalidJobError, match="a job of that id is kept already"):
        await queue.fork("old", "step-2", new_id="old")
    key = queue.engine.keys.steps + "old"
    client: Any = queue.engine.client
    await client.hset(key, "step-1", b'{"inputs":"x","result":1}')
    with pytest.raises(StepError, match="did not keep the order of steps"):
        await queue.fork("old", "step-1")


def test_the_script_says_how_it_is_called() -> None:
    assert load("fork").header.each == ("kind", "field")
