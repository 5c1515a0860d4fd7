"""Upkeep: what is over goes, history's stream is trimmed to what was read, dead workers are forgotten."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from penstock import Job
from penstock.core.outcomes import Claimed, Outcome
from penstock.core.schedule import Schedule
from tests.store.conftest import MakeScene
from tests.store.scene import LEFT, PASSING, Scene

pytestmark = pytest.mark.usefixtures("server")

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "keys.md"


LARGE = "x" * 20_000


async def end_in_every_way(scene: Scene, count: int) -> None:
    """Enqueue, claim and end jobs of all lanes, large and small, recorded or not, in all ways."""
    jobs = [
        Job(
            LARGE if number % 50 == 0 else number,
            id=f"{number}",
            priority=number % 3 - 1,
            record=number % 7 == 0,
        )
        for number in range(count)
    ]
    await scene.queue.enqueue_many(jobs[::10], delay_seconds=1)
    await scene.queue.enqueue_many(jobs)
    scene.clock.advance(seconds=1)
    await promote_all(scene)
    await scene.engine.cancel([f"{number}" for number in range(0, count, 11)])
    turns = itertools.count(1)
    while claimed := (await scene.claim()).jobs:
        outcomes = [ending(job, next(turns)) for job in claimed]
        await scene.engine.store_steps([(job.id, job.lease, "one", b"1") for job in claimed[::5]])
        await scene.client.hset(scene.keys.job + claimed[-1].id, "attempt", "many")
        await scene.engine.settle(outcomes)
        await promote_all(scene)


async def promote_all(scene: Scene) -> None:
    while (await scene.engine.promote())[0]:
        continue


def ending(job: Claimed, turn: int) -> Outcome:
    if turn % 4 == 0:
        return Outcome(job.id, job.lease, "fail", "no")
    if turn % 13 == 0:
        return Outcome(job.id, job.lease, "cancel")
    if turn % 9 == 0:
        return Outcome(job.id, job.lease, "retry", "again")
    if turn % 21 == 0:
        return Outcome(job.id, job.lease, "complete", f'"{LARGE}"'.encode())
    return Outcome(job.id, job.lease, "complete", b"1")


async def read_history(scene: Scene, group: str) -> int:
    """Acknowledge all events as the group."""
    read = await scene.client.xreadgroup(group, "c", {scene.keys.events: ">"})
    entries = [entry for entry, _ in read[0][1]] if read else []
    if entries:
        await scene.client.xack(scene.keys.events, group, *entries)
    return len(entries)


async def test_after_a_thousand_jobs_only_a_short_list_is_left(make_scene: MakeScene) -> None:
    scene = await make_scene(event_groups=("history",))
    await scene.beat()
    await end_in_every_way(scene, 1000)
    await scene.assert_balanced()
    assert sum((await scene.counts()).values()) == 1000
    assert set(await scene.counts()) == {"completed", "failed", "cancelled"}
    assert await scene.letters() != []
    await read_history(scene, "history")
    scene.clock.advance(days=7.001)
    assert await scene.sweep() == 1000
    left = set(await scene.client.keys("*"))
    passing = {key for key in left if key in PASSING or key.startswith("penstock:{q}:claim:")}
    for key in passing:
        assert 0 < await scene.client.ttl(key) <= 86_400, f"{key} never goes"
    assert left - passing <= LEFT
    for stream in ("stream", "stream:high", "stream:low", "dlq", "events"):
        assert await scene.client.xlen(f"penstock:{{q}}:{stream}") == 0
    assert await scene.counts() == {}
    await scene.assert_balanced()


async def use_flow_control(scene: Scene) -> None:
    """Leave each key of flow control behind, in the middle of its use."""
    now = (scene.clock.script_time_ms() or 0) / 1000
    await scene.settle_all((await scene.claim()).jobs)
    await scene.limits.set("k", concurrency=1, jobs=5, units=100)
    await scene.add("k1", "k2", concurrency_key="k", rate_key="k", rate_units=5, unique_key="u")
    await scene.add("k3", concurrency_key="k", rate_key="k", expires_at=now + 60)
    running = await scene.take_one("k1")
    await scene.engine.emit([("k1", running.lease, "emit", b"1")])
    await scene.engine.report_usage([("k1", running.lease, "default", "units", 5)])
    await scene.engine.signal("k1", "go", b"1")
    await scene.add("free", concurrency_key="other")
    await scene.limits.pause("k", 60)
    await scene.limits.set("used-up", jobs=1)
    await scene.add("rated1", "rated2", rate_key="used-up")
    await scene.add("parent", "abroad", "slow")
    await scene.add("child", parents=["parent", "slow"])
    await scene.engine.link([("abroad", "elsewhere/child")])
    await scene.engine.cancel(["abroad"])
    await scene.engine.promote()
    claimed = {job.id: job for job in (await scene.claim()).jobs}
    await scene.settle(claimed["parent"])
    await scene.engine.promote()
    await scene.add("free2", concurrency_key="other")
    await scene.settle(claimed["slow"])
    await scene.queue.schedules.put(Schedule(name="nightly", cron="0 3 * * *", type="t"))
    await scene.engine.pause()


async def test_the_described_types_are_the_real_ones(scene: Scene) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    kinds = {key.split("<")[0]: kind for key, kind in rows}
    await scene.beat()
    await end_in_every_way(scene, 120)
    await scene.add("running", "waiting")
    await scene.claim(1)
    await scene.add("later", delay_seconds=9)
    await use_flow_control(scene)
    beginnings = sorted(kinds, key=len, reverse=True)
    seen = set()
    for key in await scene.client.keys("*"):
        known = next(
            start for start in beginnings if key == start or (start[-1] == ":" and key.startswith(start))
        )
        assert await scene.client.type(key) == kinds[known], key
        seen.add(known)
    never_made = {f"penstock:{{q}}:{end}" for end in ("", "calls", "scratch")}
    assert set(kinds) - seen <= {*never_made, "penstock:{q}:stream:suspects"}


async def test_a_finished_job_is_kept_for_its_time_to_the_millisecond(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"))
    scene.clock.advance(days=7, seconds=-0.001)
    assert await scene.sweep() == 0
    assert await scene.status("a") == "completed"
    scene.clock.advance(seconds=0.001)
    assert await scene.sweep() == 1
    assert await scene.status("a") is None


async def test_the_backstop_is_a_day_longer_than_the_retention(scene: Scene) -> None:
    await scene.add("a", payload="x" * 20_000)
    await scene.add("b", record=True)
    jobs = await scene.take("a", "b")
    await scene.engine.store_steps([("a", jobs["a"].lease, "one", b"1")])
    await scene.settle(jobs["a"], "complete", b'"' + b"x" * 20_000 + b'"')
    await scene.settle(jobs["b"])
    eight_days = 8 * 86_400
    for key in (scene.keys.job, scene.keys.payload, scene.keys.result, scene.keys.steps):
        assert eight_days - 60 < await scene.client.ttl(key + "a") <= eight_days
    assert await scene.client.ttl(scene.keys.job + "b") == -1, "history may need it for longer"


async def test_a_recorded_job_stays_until_history_has_passed_it(make_scene: MakeScene) -> None:
    scene = await make_scene(event_groups=("history", "relay"))
    await scene.add("a", record=True)
    await scene.settle(await scene.take_one("a"))
    await read_history(scene, "history")
    scene.clock.advance(days=8)
    assert await scene.sweep() == 0
    assert await scene.status("a") == "completed"
    await scene.add("a", record=True)
    assert await scene.status("a") == "completed", "idempotent for as long as it is kept"
    await read_history(scene, "relay")
    scene.clock.advance(days=6)
    assert await scene.sweep() == 0, "its retention starts when history has passed"
    scene.clock.advance(days=2)
    assert await scene.sweep() == 1
    assert await scene.status("a") is None


async def test_a_dead_letter_goes_with_its_job_even_after_the_backstop(scene: Scene) -> None:
    # Letters are numbered by the server's own clock.
    seconds, _ = await scene.client.time()
    scene.clock.now_ms = seconds * 1000 + 500
    await scene.add("first", "expired", "last")
    for job in (await scene.claim()).jobs:
        await scene.settle(job, "fail", "no")
    await scene.client.delete(scene.keys.job + "expired")
    assert len(await scene.letters()) == 3
    once = {"ttl_ms": 0, "status": "failed", "most": 64, "required": 0}
    assert await scene.engine.call("expire", once) == 3
    assert await scene.letters() == []


async def test_an_id_enqueued_anew_is_not_removed_with_its_past(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), "fail", "no")
    await scene.client.delete(scene.keys.job + "a")
    await scene.add("a", payload="x" * 20_000)
    scene.clock.advance(days=8)
    assert await scene.sweep() == 1
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, len(job.payload)) == ("pending", 20_000)
    await scene.assert_balanced()


class TestTrim:
    """The events stream ends where its slowest required group has read."""

    @pytest.fixture
    async def history(self, make_scene: MakeScene) -> Scene:
        scene = await make_scene(event_groups=("one", "two"))
        await scene.add(*[f"{number}" for number in range(10)], record=True)
        return scene

    async def length(self, scene: Scene) -> int:
        await scene.sweep()
        return int(await scene.client.xlen(scene.keys.events))

    async def test_nothing_goes_that_nobody_read(self, history: Scene) -> None:
        assert await self.length(history) == 10

    async def test_the_slowest_group_counts(self, history: Scene) -> None:
        await read_history(history, "one")
        assert await self.length(history) == 10
        await history.client.xreadgroup("two", "c", {history.keys.events: ">"}, count=4)
        assert await self.length(history) == 10, "delivered is not acknowledged"
        entries = [entry for entry, _ in await history.client.xrange(history.keys.events, count=4)]
        await history.client.xack(history.keys.events, "two", entries[0], entries[2])
        assert await self.length(history) == 9, "the second is still pending"
        await history.client.xack(history.keys.events, "two", entries[1], entries[3])
        assert await self.length(history) == 6
        await read_history(history, "two")
        assert await self.length(history) == 0

    async def test_a_group_of_somebody_else_holds_nothing_back(self, history: Scene) -> None:
        await history.client.xgroup_create(history.keys.events, "viewer", "0")
        await read_history(history, "one")
        await read_history(history, "two")
        assert await self.length(history) == 0

    async def test_a_missing_group_is_made_at_the_beginning(self, history: Scene) -> None:
        await read_history(history, "one")
        await read_history(history, "two")
        await history.client.xgroup_destroy(history.keys.events, "two")
        assert await self.length(history) == 10
        assert await read_history(history, "two") == 10
        assert await self.length(history) == 0

    async def test_without_groups_the_newest_are_kept(self, make_scene: MakeScene) -> None:
        scene = await make_scene(max_events=1000)
        await scene.client.eval(
            "for n = 1, 1200 do redis.call('XADD', KEYS[1], '*', 'event', n) end", 1, scene.keys.events
        )
        assert await self.length(scene) == 1000


class TestRetire:
    """Workers and consumers that are no more."""

    async def retire(self, scene: Scene, silent_ms: int) -> int:
        answer: Any = await scene.engine.call("retire", {"group": "debate-workers", "silent_ms": silent_ms})
        return int(answer)

    async def consumers(self, scene: Scene) -> set[str]:
        return {
            info["name"] for info in await scene.client.xinfo_consumers(scene.keys.stream, "debate-workers")
        }

    async def test_silent_workers_are_forgotten(self, scene: Scene) -> None:
        await scene.beat(worker_id="silent")
        scene.clock.advance(seconds=600)
        await scene.beat(worker_id="alive")
        await scene.sweep()
        assert set(await scene.client.hgetall(scene.keys.workers)) == {"silent", "alive"}
        scene.clock.advance(seconds=0.001)
        await scene.beat(worker_id="alive")
        await scene.sweep()
        assert set(await scene.client.hgetall(scene.keys.workers)) == {"alive"}

    async def test_a_consumer_that_holds_something_is_never_deleted(self, scene: Scene) -> None:
        await scene.add("a", "b", "c")
        first = (await scene.claim(1, "holds:1")).jobs
        second = (await scene.claim(1, "idle:1")).jobs
        await scene.claim(1, "alive:1")
        await scene.settle(second[0])
        await scene.beat(worker_id="alive")
        # Idleness is measured by the server's own clock, which tests cannot move: any silence will do.
        while await scene.client.xinfo_consumers(scene.keys.stream, "debate-workers"):
            if await self.retire(scene, 0):
                break
        assert await self.consumers(scene) == {"holds:1", "alive:1"}
        assert await scene.settle(first[0]) == "ok"

    async def test_readers_of_events_that_hold_nothing_go_too(self, scene: Scene) -> None:
        events = scene.keys.events
        await scene.client.xadd(events, {"event": "one"})
        await scene.client.xgroup_create(events, "history", id="0")
        await scene.client.xreadgroup("history", "holds", {events: ">"})
        await scene.client.xgroup_createconsumer(events, "history", "idle")
        once = {"group": "debate-workers", "silent_ms": 0}
        while int(await scene.engine.call("retire", once, [("history",)])) == 0:
            assert len(await scene.client.xinfo_consumers(events, "history")) == 2
        assert [info["name"] for info in await scene.client.xinfo_consumers(events, "history")] == ["holds"]

    async def test_the_entry_of_a_dead_consumer_can_still_be_claimed(self, scene: Scene) -> None:
        await scene.add("a")
        await scene.take_one("a", consumer="dead:1")
        await self.retire(scene, 0)
        await scene.die()
        assert [job.id for job in (await scene.claim(1, "heir:1")).jobs] == ["a"]

    async def test_a_queue_without_streams_is_no_matter(self, scene: Scene) -> None:
        assert await self.retire(scene, 0) == 0
