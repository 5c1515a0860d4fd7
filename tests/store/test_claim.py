"""Claiming: order, lanes and their credits, repeats, leftovers, and what becomes of dead workers' jobs."""

import pytest

from penstock import Job
from tests.store.damages import DAMAGES, damage
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def crash(scene: Scene, job_id: str, times: int) -> None:
    """Let the worker of this job, the only one there is, die that often."""
    for _ in range(times):
        claim = await scene.claim()
        assert [job.id for job in claim.jobs] == [job_id]
        await scene.die()


async def test_a_claim_hands_over_what_the_worker_needs(scene: Scene) -> None:
    await scene.add("a", payload={"n": 1})
    claimed = await scene.take_one("a", consumer="w:boot")
    assert (claimed.id, claimed.attempt, claimed.crashes, claimed.steps) == ("a", 1, 0, 0)
    assert claimed.lease == "1:request1"
    assert b'"n":1' in claimed.spec
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, job.attempts, job.worker_id) == ("processing", 1, "w")
    assert job.started_at == scene.clock.now_ms / 1000
    assert await scene.client.zscore(scene.keys.leases, "a") == scene.clock.now_ms + 15_000
    await scene.assert_balanced()


async def test_first_in_first_out(scene: Scene) -> None:
    ids = [f"{number}" for number in range(10)]
    await scene.add(*ids)
    taken = [(await scene.claim(1, f"w{number % 3}:1")).jobs[0].id for number in range(4)]
    taken += [job.id for job in (await scene.claim(10)).jobs]
    assert taken == ids


@pytest.mark.parametrize("count", [1, 4, 10, 64])
async def test_lanes_share_by_their_weights(scene: Scene, count: int) -> None:
    for lane, priority in (("high", 1), ("normal", 0), ("low", -1)):
        await scene.add(*[f"{lane}-{number}" for number in range(64)], priority=priority)
    taken: list[str] = []
    while len(taken) < 64:
        taken += [job.id for job in (await scene.claim(count)).jobs]
    # A batch lists its jobs lane by lane, so whole batches are compared.
    shares = [
        sum(job.startswith(lane) for job in taken[: 64 if count == 64 else 60])
        for lane in ("high", "normal", "low")
    ]
    assert all(abs(share - due) <= 4 for share, due in zip(shares, (36, 18, 6), strict=True)), shares
    for lane in ("high", "normal", "low"):
        own = [job for job in taken if job.startswith(lane)]
        assert own == [f"{lane}-{number}" for number in range(len(own))]


@pytest.mark.parametrize("full", ["high", "normal", "low", "high low", "normal low"])
async def test_empty_lanes_hold_nobody_up(scene: Scene, full: str) -> None:
    priorities = {"high": 1, "normal": 0, "low": -1}
    lanes = full.split()
    for lane in lanes:
        await scene.add(*[f"{lane}-{number}" for number in range(20)], priority=priorities[lane])
    await scene.add("fills-the-high-lane", priority=1)
    taken = [job.id for _ in range(20 * len(lanes) + 1) for job in (await scene.claim(1)).jobs]
    assert len(taken) == 20 * len(lanes) + 1
    # The lowest lane is served before a higher one is empty.
    if len(lanes) == 2:
        assert any(job.startswith("low") for job in taken[:11])
    assert (await scene.claim(1)).jobs == []
    await scene.assert_balanced()


async def test_a_batch_is_filled_across_lanes(scene: Scene) -> None:
    await scene.add(*[f"high-{number}" for number in range(30)], priority=1)
    await scene.add(*[f"low-{number}" for number in range(40)], priority=-1)
    assert len((await scene.claim(64)).jobs) == 64
    assert len((await scene.claim(64)).jobs) == 6


async def test_a_lapsed_lease_comes_before_everything(scene: Scene) -> None:
    await scene.add("old")
    old = await scene.take_one("old", consumer="dead:1")
    await scene.add("urgent", priority=9)
    await scene.add("new")
    await scene.die()
    claim = await scene.claim(1, "alive:1")
    assert [job.id for job in claim.jobs] == ["old"]
    assert (claim.jobs[0].attempt, claim.jobs[0].crashes) == (2, 1)
    assert claim.jobs[0].lease.startswith("2:")
    assert claim.jobs[0].lease != old.lease
    pending = await scene.client.xpending_range(scene.keys.stream, "debate-workers", "-", "+", 10)
    assert [entry["consumer"] for entry in pending] == ["alive:1"]
    await scene.assert_balanced()


