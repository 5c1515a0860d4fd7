"""Where tasks go: a block's connection, the worker's, the configuration's; and from code without a loop."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import Iterator

import pytest

import penstock
from penstock import JobHandle, JobStatus, QueueConfig, Worker, set_queue_config, task
from penstock.core.errors import ConfigurationError
from penstock.tasks.loops import queue_here
from penstock.worker.current import CurrentQueue, current_queue
from tests.conftest import MakeQueue
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server
from tests.tasks.jobs import greet
from tests.worker.fleet import FAST
from tests.worker.support import until


@pytest.fixture
def configured(valkey: Server) -> Iterator[None]:
    """The configuration in force names the test's server."""
    set_queue_config(QueueConfig(redis_url=valkey.url))
    yield
    set_queue_config(None)


async def enqueue_and_look(name: str) -> JobStatus | None:
    """What a program does that never heard of connections."""
    return await (await greet.enqueue(name)).status()


@pytest.mark.usefixtures("configured")
def test_each_loop_opens_its_own_connection_and_closes_it() -> None:
    # Warnings are errors here, so a connection that is left open fails the test.
    for name in ("one", "two"):
        assert asyncio.run(enqueue_and_look(name)) is JobStatus.PENDING
        gc.collect()


@pytest.mark.usefixtures("configured")
async def test_a_loop_has_one_connection_of_its_own() -> None:
    first, second = await asyncio.gather(queue_here(), queue_here())
    assert first is second
    assert current_queue.get() is None


async def test_a_block_decides_and_gives_back(valkey: Server) -> None:
    config = QueueConfig(redis_url="redis://127.0.0.1:1", key_prefix="block:")
    connection = penstock.connect(valkey.url, config)
    with pytest.raises(ConfigurationError, match="this connection is not open"):
        connection.queue()
    async with connection as p:
        handle = await greet.enqueue("Ada")
        assert await p.queue("default").get_status(handle) is not None
        assert p.queue("other").queue_name == "other"
        assert p.queue("other") is p.queue("other")
        assert p.queue("other").config.key_prefix == "block:"
    assert current_queue.get() is None


async def test_what_a_handler_enqueues_goes_where_its_job_came_from(make_queue: MakeQueue) -> None:
    """The configuration names no server that answers: only the worker knows where to go."""

    @task
    async def parent() -> str:
        return (await greet.enqueue("from the loop")).id

    @task
    def parent_in_thread() -> str:
        return greet.enqueue_sync("from a thread").id

    queue = await make_queue(timings=FAST)
    set_queue_config(QueueConfig(redis_url="redis://127.0.0.1:1"))
    try:
        await queue.enqueue(penstock.Job({}, type="parent", id="one"))
        await queue.enqueue(penstock.Job({}, type="parent_in_thread", id="two"))
        await Worker(queue, tasks=[parent, parent_in_thread, greet]).run_until_idle()
    finally:
        set_queue_config(None)
    for parent_id, said in (("one", "Hello from the loop!"), ("two", "Hello from a thread!")):
        job = await queue.get_status(parent_id)
        assert job is not None
        assert job.status is JobStatus.COMPLETED, job.error
        child = await queue.get_status(job.result)
        assert child is not None
        assert child.result == said
    assert current_queue.get() is None


