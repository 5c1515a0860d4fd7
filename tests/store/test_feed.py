"""The live feed: the same for every reader, whenever it was cut and where it goes on."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from penstock import Job, QueueUnavailableError, RedisStreamsQueue
from penstock.core.errors import InvalidJobError, JobNotFoundError
from penstock.core.outcomes import Claimed, Outcome
from penstock.store import listener as listener_module
from penstock.store.feed import FeedEntry
from penstock.store.watching import Watch
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.servers import Server
from tests.store.scene import Scene

READERS = 100
ENTRIES = 300


async def _start(queue: RedisStreamsQueue, job_id: str = "a") -> Claimed:
    await queue.enqueue(Job(id=job_id))
    return (await queue.engine.claim("w:1", f"request-{job_id}", 1)).jobs[0]


async def _emit(queue: RedisStreamsQueue, claimed: Claimed, *values: int) -> None:
    codes = await queue.engine.emit(
        [(claimed.id, claimed.lease, "emit", str(value).encode()) for value in values]
    )
    assert set(codes) == {"ok"}


async def _read(
    feed: AsyncIterator[FeedEntry], seen: list[FeedEntry] | None = None, most: int = 10**9
) -> list[FeedEntry]:
    entries = [] if seen is None else seen
    async for entry in feed:
        entries.append(entry)
        most -= 1
        if not most:
            break
    return entries


@pytest.mark.usefixtures("server")
async def test_a_feed_is_followed_to_its_end_and_replayed(make_queue: MakeQueue) -> None:
    queue, worker = await make_queue(), await make_queue()
    claimed = await _start(worker)
    await _emit(worker, claimed, 1, 2)
    reading = asyncio.create_task(_read(queue.follow("a")))
    await _emit(worker, claimed, 3)
    await worker.engine.emit([("a", claimed.lease, "progress", b'{"percent":50}')])
    await worker.engine.settle([Outcome("a", claimed.lease, "complete", b"{}")])
    entries = await reading
    assert [(entry.kind, entry.value) for entry in entries] == [
        ("emit", 1),
        ("emit", 2),
        ("emit", 3),
        ("progress", {"percent": 50}),
        ("end", "completed"),
    ]
    assert entries == await _read(queue.follow("a")), "it is kept with its job"
    assert await _read(queue.follow("a", after=entries[2].id)) == entries[3:]
    assert await _read(queue.follow("a", after=entries[-1].id)) == []
    assert entries[0].at <= entries[-1].at


@pytest.mark.parametrize("seed", range(3))
async def test_a_hundred_readers_cut_anywhere_see_the_same(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, seed: int
) -> None:
    chance = random.Random(seed)
    proxy = await make_proxy(valkey)
    worker = await make_queue()
    queues = [await make_queue(url=proxy.url) for _ in range(4)]
    claimed = await _start(worker)

    async def read(number: int) -> list[FeedEntry]:
        seen: list[FeedEntry] = []
        while not seen or seen[-1].kind != "end":
            feed = chance.choice(queues).follow("a", seen[-1].id if seen else "0")
            # An outage at the very start of a feed is told to its reader, who tries again.
            with contextlib.suppress(QueueUnavailableError):
                await _read(feed, seen, chance.randint(1, 40))
        return seen

    readers = [asyncio.create_task(read(number)) for number in range(READERS)]
    value = 0
    while value < ENTRIES:
        few = chance.randint(1, 20)
        await _emit(worker, claimed, *range(value, value + few))
        value += few
        if chance.random() < 0.2:
            # Their connections go as well, the one that listens included.
            await proxy.cut()
        await asyncio.sleep(0)
    await worker.engine.settle([Outcome("a", claimed.lease, "complete", b"{}")])
    first, *others = await asyncio.gather(*readers)
    assert [entry.value for entry in first] == [*range(value), "completed"]
    assert all(other == first for other in others)


async def test_many_followers_share_one_connection(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 600.0)
    proxy = await make_proxy(valkey)
    queue, worker = await make_queue(url=proxy.url), await make_queue()
    claimed = await _start(worker)
    feeds = [queue.follow("a") for _ in range(READERS)]
    for value in range(5):
        await _emit(worker, claimed, value)
        told = await asyncio.gather(*(anext(feed) for feed in feeds))
        assert {entry.value for entry in told} == {value}
    assert proxy.commands["SUBSCRIBE"] == 1
    assert proxy.connections <= 6
    for feed in feeds:
        await feed.aclose()  # type: ignore[attr-defined]


async def test_a_job_nobody_watched_has_a_feed_of_its_end(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"))
    (end,) = await _read(scene.queue.follow("a"))
    assert (end.kind, end.value, end.at) == ("end", "completed", scene.clock.now_ms / 1000)
    assert await _read(scene.queue.follow("a", after=end.id)) == []
    assert await _read(scene.queue.follow("a", after="1")) == [end]


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_waiting_follower_is_told_of_every_end(scene: Scene, end: str) -> None:
    await scene.add("a")
    reading = asyncio.create_task(_read(scene.queue.follow("a")))
    while not await scene.client.hget(scene.keys.job + "a", "traits"):  # noqa: ASYNC110 - a look at the server
        await asyncio.sleep(0.005)
    if end == "cancelled":
        await scene.queue.cancel("a")
    else:
        await scene.settle(await scene.take_one("a"), "fail", "no")
    assert [(entry.kind, entry.value) for entry in await reading] == [("end", end)]


async def test_a_feed_goes_on_over_retries(scene: Scene) -> None:
    await scene.add("a")
    first = await scene.take_one("a")
    await _emit(scene.queue, first, 1)
    await scene.settle(first, "retry", "no")
    await scene.engine.promote()
    second = await scene.take_one("a")
    assert await scene.engine.emit([("a", first.lease, "emit", b"9")]) == ["lost"]
    await _emit(scene.queue, second, 2)
    await scene.settle(second)
    assert [entry.value for entry in await _read(scene.queue.follow("a"))] == [1, 2, "completed"]


async def test_what_is_written_between_two_looks_is_not_skipped(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    ask = Watch.status
    asked = 0

    async def status(watch: Watch, job_id: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 3:
            # The follower has just found its feed empty, and asks whether the job has ended.
            await _emit(scene.queue, claimed, 1)
            await scene.settle(claimed)
        return await ask(watch, job_id)

    monkeypatch.setattr(Watch, "status", status)
    assert [entry.value for entry in await _read(scene.queue.follow("a"))] == [1, "completed"]
    assert asked == 3


async def test_what_cannot_be_followed_says_so(scene: Scene) -> None:
    await scene.add("a")
    with pytest.raises(JobNotFoundError):
        await _read(scene.queue.follow("nobody"))
    for after in ("", "x", "1-", "$", "-"):
        with pytest.raises(InvalidJobError, match="must be the id of a feed entry"):
            await _read(scene.queue.follow("a", after=after))


@pytest.mark.parametrize(
    ("damage", "end"), [({"attempt": "not a number"}, "failed"), ({"traits": ""}, "completed")]
)
async def test_a_damaged_job_ends_its_feed_too(scene: Scene, damage: dict[str, str], end: str) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    await _emit(scene.queue, claimed, 1)
    await scene.client.hset(scene.keys.job + "a", mapping=damage)
    await scene.settle(claimed)
    entries = await _read(scene.queue.follow("a"))
    assert [(entry.kind, entry.value) for entry in entries] == [("emit", 1), ("end", end)]
    assert await _read(scene.queue.follow("a")) == entries
    assert await _read(scene.queue.follow("a", after=entries[0].id)) == entries[1:]
    assert await _read(scene.queue.follow("a", after=entries[1].id)) == []


async def test_a_job_that_goes_away_ends_its_feed_with_an_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_SECONDS", 0.02)
    await scene.add("a")
    claimed = await scene.take_one("a")
    await _emit(scene.queue, claimed, 1)
    feed = scene.queue.follow("a")
    assert (await anext(feed)).value == 1
    await scene.client.flushall()
    with pytest.raises(JobNotFoundError):
        await anext(feed)