async def test_a_released_job_comes_first_and_at_once(scene: Scene) -> None:
    await scene.add("given-back")
    await scene.settle(await scene.take_one("given-back", consumer="old:1"), "release")
    await scene.add("urgent", priority=9)
    await scene.add("new")
    claimed = (await scene.claim(1, "w:1")).jobs[0]
    assert (claimed.id, claimed.attempt, claimed.crashes) == ("given-back", 1, 0)
    pending = await scene.client.xpending_range(scene.keys.stream, "debate-workers", "-", "+", 10)
    assert [entry["consumer"] for entry in pending] == ["w:1"], "operators see who holds it"


async def test_a_lease_is_left_alone_until_its_last_millisecond(scene: Scene) -> None:
    await scene.add("a")
    await scene.take_one("a")
    await scene.pass_time(14.999)
    claim = await scene.claim(1, "other:1")
    assert (claim.jobs, claim.lapse_in_ms) == ([], 1)
    scene.clock.advance(seconds=0.001)
    assert [job.id for job in (await scene.claim(1, "other:1")).jobs] == ["a"]


async def test_the_same_request_returns_the_same_batch(scene: Scene) -> None:
    await scene.add(*"abcde")
    first = await scene.engine.claim("w:1", "same", 3)
    again = await scene.engine.claim("w:1", "same", 3)
    assert [job.id for job in first.jobs] == ["a", "b", "c"]
    assert again.jobs == first.jobs
    assert await scene.counts() == {"processing": 3, "pending": 2}
    await scene.settle(first.jobs[0])
    assert [job.id for job in (await scene.engine.claim("w:1", "same", 3)).jobs] == ["b", "c"]
    other = await scene.engine.claim("w:1", "other", 3)
    assert [job.id for job in other.jobs] == ["d", "e"]
    await scene.assert_balanced()


async def test_a_repeat_returns_nothing_that_others_hold_by_now(scene: Scene) -> None:
    await scene.add("a")
    await scene.engine.claim("w:1", "same", 3)
    await scene.die()
    assert [job.id for job in (await scene.engine.claim("x:1", "theirs", 3)).jobs] == ["a"]
    assert (await scene.engine.claim("w:1", "same", 3)).jobs == []


async def test_messages_without_a_job_are_dropped(scene: Scene) -> None:
    await scene.client.xadd(scene.keys.stream, {"id": "never-was"})
    await scene.client.xadd(scene.keys.stream, {"something": "else"})
    await scene.add("a")
    await scene.client.xadd(scene.keys.stream, {"id": "a"})
    claim = await scene.claim(1)
    assert [job.id for job in claim.jobs] == ["a"]
    assert (await scene.claim(5)).jobs == []
    assert await scene.depth() == 1
    await scene.settle(claim.jobs[0])
    assert await scene.depth() == 0
    summary = await scene.client.xpending(scene.keys.stream, "debate-workers")
    assert summary["pending"] == 0


async def test_a_vanished_group_is_made_again_and_nothing_runs_twice(scene: Scene) -> None:
    await scene.add(*"abc")
    running = await scene.take("a", "b", "c")
    await scene.add("d")
    await scene.add("e", priority=1)
    await scene.client.xgroup_destroy(scene.keys.stream, "debate-workers")
    claim = await scene.claim(10)
    assert {job.id for job in claim.jobs} == {"d", "e"}
    assert {await scene.settle(job) for job in [*running.values(), *claim.jobs]} == {"ok"}
    assert await scene.depth() == 0
    await scene.assert_balanced()


async def test_a_vanished_group_of_a_side_lane_is_made_again(scene: Scene) -> None:
    await scene.add("a", "b", priority=1)
    running = (await scene.claim(1)).jobs
    await scene.client.xgroup_destroy(scene.keys.stream_high, "debate-workers")
    assert [job.id for job in (await scene.claim(10)).jobs] == ["b"]
    assert await scene.settle(running[0]) == "ok"


async def test_crashes_are_charged_and_end_in_the_dead_letters(scene: Scene) -> None:
    await scene.add("a", max_attempts=1)
    await crash(scene, "a", 2)
    assert await scene.field("a", "crashes") == "1"
    claim = await scene.claim()
    assert (claim.jobs[0].attempt, claim.jobs[0].crashes) == (3, 2)
    await scene.die()
    assert (await scene.claim()).jobs == []
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, job.crashes) == ("failed", 3)
    assert job.error == ("WorkerDied: the worker process died 3 times while it ran this job; the limit is 3")
    (letter,) = await scene.letters()
    assert (letter["job"], letter["crashes"], letter["attempts"]) == ("a", "3", "3")
    assert '"max_attempts":1' in letter["snapshot"]
    assert await scene.depth() == 0
    await scene.assert_balanced()