@pytest.mark.usefixtures("configured")
def test_plain_code_enqueues_from_many_threads_and_asks_for_results() -> None:
    handles: list[JobHandle[str]] = []
    threads = [
        threading.Thread(target=lambda number=number: handles.append(greet.enqueue_sync(str(number))))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 8
    assert {handle.status_sync() for handle in handles} == {JobStatus.PENDING}
    assert handles[0].cancel_sync()
    assert handles[0].status_sync() is JobStatus.CANCELLED

    async def work() -> None:
        queue = await penstock.create_redis_queue(timings=FAST)
        await Worker(queue, tasks=[greet]).run_until_idle()
        await queue.close()

    asyncio.run(work())
    assert handles[1].result_sync(timeout_seconds=10).startswith("Hello ")


async def test_in_a_running_loop_the_synchronous_verb_blocks_and_works(valkey: Server) -> None:
    async with penstock.connect(valkey.url):
        handle = greet.enqueue_sync("Ada")
        # The handle was made over the connection of another loop, and works in this one.
        assert await handle.status() is JobStatus.PENDING


async def test_a_copied_context_works_in_another_loop(valkey: Server) -> None:
    async with penstock.connect(valkey.url):
        context = contextvars.copy_context()

        def in_a_loop_of_its_own() -> JobStatus | None:
            status: JobStatus | None = context.run(asyncio.run, enqueue_and_look("Ada"))
            return status

        assert await asyncio.to_thread(in_a_loop_of_its_own) is JobStatus.PENDING


async def test_a_handle_asks_its_own_queue(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue("second", timings=FAST)
    async with penstock.connect(valkey.url) as p:
        first = await greet.options(job_id="same").enqueue("first")
        second = await greet.options(job_id="same", queue="second").enqueue("second")
        await Worker(queue, tasks=[greet]).run_until_idle()
        assert (await first.status(), await second.status()) == (JobStatus.PENDING, JobStatus.COMPLETED)
        assert await second.result(timeout_seconds=10) == "Hello second!"
        assert await first.cancel()
        assert await second.status() is JobStatus.COMPLETED
        assert p.queue("second") is not p.queue()


async def test_on_a_cluster_too(cluster_valkey: Server) -> None:
    async with penstock.connect(cluster_valkey.url, cluster=True):
        handle = greet.enqueue_sync("Ada")
        assert await handle.status() is JobStatus.PENDING


async def test_what_was_opened_like_a_queue_is_closed_when_that_queue_is_gone(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    origin = queue.on_queue("other")
    elsewhere = asyncio.new_event_loop()
    twin = await queue_here(CurrentQueue(origin, elsewhere))
    assert twin is not origin
    assert twin is await queue_here(CurrentQueue(origin, elsewhere))
    await twin.prepare()
    pool = twin.client.connection_pool  # type: ignore[union-attr]

    async def is_closed() -> bool:
        return not any(connection.is_connected for connection in pool._available_connections)

    assert not await is_closed()
    del origin
    gc.collect()
    await until(is_closed)
    elsewhere.close()


SCRIPT = """
import os, penstock
from penstock import task

@task
def work(number: int) -> int:
    return number

def main():
    first = work.enqueue_sync(1)
    child = os.fork()
    if child == 0:
        # A server that forks its workers after it was loaded, as many web servers do.
        second = work.enqueue_sync(2)
        assert second.status_sync() == "pending"
        raise SystemExit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert first.status_sync() == "pending"
    print("ended well")

main()
"""


async def test_a_program_that_forks_and_ends_leaves_no_warning(processes: ProcessStarter) -> None:
    process = await processes.python("-W", "error", "-X", "dev", "-c", SCRIPT)
    assert await process.exited(60) == 0, process.output
    assert process.stdout == ["ended well"]
    assert process.stderr == []


AT_EXIT = """
import atexit, threading
from penstock import task

@task
def work() -> None: ...

def bridges():
    return [thread.name for thread in threading.enumerate() if thread.name == "penstock-bridge"]

# What is registered first runs last.
atexit.register(lambda: print("at the end:", bridges()))
work.enqueue_sync()
print("before:", bridges())
"""


async def test_the_thread_that_answers_ends_with_the_program(processes: ProcessStarter) -> None:
    process = await processes.python("-W", "error", "-X", "dev", "-c", AT_EXIT)
    assert await process.exited(60) == 0, process.output
    assert process.stdout == ["before: ['penstock-bridge']", "at the end: []"]
    assert process.stderr == []
