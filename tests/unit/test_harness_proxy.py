"""The fault proxy does what its rules say, and nothing else."""

import asyncio

import pytest
import redis
import redis.asyncio

from tests.conftest import MakeClient
from tests.harness.faultproxy import FaultProxy
from tests.harness.proxythread import ProxyThread
from tests.harness.resp import arguments_of, take_values
from tests.harness.rules import containing, script
from tests.harness.servers import Server
from tests.harness.waiting import WaitTimeout

SHORT_SECONDS = 0.3
NULL = b"_\r\n"


async def test_passes_and_counts(
    server: Server,
    proxy: FaultProxy,
    make_client: MakeClient,
) -> None:
    client = make_client(proxy)
    await client.set("large", "x" * 1_000_000)
    before = proxy.round_trips
    async with client.pipeline(transaction=True) as pipeline:
        for number in range(100):
            pipeline.hset("hash", str(number), number)
        pipeline.hgetall("hash")
        pipeline.get("large")
        *_, fields, large = await pipeline.execute()
    assert (len(fields), len(large)) == (100, 1_000_000)
    assert proxy.commands["HSET"] == 100
    assert proxy.commands["EXEC"] == 1
    assert proxy.round_trips - before == 1
    assert proxy.connections == 1


@pytest.mark.parametrize("protocol", [2, 3])
async def test_messages_nobody_asked_for_pass(
    proxy: FaultProxy, make_client: MakeClient, protocol: int
) -> None:
    client = make_client(proxy, protocol=protocol)
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await proxy.saw("SUBSCRIBE")
        assert (await pubsub.get_message(timeout=5) or {})["type"] == "subscribe"
        await client.publish("news", "hello")
        assert (await pubsub.get_message(timeout=5) or {})["data"] == "hello"


async def test_pushes_are_not_taken_for_replies(proxy: FaultProxy) -> None:
    cut = proxy.cut_after("GET")
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"HELLO 3\r\nSUBSCRIBE news\r\nPUBLISH news hello\r\nINCR number\r\nGET key\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    await cut.hit()
    _, _, messages = answer.partition(b"subscribe")
    assert b"hello" in messages
    assert messages.count(b":1\r\n") == 3, "the subscription and the replies of PUBLISH and INCR"
    assert not messages.endswith(NULL)
    writer.close()


async def test_a_swallowed_reply_belongs_to_a_command_that_ran(
    target: Server, proxy: FaultProxy, make_client: MakeClient
) -> None:
    client = make_client(proxy, socket_timeout=SHORT_SECONDS)
    increase = client.register_script("return redis.call('INCR', KEYS[1])")
    rule = proxy.swallow(script(increase.sha))
    with pytest.raises(redis.TimeoutError):
        await increase(keys=["counter"])
    await rule.hit()
    assert proxy.commands["EVALSHA"] == 2, "the first found no script and is not meant"
    assert target.command("GET", "counter") == "1"
    assert await increase(keys=["counter"]) == 2


async def test_cuts_before_or_after_execution(
    target: Server, proxy: FaultProxy, make_client: MakeClient
) -> None:
    client = make_client(proxy)
    proxy.cut_before(containing(b"never"))
    with pytest.raises(redis.ConnectionError):
        await client.set("key", "never arrives")
    assert target.command("GET", "key") is None
    proxy.cut_after("set")
    with pytest.raises(redis.ConnectionError):
        await client.set("key", "arrives")
    assert target.command("GET", "key") == "arrives"
    assert await client.get("key") == "arrives"


async def test_holds_a_reply_until_released(proxy: FaultProxy, make_client: MakeClient) -> None:
    client = make_client(proxy)
    held = proxy.hold("GET")
    seen = proxy.watch("GET")
    reading = asyncio.ensure_future(client.get("key"))
    await held.hit()
    await client.set("another connection", "is free")
    assert not reading.done()
    held.release()
    assert await reading is None
    assert seen.hits == 1
    proxy.delay("GET", 0.05, times=1)
    assert await client.get("another connection") == "is free"


async def test_stalls_cuts_and_refuses(
    target: Server,
    proxy: FaultProxy,
    make_client: MakeClient,
) -> None:
    client = make_client(proxy, socket_timeout=SHORT_SECONDS)
    await client.set("key", "value")
    proxy.stall()
    with pytest.raises(redis.TimeoutError):
        await client.set("key", "on the old connection")
    with pytest.raises(redis.TimeoutError):
        await client.set("key", "on a new connection")
    assert target.command("GET", "key") == "value"
    proxy.flow()
    await client.set("key", "value")
    waiting = asyncio.ensure_future(make_client(proxy).blpop(["never"], 0))
    await proxy.saw("BLPOP")
    await proxy.cut()
    with pytest.raises(redis.ConnectionError):
        await waiting
    await proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        await client.get("key")
    await proxy.start()
    assert await client.get("key") == "value"


async def test_says_what_it_saw_instead(proxy: FaultProxy) -> None:
    with pytest.raises(WaitTimeout, match="saw 0 of 2 GET"):
        await proxy.saw("GET", 2, timeout_seconds=0.01)


def test_in_a_thread_it_serves_a_blocking_client(valkey: Server) -> None:
    with ProxyThread(valkey.port) as proxy:
        rule = proxy.do(lambda inside: inside.cut_after("SET"))
        with redis.Redis.from_url(proxy.url, protocol=2, retry=None) as client:
            with pytest.raises(redis.ConnectionError):
                client.set("key", "value")
            assert client.get("key") == b"value"
        proxy.wait(lambda inside: inside.saw("GET"))
        assert rule.hits == 1


def test_values_are_told_apart_at_every_cut() -> None:
    values = [
        b"+OK\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"*2\r\n$4\r\na\r\nb\r\n*1\r\n:1\r\n",
        b"*-1\r\n",
        b"%1\r\n+key\r\n~2\r\n#t\r\n,1.5\r\n",
        b"|1\r\n+ttl\r\n:3\r\n_\r\n",
        b">2\r\n+message\r\n=7\r\ntxt:abc\r\n",
    ]
    whole = b"".join(values)
    for cut in range(len(whole) + 1):
        buffer = bytearray(whole[:cut])
        found = take_values(buffer)
        buffer += whole[cut:]
        assert found + take_values(buffer) == values
    assert arguments_of(b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n") == (b"GET", b"a\r\nb")
    assert arguments_of(b"PING hello\r\n") == (b"PING", b"hello")
