"""Durable enqueueing: on disk when it answers, and an error that says what is known when not."""

import asyncio
from collections.abc import Callable

import pytest

from penstock import Job
from penstock.core.errors import DurabilityError, NotYetDurableError, QueueUnavailableError
from penstock.store import durability
from tests.conftest import MakeClient, MakeProxy, MakeQueue
from tests.harness.rules import named
from tests.harness.servers import Server


async def test_what_was_accepted_durably_survives_the_server(
    fresh_valkey: Server, make_queue: MakeQueue
) -> None:
    queue = await make_queue()
    assert await queue.enqueue(Job(id="kept"), durable=True) == "kept"
    many = await asyncio.gather(*(queue.enqueue(Job(id=f"k{n}"), durable=True) for n in range(100)))
    assert await queue.enqueue_many([Job(id=f"m{n}") for n in range(100)], durable=True)
    await asyncio.to_thread(fresh_valkey.kill)
    await asyncio.to_thread(fresh_valkey.start)
    assert (await queue.get_queue_stats())["pending"] == 201
    assert many == [f"k{n}" for n in range(100)]


async def test_a_server_without_the_command_is_refused_before_anything_is_written(
    make_server: Callable[..., Server], make_queue: MakeQueue
) -> None:
    old = make_server("redis-6.2", appendonly=True)
    queue = await make_queue(url=old.url)
    with pytest.raises(DurabilityError, match=r"no WAITAOF.*nothing was written"):
        await queue.enqueue(Job(id="a"), durable=True)
    assert await queue.get_status("a") is None


async def test_a_server_without_an_append_only_file_is_refused(
    fresh_valkey: Server, make_queue: MakeQueue, make_client: MakeClient
) -> None:
    queue = await make_queue()
    await make_client(fresh_valkey).config_set("appendonly", "no")
    with pytest.raises(DurabilityError, match="append-only file is off"):
        await queue.enqueue(Job(id="a"), durable=True)
    assert await queue.get_status("a") is None
    await make_client(fresh_valkey).config_set("appendonly", "yes")
    assert await queue.enqueue(Job(id="a"), durable=True) == "a"


async def test_an_fsync_that_does_not_come_is_an_error_that_says_so(
    fresh_valkey: Server,
    make_queue: MakeQueue,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durability, "LONGEST_FSYNC_MS", 50)
    queue = await make_queue()
    await make_client(fresh_valkey).config_set("appendfsync", "no")
    with pytest.raises(NotYetDurableError, match="again under the same id is safe"):
        await queue.enqueue(Job(id="a"), durable=True)
    # Repeated on a connection that never wrote the job: the old write must be waited for all the same.
    with pytest.raises(NotYetDurableError):
        await queue.enqueue(Job(id="a"), durable=True)
    await make_client(fresh_valkey).config_set("appendfsync", "always")
    assert await queue.enqueue(Job(id="a"), durable=True) == "a"
    assert (await queue.get_queue_stats())["pending"] == 1


async def test_a_cancelled_wait_leaves_no_answer_to_the_next(
    fresh_valkey: Server, make_queue: MakeQueue, make_proxy: MakeProxy
) -> None:
    proxy = await make_proxy(fresh_valkey)
    queue = await make_queue(url=proxy.url)
    await queue.enqueue(Job(id="warm"), durable=True)
    held = proxy.hold(named("HINCRBY"), times=1)
    waiting = asyncio.create_task(queue.enqueue(Job(id="a"), durable=True))
    await held.hit()
    waiting.cancel()
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await queue.enqueue(Job(id="b"), durable=True) == "b"
    assert (await queue.get_queue_stats())["processing"] == 0


async def test_a_lost_reply_means_try_again(
    fresh_valkey: Server, make_queue: MakeQueue, make_proxy: MakeProxy
) -> None:
    proxy = await make_proxy(fresh_valkey)
    queue = await make_queue(url=proxy.url)
    proxy.cut_after(named("HINCRBY"), times=1)
    with pytest.raises(QueueUnavailableError):
        await queue.enqueue(Job(id="a"), durable=True)
    assert await queue.enqueue(Job(id="a"), durable=True) == "a"
    assert (await queue.get_queue_stats())["pending"] == 1


async def test_durable_on_a_cluster(make_server: Callable[..., Server], make_queue: MakeQueue) -> None:
    server = make_server("valkey-9", cluster=True, appendonly=True)
    queue = await make_queue(url=server.url, cluster=True)
    assert await queue.enqueue(Job(id="a"), durable=True) == "a"
    assert await queue.enqueue_many([Job(id="b"), Job(id="c")], durable=True) == ["b", "c"]
