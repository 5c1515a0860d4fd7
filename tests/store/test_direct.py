"""Scripts sent one behind another over one connection: in order, none after an error, nothing left over."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from redis.exceptions import NoScriptError, ResponseError

from penstock import Job, create_redis_queue
from penstock.store.connect import Client, open_client
from penstock.store.direct import DirectScript
from penstock.store.script_calls import BATCH
from tests.harness.servers import Server
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")

ECHO = "if ARGV[1] == 'bad' then return redis.error_reply('it is bad') end return ARGV[1]"


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    client = open_client(server.url)
    yield client
    await cast("Any", client).aclose()


async def loaded(client: Client, source: str) -> DirectScript:
    script = DirectScript(client, source)
    await script([], ["first"])
    return script


def counted(words: list[str], sent: list[str]) -> Iterator[list[str]]:
    for word in words:
        sent.append(word)
        yield [word]


async def test_replies_come_in_the_order_of_the_calls(client: Client) -> None:
    script = await loaded(client, ECHO)
    words = [str(number) for number in range(50)]
    replies = await script.in_turn([], ([word] for word in words), 4)
    assert [reply.decode() for reply in replies] == words


async def test_after_an_error_no_more_are_sent(client: Client) -> None:
    script, sent = await loaded(client, ECHO), list[str]()
    words = ["0", "1", "bad", *(str(number) for number in range(3, 50))]
    replies = await script.in_turn([], counted(words, sent), 4)
    assert [reply.decode() for reply in replies[:2]] == ["0", "1"]
    assert isinstance(replies[2], ResponseError)
    assert "it is bad" in str(replies[2])
    assert len(replies) < len(sent) < 10
    assert await script([], ["after"]) == b"after"


async def test_a_server_without_the_script_says_so_for_each(client: Client) -> None:
    script = DirectScript(client, ECHO + " -- never loaded")
    replies = await script.in_turn([], ([str(number)] for number in range(2)), 4)
    assert [type(reply) for reply in replies] == [NoScriptError] * 2


async def test_a_call_that_cannot_be_made_ready_leaves_no_reply_behind(client: Client) -> None:
    script = await loaded(client, ECHO)

    def calls() -> Iterator[list[str]]:
        yield ["one"]
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await script.in_turn([], calls(), 4)
    assert await script([], ["after"]) == b"after"


async def test_scripts_that_are_lost_on_the_way_are_given_again(
    server: Server, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch loads the script; here, another client flushes it right after."""
    queue = await create_redis_queue(server.url, queue_name="lost-scripts")
    engine = cast("Any", queue).engine
    call, calls = engine._call, []

    async def flushed_after(*arguments: Any) -> Any:
        calls.append(arguments[0])
        answer = await call(*arguments)
        if len(calls) <= 2:
            await scene.client.script_flush()
        return answer

    monkeypatch.setattr(engine, "_call", flushed_after)
    jobs = [Job({}, id=f"job-{number}") for number in range(8 * BATCH)]
    assert await queue.enqueue_many(jobs) == [job.id for job in jobs]
    assert len(calls) > 2
    assert (await queue.get_queue_stats())["pending"] == len(jobs)
    await queue.close()
