"""Flows over several queues, run by real workers: endings cross, and nothing is told twice or never."""

import asyncio
from typing import Any

import pytest

from penstock import Job, JobContext, Worker
from penstock.core.errors import MissingParentError
from penstock.core.graph import chain, chord
from tests.conftest import MakeQueue

pytestmark = pytest.mark.usefixtures("server")


async def test_a_chain_over_three_queues(make_queue: MakeQueue) -> None:
    first, second, third = [await make_queue(name) for name in ("one", "two", "three")]
    order: list[str] = []
    done = asyncio.Event()

    async def handler(ctx: JobContext) -> Any:
        order.append(ctx.id)
        if ctx.id == "d":
            done.set()
        return {"from": ctx.id}

    flow = chain(
        Job(id="a", queue_name="one"),
        Job(id="b", queue_name="two"),
        Job(id="c", queue_name="one"),
        Job(id="d", queue_name="three"),
    )
    workers = [Worker(queue, handler) for queue in (first, second, third)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    await first.enqueue_many(flow)
    await asyncio.wait_for(done.wait(), 30)
    await asyncio.gather(*(worker.stop(5) for worker in workers))
    await asyncio.gather(*running)
    assert order == ["a", "b", "c", "d"]
    inputs = await third.engine.load_inputs("d")
    assert inputs == {"one/c": ("completed", b'{"from":"c"}')}
    for queue in (first, second, third):
        assert await queue.engine.client.xlen(queue.engine.keys.crossings) == 0


async def test_a_chord_whose_parents_failed_elsewhere(make_queue: MakeQueue) -> None:
    first, second = await make_queue("one"), await make_queue("two")

    async def handler(ctx: JobContext) -> Any:
        if ctx.id == "bad":
            raise ValueError("no")
        return ctx.id

    flow = chord(
        [Job(id="good", queue_name="one"), Job(id="bad", queue_name="one")],
        Job(id="sum", queue_name="two", on_parent_failure="run"),
    )
    await first.enqueue_many(flow)
    await Worker(first, handler).run_until_idle()
    await first.ferry().carry()
    await Worker(second, handler).run_until_idle()
    assert (await second.get_status("sum")).status == "completed"  # type: ignore[union-attr]
    inputs = await second.engine.load_inputs("sum")
    assert inputs["one/good"] == ("completed", b'"good"')
    assert inputs["one/bad"][0] == "failed"


async def test_an_ending_told_twice_is_heard_once(make_queue: MakeQueue) -> None:
    first, second = await make_queue("one"), await make_queue("two")
    await first.enqueue(Job(id="a"))
    await second.enqueue(Job(id="b", parents=["one/a"]))
    await first.cancel("a")
    ferry = first.ferry()
    await first.engine.promote()
    (entry,) = await ferry._waiting(first.engine)
    await ferry._tell(entry[1])
    assert await ferry.carry() == 1
    assert (await second.get_status("b")).status == "cancelled"  # type: ignore[union-attr]
    assert (await second.get_queue_stats())["cancelled"] == 1


async def test_a_parent_elsewhere_that_is_not_there_is_an_error(make_queue: MakeQueue) -> None:
    queue = await make_queue("two")
    with pytest.raises(MissingParentError, match="waits for job a on queue one, which does not keep it"):
        await queue.enqueue(Job(id="b", parents=["one/a"]))
    assert await queue.get_status("b") is None


async def test_a_parent_elsewhere_that_has_ended_is_heard_at_once(make_queue: MakeQueue) -> None:
    first, second = await make_queue("one"), await make_queue("two")
    await first.enqueue(Job(id="a"))

    async def handler(ctx: JobContext) -> Any:
        return 7

    await Worker(first, handler).run_until_idle()
    await second.enqueue(Job(id="b", parents=["one/a"]))
    assert (await second.get_status("b")).status == "pending"  # type: ignore[union-attr]
    assert await second.engine.load_inputs("b") == {"one/a": ("completed", b"7")}