async def test_more_attempts_allow_more_crashes(scene: Scene) -> None:
    await scene.add("a", max_attempts=5)
    await crash(scene, "a", 5)
    assert (await scene.claim()).jobs == []
    assert await scene.field("a", "crashes") == "5"
    assert await scene.status("a") == "failed"


async def test_suspects_wait_for_the_one_seat_and_hold_up_nobody(scene: Scene) -> None:
    suspects = ["s1", "s2", "s3"]
    await scene.add(*suspects)
    await scene.take(*suspects)
    await scene.die()
    await scene.take(*suspects)
    await scene.die()
    await scene.add("innocent")
    claim = await scene.claim()
    assert sum(job.crashes == 2 for job in claim.jobs) == 1
    assert "innocent" in {job.id for job in claim.jobs}
    assert len(claim.jobs) == 2
    waiting = set(suspects) - {job.id for job in claim.jobs}
    assert {await scene.status(job_id) for job_id in waiting} == {"pending"}
    assert await scene.client.xlen(scene.keys.stream_suspects) == 2
    assert (await scene.claim(seats=0)).jobs == []
    other = await scene.claim(consumer="x:1")
    assert len(other.jobs) == 1
    assert other.jobs[0].id in waiting
    await scene.assert_balanced()
    assert {await scene.settle(job) for job in [*claim.jobs, *other.jobs]} == {"ok"}
    last = (await scene.claim()).jobs
    assert len(last) == 1
    await scene.settle(last[0])
    assert await scene.depth() == 0
    await scene.assert_balanced()


async def test_a_suspect_that_is_retried_or_released_stays_a_suspect(scene: Scene) -> None:
    await scene.add("a", max_attempts=9)
    await crash(scene, "a", 2)
    await scene.settle((await scene.claim()).jobs[0], "release")
    assert (await scene.claim(seats=0)).jobs == []
    suspect = (await scene.claim()).jobs[0]
    await scene.settle(suspect, "retry", "again", 0)
    await scene.engine.promote()
    assert (await scene.claim(seats=0)).jobs == []
    assert [job.id for job in (await scene.claim()).jobs] == ["a"]
    await scene.assert_balanced()


class TestAmnesty:
    """An outage is not a death."""

    @pytest.fixture
    async def lapsed(self, scene: Scene) -> Scene:
        await scene.add("a")
        await scene.beat()
        await scene.take_one("a")
        return scene

    async def claims(self, scene: Scene) -> list[str]:
        return [job.id for job in (await scene.claim(1, "other:1")).jobs]

    async def test_a_silence_of_all_is_forgiven_once(self, lapsed: Scene) -> None:
        lapsed.clock.advance(seconds=60)
        claim = await lapsed.claim(1, "other:1")
        assert (claim.jobs, claim.lapse_in_ms) == ([], 15_000)
        await lapsed.pass_time(14.999)
        assert await self.claims(lapsed) == []
        lapsed.clock.advance(seconds=0.001)
        assert await self.claims(lapsed) == ["a"]

    async def test_a_worker_that_comes_back_in_time_keeps_its_job(self, lapsed: Scene) -> None:
        lapsed.clock.advance(seconds=60)
        assert await self.claims(lapsed) == []
        lease = str(await lapsed.field("a", "lease"))
        beat = await lapsed.engine.renew("w", "w:1", "{}", [("a", lease)])
        assert (beat.superseded, beat.lost) == (False, [])
        await lapsed.pass_time(10)
        assert await self.claims(lapsed) == []

    async def test_the_first_beat_after_the_outage_declares_it_too(self, lapsed: Scene) -> None:
        lapsed.clock.advance(seconds=60)
        await lapsed.beat(worker_id="other")
        assert await self.claims(lapsed) == []
        await lapsed.pass_time(15)
        assert await self.claims(lapsed) == ["a"]

    async def test_a_missing_pulse_is_an_outage(self, lapsed: Scene) -> None:
        await lapsed.pass_time(16)
        await lapsed.client.delete(lapsed.keys.pulse)
        assert await self.claims(lapsed) == []

    async def test_a_pulse_in_the_future_is_an_outage(self, lapsed: Scene) -> None:
        await lapsed.pass_time(16)
        await lapsed.client.set(lapsed.keys.pulse, lapsed.clock.now_ms + 5_001)
        assert await self.claims(lapsed) == []

    async def test_a_clock_put_back_by_less_than_a_beat_is_no_outage(self, lapsed: Scene) -> None:
        """Clocks are corrected by a little all the time; each time would put recovery off by a lease."""
        await lapsed.pass_time(16)
        await lapsed.client.set(lapsed.keys.pulse, lapsed.clock.now_ms + 4_999)
        assert await self.claims(lapsed) == ["a"]

    async def test_a_pulse_two_beats_old_is_none(self, lapsed: Scene) -> None:
        await lapsed.pass_time(16)
        lapsed.clock.advance(seconds=10)
        assert await self.claims(lapsed) == ["a"]

    async def test_released_jobs_and_new_ones_need_no_amnesty(self, lapsed: Scene) -> None:
        await lapsed.add("b", "c")
        claimed = (await lapsed.claim(1)).jobs[0]
        await lapsed.settle(claimed, "release")
        lapsed.clock.advance(seconds=60)
        claim = await lapsed.claim(5, "other:1")
        assert [job.id for job in claim.jobs] == ["b", "c"]

    async def test_an_end_from_a_clock_that_went_back_does_not_last(self, lapsed: Scene) -> None:
        await lapsed.pass_time(16)
        await lapsed.client.set(lapsed.keys.amnesty, lapsed.clock.now_ms + 3_600_000)
        assert await self.claims(lapsed) == ["a"]


