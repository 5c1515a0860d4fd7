"""What operators and accidents do to a server under a running worker: it goes on."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from penstock import Job, JobContext, RedisStreamsQueue, Worker
from tests.conftest import MakeQueue
from tests.harness.servers import Server
from tests.worker.fleet import FAST
from tests.worker.support import completed, running, until

Disturb = Callable[[Server, RedisStreamsQueue], Awaitable[None]]


async def destroy_group(server: Server, queue: RedisStreamsQueue) -> None:
    keys = queue.engine.keys
    for stream in (keys.stream, keys.stream_high, keys.stream_low):
        if server.command("EXISTS", stream):
            server.command("XGROUP", "DESTROY", stream, queue.group_name)


async def delete_consumers(server: Server, queue: RedisStreamsQueue) -> None:
    keys = queue.engine.keys
    for consumer in server.command("XINFO", "CONSUMERS", keys.stream, queue.group_name):
        name = consumer["name"] if isinstance(consumer, dict) else consumer[1]
        server.command("XGROUP", "DELCONSUMER", keys.stream, queue.group_name, name)


async def flush_scripts(server: Server, _: RedisStreamsQueue) -> None:
    server.command("SCRIPT", "FLUSH")


async def kill_clients(server: Server, _: RedisStreamsQueue) -> None:
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def unblock_clients(server: Server, _: RedisStreamsQueue) -> None:
    """Ends the wait on the bell with an error, as a failover does."""

    async def waiting() -> list[str]:
        lines = str(server.command("CLIENT", "LIST")).splitlines()
        clients = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
        return [client["id"] for client in clients if client["cmd"] == "blpop"]

    for client in await until(waiting):
        server.command("CLIENT", "UNBLOCK", client, "ERROR")


@pytest.mark.parametrize(
    "disturb", [destroy_group, delete_consumers, flush_scripts, kill_clients, unblock_clients]
)
async def test_jobs_run_once_through(make_queue: MakeQueue, server: Server, disturb: Disturb) -> None:
    """Some jobs run, some wait for a slot, the worker is disturbed, more jobs come."""
    queue = await make_queue(timings=FAST)
    ran: Counter[str] = Counter()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(ctx: JobContext) -> None:
        ran[ctx.id] += 1
        if sum(ran.values()) == 4:
            began.set()
        await go_on.wait()

    first = [f"first-{number}" for number in range(4 if disturb is unblock_clients else 8)]
    second = [f"second-{number}" for number in range(8)]
    await queue.enqueue_many([Job({}, id=job_id) for job_id in first])
    worker = Worker(queue, handler, max_concurrent=8 if disturb is unblock_clients else 4)
    async with running(worker):
        await began.wait()
        await disturb(server, queue)
        go_on.set()
        await _patiently(lambda: completed(queue, first))
        await disturb(server, queue)
        await _patiently(lambda: queue.enqueue_many([Job({}, id=job_id) for job_id in second]))
        await _patiently(lambda: completed(queue, [*first, *second]))
        jobs = await completed(queue, [*first, *second])
    assert ran == dict.fromkeys([*first, *second], 1)
    assert {(job.attempts, job.crashes) for job in jobs.values()} == {(1, 0)}
    stats = await queue.get_queue_stats()
    assert (stats["stream_length"], stats["pending_in_group"], stats["completed"]) == (
        0,
        0,
        16 - 8 + len(first),
    )


async def _patiently(act: Callable[[], Awaitable[Any]]) -> None:
    """A caller's connection was killed as well."""

    async def done() -> bool:
        try:
            await act()
        except ConnectionError:
            return False
        return True

    await until(done)


async def test_a_group_made_again_leaves_running_jobs_their_messages(
    make_queue: MakeQueue, server: Server
) -> None:
    """It starts from the beginning, where the messages of running jobs stand: they are not leftovers."""
    queue = await make_queue(timings=FAST)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(ctx: JobContext) -> None:
        if ctx.payload == "wait":
            began.set()
            await go_on.wait()

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job("wait", id="running"))
        await began.wait()
        await destroy_group(server, queue)
        await completed(queue, [await queue.enqueue(Job("go", id="quick"))])
        assert (await queue.get_queue_stats())["stream_length"] == 1
        go_on.set()
        await completed(queue, ["running"])
        assert (await queue.get_queue_stats())["stream_length"] == 0


async def test_a_flushed_server_is_filled_again(make_queue: MakeQueue, server: Server) -> None:
    queue = await make_queue(timings=FAST)
    began, told = asyncio.Event(), asyncio.Event()

    async def handler(ctx: JobContext) -> str:
        if ctx.payload == "wait":
            began.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.set()
        return "done"

    async with running(Worker(queue, handler)):
        await queue.enqueue(Job("wait", id="job"))
        await began.wait()
        await cast("Any", queue.engine.client.flushall())
        await queue.enqueue(Job("go", id="other"))
        await completed(queue, ["other"])
        await told.wait()
        await queue.enqueue(Job("go", id="job"))
        jobs = await completed(queue, ["job"])
    assert jobs["job"].attempts == 1
    assert (await queue.get_queue_stats())["completed"] == 2
