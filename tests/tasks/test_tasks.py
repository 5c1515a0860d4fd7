"""Tasks from the caller to the worker and back: arguments, results, where functions run."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import penstock
from penstock import JobStatus, RetryPolicy, Worker, task
from penstock.core.errors import ConfigurationError
from tests.conftest import MakeQueue
from tests.harness.servers import Server
from tests.tasks.jobs import (
    Order,
    Place,
    add_offset,
    echo,
    falter,
    greet,
    name_of_thread,
    ship,
    square,
)
from tests.worker.fleet import FAST

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_a_call_becomes_a_job_and_its_result_comes_back(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    async with penstock.connect(valkey.url):
        handle = await greet.enqueue("Ada", times=2)
        stored = await queue.get_status(handle)
        assert stored is not None
        assert (stored.type, stored.payload) == ("greet", {"name": "Ada", "times": 2})
        assert await handle.status() is JobStatus.PENDING
        await Worker(queue, tasks=[greet]).run_until_idle()
        assert await handle.result(timeout_seconds=10) == "Hello Ada! Hello Ada!"
        assert await handle.status() is JobStatus.COMPLETED
        assert not await handle.cancel()
    assert (handle.id, handle.queue, type(handle.id)) == (str(handle), "default", str)
    assert await greet("Bo") == "Hello Bo!"


async def test_arguments_and_results_keep_their_types(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue("mail", timings=FAST)
    order = Order(items=["pen"])
    async with penstock.connect(valkey.url):
        handle = await ship.enqueue(order, Place("Graz", b"\xff\x00"), NOON, tags=frozenset({"b", "a"}))
        job = await queue.get_status(handle)
        await Worker(queue, tasks=[ship]).run_until_idle()
        result = await handle.result(timeout_seconds=10)
    assert job is not None
    assert (job.priority, job.max_attempts, job.timeout_seconds) == (2, 5, 30)
    assert result["types"] == ["Order", "Place", "datetime", "frozenset"]
    # The number that was made here is the one that the worker saw.
    assert result["order"] == {"items": ["pen"], "number": order.number}
    assert (result["code"], result["tags"]) == ("_wA=", ["a", "b"])


async def test_a_result_is_read_as_the_annotated_type(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    number = UUID(int=7)
    async with penstock.connect(valkey.url):
        some, none = await echo.enqueue(number), await echo.enqueue(None)
        await Worker(queue, tasks=[echo]).run_until_idle()
        assert await some.result(timeout_seconds=10) == number
        assert await none.result(timeout_seconds=10) is None


async def test_functions_run_where_they_belong(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    async with penstock.connect(valkey.url):
        thread, process = await name_of_thread.enqueue("in"), await square.enqueue(12)
        helped = await add_offset.enqueue(5)
        await Worker(queue, tasks=[name_of_thread, square, add_offset]).run_until_idle()
        assert (await thread.result(timeout_seconds=10)).startswith("in:penstock-job")
        value, pid = await process.result(timeout_seconds=10)
        assert await helped.result(timeout_seconds=10) == 105
    assert value == 144
    assert pid != os.getpid()


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (greet.job, "missing a required argument: 'name'"),
        (lambda: greet.job("Ada", time=2), "got an unexpected keyword argument 'time'"),  # type: ignore[call-arg]
        (lambda: greet.job(5), "the argument 'name' does not fit: Input should be a valid string, got 5"),  # type: ignore[arg-type]
        (lambda: greet.job("Ada", times="many"), "the argument 'times' does not fit"),  # type: ignore[arg-type]
        (lambda: falter.job(1, ctx=object()), "'ctx' is provided by the worker and cannot be given"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(call: Any, problem: str) -> None:
    with pytest.raises(TypeError, match="it takes") as raised:
        call()
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_payload_that_does_not_fit_fails_at_once_and_says_why(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    payloads: dict[str, Any] = {
        "none": None,
        "list": [1],
        "wrong": {"name": "Ada", "times": "often"},
        "unknown": {"name": "Ada", "size": 1},
        "missing": {},
    }
    for name, payload in payloads.items():
        await queue.enqueue(penstock.Job(payload, type="greet", id=name))
    await Worker(queue, tasks=[greet]).run_until_idle()
    errors = {}
    for name in payloads:
        job = await queue.get_status(name)
        assert job is not None
        assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
        errors[name] = str(job.error)
    told = "TaskArgumentError: task 'greet': "
    takes = "; it takes (name: str, times: int = 1)"
    assert errors["missing"] == f"{told}the argument 'name' is missing{takes}"
    assert errors["unknown"] == f"{told}there is no argument 'size'{takes}"
    assert errors["wrong"].startswith(f"{told}the argument 'times' does not fit: Input should be a valid int")
    assert errors["none"].endswith(takes)
    assert errors["list"].endswith(takes)


async def test_a_handle_stands_for_its_id(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)
    async with penstock.connect(valkey.url):
        first = await greet.enqueue("Ada")
        child = await greet.options(parents=[first]).enqueue("Bo")
        by_hand = await queue.enqueue(penstock.Job({"after": first}, type="other", parents=[first]))
        job = await queue.get_status(by_hand)
        assert job is not None
        assert job.payload == {"after": first.id}
        assert await child.status() is JobStatus.WAITING
        await Worker(queue, tasks=[greet]).run_until_idle()
        assert await child.result(timeout_seconds=10) == "Hello Bo!"


async def test_a_result_that_is_not_json_fails_at_once(valkey: Server, make_queue: MakeQueue) -> None:
    @task
    async def odd() -> Any:
        return object()

    queue = await make_queue(timings=FAST)
    async with penstock.connect(valkey.url):
        handle = await odd.enqueue()
    await Worker(queue, tasks=[odd]).run_until_idle()
    job = await queue.get_status(handle)
    assert job is not None
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert "ResultNotSerializableError: task 'odd': the result is not JSON" in str(job.error)


async def test_the_retry_policy_of_a_task_wins_over_the_workers(
    valkey: Server, make_queue: MakeQueue
) -> None:
    queue = await make_queue(timings=FAST)
    async with penstock.connect(valkey.url):
        well, badly = await falter.enqueue(4), await falter.enqueue(5)
        worker = Worker(queue, tasks=[falter], retry_policy=RetryPolicy(1))
        running = asyncio.create_task(worker.run())
        assert await well.result(timeout_seconds=20) == 4
        with pytest.raises(penstock.PenstockError):
            await badly.result(timeout_seconds=20)
        await worker.stop(0)
        await running
    job = await queue.get_status(badly)
    assert job is not None
    assert (job.status, job.attempts, job.max_attempts) == (JobStatus.FAILED, 4, 4)


async def test_tasks_and_handlers_side_by_side(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def plain(ctx: penstock.JobContext) -> str:
        return f"plain {ctx.payload}"

    await queue.enqueue(penstock.Job("x", type="plain", id="plain"))
    await queue.enqueue(penstock.Job({"name": "Cy"}, type="hello", id="renamed"))
    async with penstock.connect(valkey.url):
        handle = await greet.enqueue("Bo")
    await Worker(queue, {"plain": plain, "hello": greet}, tasks=[greet]).run_until_idle()
    results = {name: await queue.get_status(name) for name in ("plain", "renamed", handle)}
    assert [job and job.result for job in results.values()] == ["plain x", "Hello Cy!", "Hello Bo!"]


async def test_two_tasks_of_one_name_are_refused(make_queue: MakeQueue) -> None:
    @task(name="greet")
    async def other() -> None: ...

    queue = await make_queue(timings=FAST)
    with pytest.raises(ConfigurationError, match="two handlers are called 'greet'"):
        Worker(queue, tasks=[greet, other])
    with pytest.raises(ConfigurationError, match="is not a task"):
        Worker(queue, tasks=[other.function])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="at least one handler or task"):
        Worker(queue)