async def test_the_answer_says_when_to_look_again(scene: Scene) -> None:
    nothing = await scene.claim()
    assert (nothing.lapse_in_ms, nothing.due_in_ms) == (None, None)
    await scene.add("soon", delay_seconds=3)
    await scene.add("later", delay_seconds=9)
    await scene.add("now")
    claim = await scene.claim(2)
    assert (claim.lapse_in_ms, claim.due_in_ms) == (15_000, 3000)
    scene.clock.advance(seconds=4)
    claim = await scene.claim(2)
    assert (claim.lapse_in_ms, claim.due_in_ms) == (11_000, 0)


async def test_the_bell_wakes_as_many_as_there_is_work_for(scene: Scene) -> None:
    await scene.add(*[f"{number}" for number in range(100)])
    assert await scene.client.llen(scene.keys.bell) == 64
    await scene.claim(64)
    assert await scene.client.exists(scene.keys.bell) == 1
    await scene.claim(64)
    assert await scene.client.exists(scene.keys.bell) == 0, "nothing is left, so nobody need wake"
    await scene.add("delayed", delay_seconds=60)
    assert await scene.client.llen(scene.keys.bell) == 1, "someone has to learn when to look"
    await scene.add("later", delay_seconds=90)
    assert await scene.client.llen(scene.keys.bell) == 1


async def test_a_full_claim_passes_the_bell_on(scene: Scene) -> None:
    await scene.add("a", "b")
    await scene.client.delete(scene.keys.bell)
    await scene.claim(1)
    assert await scene.client.llen(scene.keys.bell) == 1


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_job_in_a_batch_is_set_aside_and_the_rest_goes_on(scene: Scene, how: str) -> None:
    await scene.add("a", "broken", "c")
    await damage(scene, "broken", how)
    claim = await scene.claim()
    assert [job.id for job in claim.jobs] == ["a", "c"]
    (letter,) = await scene.letters()
    assert letter["job"] == "broken"
    if how not in {"no spec", "a list", "a string"}:
        assert '\\"payload\\"' in letter["snapshot"], "the raw content is kept"
    if how == "a string":
        assert letter["snapshot"] == "what?"
    job = await scene.queue.get_status("broken")
    assert job is not None
    assert job.status.value == "failed"
    assert job.error is not None
    assert job.error.startswith("damaged: ")
    assert await scene.depth() == 2
    await scene.assert_balanced()


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_job_of_a_dead_worker_is_set_aside(scene: Scene, how: str) -> None:
    await scene.add("a", "broken", "c")
    await scene.take("a", "broken", "c")
    await damage(scene, "broken", how)
    await scene.die()
    assert {job.id for job in (await scene.claim()).jobs} == {"a", "c"}
    assert await scene.status("broken") == "failed"
    assert await scene.client.zscore(scene.keys.leases, "broken") is None


async def test_a_damaged_recorded_job_is_reported_to_history(scene: Scene) -> None:
    await scene.queue.enqueue(Job(id="broken", record=True))
    await damage(scene, "broken", "attempt is no number")
    await scene.claim()
    assert await scene.events() == [("enqueued", "broken"), ("failed", "broken")]
