"""What a running job writes, each under its lease: beats, progress, steps; and cancelling in every state."""

import pytest

from penstock import LeaseTimings, ManualClock
from penstock.store.beats import describe_beat_line, open_beat_line
from penstock.store.engine import MOST_STEPS
from tests.conftest import MakeQueue
from tests.store.scene import MoveWatch, Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_a_beat_renews_exactly_the_leases_held(scene: Scene) -> None:
    await scene.add("a", "b")
    jobs = await scene.take("a", "b")
    scene.clock.advance(seconds=5)
    beat = await scene.engine.renew("w", "w:1", '{"host":"h"}', [("a", jobs["a"].lease)])
    assert beat == (False, [], [])
    leases = dict(await scene.client.zrange(scene.keys.leases, 0, -1, withscores=True))
    start = scene.clock.now_ms - 5000
    assert leases == {"a": start + 20_000, "b": start + 15_000}
    assert await scene.client.get(scene.keys.pulse) == str(scene.clock.now_ms)
    assert await scene.client.hgetall(scene.keys.workers) == {"w": f'w:1 {scene.clock.now_ms} {{"host":"h"}}'}


async def test_a_beat_tells_what_was_lost_and_what_is_to_stop(scene: Scene) -> None:
    ids = ["fine", "settled", "lost", "cancelled", "damaged"]
    await scene.add(*ids)
    jobs = await scene.take(*ids)
    await scene.settle(jobs["settled"])
    await scene.client.hset(scene.keys.job + "lost", "lease", "9:somebody")
    await scene.engine.cancel(["cancelled"])
    await scene.client.set(scene.keys.job + "damaged", "what?")
    leases = [(job_id, jobs[job_id].lease) for job_id in ids]
    beat = await scene.engine.renew("w", "w:1", "{}", [*leases, ("never", "1:x")])
    assert beat.lost == ["settled", "lost", "damaged", "never"]
    assert beat.cancelled == ["cancelled"]
    assert await scene.client.exists(scene.keys.job + "never") == 0


