"""The listener: hears what scripts call out, over one connection that it keeps alive by itself."""

import asyncio
from typing import Any

import pytest

from penstock import Job, RedisStreamsQueue
from penstock.store import listener as module
from penstock.store.listener import LOOK_SECONDS, LOOK_WITHOUT_CALLS_SECONDS, Listener
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.rules import named
from tests.harness.servers import Server
from tests.harness.waiting import Signal


class Ear:
    """Notes what a listener hears, and lets a test wait for it."""

    def __init__(self, listener: Listener) -> None:
        self.heard: list[str] = []
        self.gaps = 0
        self._signal = Signal()
        listener.on("end", self._hear)
        listener.on("cancel", self._hear)
        listener.on_gap(self._note_gap)

    def _hear(self, rest: str) -> None:
        self.heard.append(rest)
        self._signal.notify()

    def _note_gap(self) -> None:
        self.gaps += 1
        self._signal.notify()

    async def until(self, *, heard: int = 0, gaps: int = 0) -> None:
        await self._signal.until(
            lambda: len(self.heard) >= heard and self.gaps >= gaps,
            15,
            lambda: f"heard {self.heard}, gaps {self.gaps}",
        )


async def _call(queue: RedisStreamsQueue, text: str) -> None:
    client: Any = queue.engine.client
    await client.publish(queue.engine.keys.calls, text)


@pytest.mark.usefixtures("server")
async def test_calls_are_heard_by_their_first_word(make_queue: MakeQueue) -> None:
    queue = await make_queue()
    listener = Listener(queue.engine)
    ear = Ear(listener)
    assert listener.look_seconds == LOOK_WITHOUT_CALLS_SECONDS
    assert await listener.start()
    assert await listener.start(), "twice is once"
    assert listener.look_seconds == LOOK_SECONDS
    for call in ("end job1", "unknown x", "", "cancel job2 7:abc"):
        await _call(queue, call)
    await ear.until(heard=2)
    assert ear.heard == ["job1", "job2 7:abc"]
    await listener.stop()
    await listener.stop()
    assert await listener.start(), "it may start again"
    await _call(queue, "end job3")
    await ear.until(heard=3)
    await listener.stop()


async def test_a_cut_connection_is_made_again_and_the_gap_is_told(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    listener = Listener(queue.engine)
    ear = Ear(listener)
    await listener.start()
    await ear.until(gaps=1)
    for cut in range(3):
        await proxy.cut()
        await ear.until(gaps=cut + 2)
        await _call(queue, f"end job{cut}")
        await ear.until(heard=cut + 1)
    await listener.stop()
    assert ear.heard == ["job0", "job1", "job2"]


async def test_a_server_that_is_away_at_the_start_is_found_when_it_comes(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    await proxy.refuse()
    listener = Listener(queue.engine)
    ear = Ear(listener)
    assert not await listener.start()
    assert listener.look_seconds == LOOK_WITHOUT_CALLS_SECONDS
    await proxy.start()
    await ear.until(gaps=1)
    assert await listener.start()
    await listener.stop()


async def test_a_connection_that_died_without_a_word_is_noticed(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    listener = Listener(queue.engine)
    ear = Ear(listener)
    await listener.start()
    await proxy.saw("PING", 2)
    assert ear.gaps == 1, "as long as it answers, the connection is kept"
    proxy.swallow(named("PING"))
    await ear.until(gaps=2)
    await listener.stop()


async def test_one_hearer_that_fails_does_not_deafen_the_others(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue = await make_queue()
    listener = Listener(queue.engine)
    listener.on("end", lambda job_id: {"other": None}[job_id])
    ear = Ear(listener)
    await listener.start()
    await _call(queue, "end a")
    await ear.until(heard=1)
    await listener.stop()
    assert "a hearer of 'end a' failed" in caplog.text


async def test_a_cluster_is_looked_at_instead(cluster_valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue(cluster=True)
    listener = Listener(queue.engine)
    assert not await listener.start()
    assert listener.look_seconds == LOOK_WITHOUT_CALLS_SECONDS
    await queue.enqueue(Job(id="a"))
    waiting = asyncio.create_task(queue.result("a"))
    await queue.dequeue("w", 0)
    await queue.complete("a", {"n": 1})
    assert await waiting == {"n": 1}
    await listener.stop()