async def test_a_released_jobs_old_lease_cannot_be_renewed(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    await scene.settle(claimed, "release")
    assert (await scene.engine.renew("w", "w:1", "{}", [("a", claimed.lease)])).lost == ["a"]
    assert await scene.client.zscore(scene.keys.leases, "a") == 0


async def test_a_newer_process_under_the_same_id_wins(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    renew = scene.engine.renew
    assert not (await renew("w", "w:old", "{}", [], starting=True)).superseded
    assert not (await renew("w", "w:old", "{}", [])).superseded
    assert not (await renew("w", "w:new", "{}", [], starting=True)).superseded
    scene.clock.advance(seconds=5)
    before = await scene.client.zscore(scene.keys.leases, "a")
    beat = await renew("w", "w:old", "{}", [("a", claimed.lease)])
    assert beat.superseded
    assert await scene.client.zscore(scene.keys.leases, "a") == before
    assert not (await renew("w", "w:new", "{}", [])).superseded
    assert not (await renew("other", "other:1", "{}", [])).superseded


async def test_the_beat_line_renews_more_than_one_batch_and_lets_go(make_queue: MakeQueue) -> None:
    timings = LeaseTimings()
    queue = await make_queue("q", timings=timings)
    scene = Scene(queue, ManualClock(), queue.client, MoveWatch())
    ids = [f"{number}" for number in range(150)]
    await scene.add(*ids)
    jobs = [job for number in range(3) for job in (await scene.claim()).jobs]
    assert len(jobs) == 150
    await queue.client.zadd(scene.keys.leases, dict.fromkeys(ids, 5))
    leases = [(job.id, job.lease) for job in jobs]
    await scene.engine.cancel(["149"])
    line = open_beat_line(describe_beat_line(scene.engine, "q", "w", "w:1", "{}"), timings)
    beat = line.beat([*leases, ("gone", "1:x")])
    assert (beat.superseded, beat.lost, beat.cancelled) == (False, ["gone"], ["149"])
    assert await queue.client.zcount(scene.keys.leases, 0, 1e12) == 0
    line.let_go(leases[:1], leases[1:149])
    assert await queue.client.zcount(scene.keys.leases, 0, 1) == 149
    counts = await queue.get_queue_stats()
    assert (counts["processing"], counts["pending"]) == (2, 148)
    assert line.beat([]).lost == []
    line._client.close()


async def test_progress_is_kept_under_the_lease_alone(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    notes = [
        ("a", claimed.lease, 12.5, "reading"),
        ("a", "1:other", 99.0, "x"),
        ("b", claimed.lease, 1.0, ""),
    ]
    assert await scene.engine.note_progress(notes) == ["ok", "lost", "lost"]
    assert await scene.engine.note_progress([("a", claimed.lease, 50.0, "")]) == ["ok"]
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.progress, job.current_step) == (50.0, "reading")
    await scene.engine.cancel(["a"])
    assert await scene.engine.note_progress([("a", claimed.lease, 60.0, "")]) == ["cancel"]
    await scene.settle(claimed, "fail", "no")
    assert await scene.engine.note_progress([("a", claimed.lease, 99.0, "")]) == ["lost"]
    failed = await scene.queue.get_status("a")
    assert failed is not None
    assert failed.progress == 60.0, "a failed job keeps how far it came"
    assert await scene.client.exists(scene.keys.job + "b") == 0


class TestSteps:
    """Finished steps."""

    async def test_are_stored_once(self, scene: Scene) -> None:
        await scene.add("a")
        lease = (await scene.take_one("a")).lease
        steps = [("a", lease, "one", b"1"), ("a", lease, "two", b"2"), ("a", lease, "one", b"other")]
        assert await scene.engine.store_steps(steps) == ["ok", "ok", "ok"]
        assert await scene.engine.load_steps("a") == {"one": b"1", "two": b"2"}
        assert await scene.field("a", "steps") == "2"
        assert await scene.field("a", "current_step") == "two"

    async def test_survive_a_crash_and_a_retry(self, scene: Scene) -> None:
        await scene.add("a")
        first = await scene.take_one("a")
        await scene.engine.store_steps([("a", first.lease, "one", b"1")])
        await scene.die()
        second = await scene.take_one("a")
        assert second.steps == 1
        assert await scene.engine.store_steps([("a", first.lease, "late", b"x")]) == ["lost"]
        await scene.settle(second, "retry", "again", 0)
        await scene.engine.promote()
        assert (await scene.take_one("a")).steps == 1
        assert await scene.engine.load_steps("a") == {"one": b"1"}

    async def test_have_a_limit_that_a_repeat_does_not_meet(self, scene: Scene) -> None:
        await scene.add("a")
        lease = (await scene.take_one("a")).lease
        await scene.engine.store_steps([("a", lease, "last", b"1")])
        await scene.client.hset(scene.keys.job + "a", "steps", MOST_STEPS)
        again = [("a", lease, "last", b"1"), ("a", lease, "one more", b"1")]
        assert await scene.engine.store_steps(again) == ["ok", "full"]

    async def test_say_when_the_job_is_to_stop_or_their_key_is_damaged(self, scene: Scene) -> None:
        await scene.add("a", "b", "c")
        jobs = await scene.take("a", "b", "c")
        await scene.engine.cancel(["a"])
        await scene.client.set(scene.keys.steps + "b", "what?")
        answers = await scene.engine.store_steps(
            [(job_id, jobs[job_id].lease, "one", b"1") for job_id in "abc"]
        )
        assert answers == ["cancel", "corrupt", "ok"]
        assert await scene.engine.load_steps("a") == {"one": b"1"}


class TestCancel:
    """Cancelling in every state."""

    async def test_what_is_not_running_at_once(self, scene: Scene) -> None:
        await scene.add("retrying")
        await scene.settle(await scene.take_one("retrying"), "retry", "x", 60_000)
        await scene.add("released", record=True)
        await scene.settle(await scene.take_one("released"), "release")
        await scene.add("pending", "urgent", priority=1)
        await scene.add("scheduled", delay_seconds=60)
        ids = ["retrying", "released", "pending", "urgent", "scheduled"]
        assert await scene.engine.cancel(ids) == ["cancelled"] * 5
        assert await scene.counts() == {"cancelled": 5}
        assert await scene.engine.cancel(ids) == ["cancelled"] * 5
        assert (await scene.depth(), await scene.client.zcard(scene.keys.scheduled)) == (0, 0)
        assert await scene.client.zcard(scene.keys.leases) == 0
        assert (await scene.claim()).jobs == []
        assert ("cancelled", "released") in await scene.events()
        await scene.assert_balanced()

    async def test_what_has_ended_or_is_unknown_or_damaged(self, scene: Scene) -> None:
        await scene.add("done", "failed", "damaged")
        jobs = await scene.take("done", "failed", "damaged")
        await scene.settle(jobs["done"])
        await scene.settle(jobs["failed"], "fail", "no")
        await scene.client.set(scene.keys.job + "damaged", "what?")
        assert await scene.engine.cancel(["done", "failed", "damaged", "unknown"]) == [
            "ended",
            "ended",
            "corrupt",
            "gone",
        ]
        assert not await scene.queue.cancel("done")
        assert not await scene.queue.cancel("unknown")

    async def test_what_runs_is_flagged_for_good(self, scene: Scene) -> None:
        await scene.add("a")
        claimed = await scene.take_one("a")
        assert await scene.queue.cancel("a")
        beat = await scene.engine.renew("w", "w:1", "{}", [("a", claimed.lease)])
        assert beat.cancelled == ["a"]
        assert await scene.settle(claimed, "release") == "ok"
        assert await scene.status("a") == "cancelled"


class TestReclaim:
    """``claim_stale_jobs``: back in line without being claimed."""

    async def test_puts_back_what_lapsed(self, scene: Scene) -> None:
        await scene.add("a", "b", "renewed", record=True)
        jobs = await scene.take("a", "b", "renewed")
        assert await scene.queue.claim_stale_jobs(10_000) == 0
        await scene.pass_time(15.001, jobs["renewed"])
        assert await scene.queue.claim_stale_jobs(15_000) == 2
        assert await scene.counts() == {"pending": 2, "processing": 1}
        await scene.assert_balanced()
        assert await scene.settle(jobs["a"]) == "lost"
        assert (await scene.engine.renew("w", "w:1", "{}", [("a", jobs["a"].lease)])).lost == ["a"]
        assert await scene.queue.claim_stale_jobs(15_000) == 0
        taken = (await scene.claim()).jobs
        assert [(job.id, job.crashes) for job in taken] == [("a", 1), ("b", 1)]
        assert [event for event, job in await scene.events() if job == "a"][-2:] == ["crashed", "started"]

    async def test_waits_for_the_idle_time_asked_for(self, scene: Scene) -> None:
        await scene.add("a")
        await scene.take_one("a")
        await scene.pass_time(29.999)
        assert await scene.queue.claim_stale_jobs(30_000) == 0
        await scene.pass_time(0.001)
        assert await scene.queue.claim_stale_jobs(30_000) == 1

    async def test_never_takes_a_lease_that_holds(self, scene: Scene) -> None:
        await scene.add("a")
        await scene.take_one("a")
        await scene.pass_time(14.9)
        assert await scene.queue.claim_stale_jobs(0) == 0

    async def test_honours_the_amnesty(self, scene: Scene) -> None:
        await scene.add("a")
        await scene.take_one("a")
        scene.clock.advance(seconds=60)
        assert await scene.queue.claim_stale_jobs(15_000) == 0
        await scene.pass_time(15)
        assert await scene.queue.claim_stale_jobs(15_000) == 1

    async def test_goes_on_behind_many_that_end(self, scene: Scene) -> None:
        await scene.add(*[f"dead-{number}" for number in range(64)], "last")
        await scene.claim()
        await scene.take_one("last")
        await scene.engine.cancel([f"dead-{number}" for number in range(64)])
        await scene.die()
        assert await scene.queue.claim_stale_jobs(15_000) == 1
        assert await scene.counts() == {"cancelled": 64, "pending": 1}

    async def test_seats_suspects_and_ends_the_hopeless(self, scene: Scene) -> None:
        await scene.add("a")
        for _ in range(2):
            await scene.take_one("a")
            await scene.die()
            assert await scene.queue.claim_stale_jobs(15_000) == 1
        assert await scene.client.xlen(scene.keys.stream_suspects) == 1
        assert (await scene.claim(seats=0)).jobs == []
        await scene.take_one("a")
        await scene.die()
        assert await scene.queue.claim_stale_jobs(15_000) == 0
        assert await scene.status("a") == "failed"
        await scene.assert_balanced()


async def test_a_promoted_batch_survives_a_damaged_job(scene: Scene) -> None:
    await scene.add("a", "broken", "c", delay_seconds=5)
    await scene.add("gone", delay_seconds=5)
    await scene.client.hset(scene.keys.job + "broken", "attempt", "many")
    await scene.client.delete(scene.keys.job + "gone")
    scene.clock.advance(seconds=5)
    assert (await scene.engine.promote())[:2] == (2, None)
    assert [letter["job"] for letter in await scene.letters()] == ["broken"]
    assert await scene.status("broken") == "failed"
    assert {job.id for job in (await scene.claim()).jobs} == {"a", "c"}
    assert await scene.client.zcard(scene.keys.scheduled) == 0


async def test_more_jobs_than_a_batch_are_promoted_over_several_calls(scene: Scene) -> None:
    await scene.add(*[f"{number}" for number in range(100)], delay_seconds=5)
    scene.clock.advance(seconds=5)
    assert (await scene.engine.promote())[:2] == (64, 0)
    assert (await scene.engine.promote())[:2] == (36, None)
    assert await scene.depth() == 100


def test_the_clock_of_tests_stands_still() -> None:
    clock = ManualClock(5)
    assert clock.script_time_ms() == 5
    clock.advance(seconds=1.5, days=1)
    assert clock.script_time_ms() == 86_401_505
