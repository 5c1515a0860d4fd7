"""Settling: each outcome, under its lease alone, once, whatever else is in the batch."""

import pytest

from penstock import RetryPolicy
from penstock.core.outcomes import Outcome, OutcomeKind
from tests.store.damages import DAMAGES, damage
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_completed_with_its_result(scene: Scene) -> None:
    await scene.add("a", "b")
    jobs = await scene.take("a", "b")
    scene.clock.advance(seconds=3)
    assert await scene.settle(jobs["a"], "complete", b'{"n":1}') == "ok"
    assert await scene.settle(jobs["b"]) == "ok"
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, job.result, job.progress) == ("completed", {"n": 1}, 100.0)
    assert job.completed_at == scene.clock.now_ms / 1000
    nothing = await scene.queue.get_status("b")
    assert nothing is not None
    assert nothing.result is None
    assert await scene.depth() == 0
    assert await scene.client.zcard(scene.keys.leases) == 0
    summary = await scene.client.xpending(scene.keys.stream, "debate-workers")
    assert summary["pending"] == 0
    await scene.assert_balanced()


async def test_a_large_result_lies_apart_and_comes_back(scene: Scene) -> None:
    await scene.add("a")
    body = b'"' + b"x" * 16_384 + b'"'
    assert await scene.settle(await scene.take_one("a"), "complete", body) == "ok"
    assert await scene.client.strlen(scene.keys.result + "a") == len(body)
    assert await scene.field("a", "result") is None
    job = await scene.queue.get_status("a")
    assert job is not None
    assert job.result == "x" * 16_384


async def test_failed_with_a_dead_letter(scene: Scene) -> None:
    await scene.add("a", payload={"n": 1})
    assert await scene.settle(await scene.take_one("a"), "fail", "ValueError: no", 0, "Traceback …") == "ok"
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, job.error, job.attempts) == ("failed", "ValueError: no", 1)
    (letter,) = await scene.letters()
    assert letter["job"] == "a"
    assert (letter["error"], letter["traceback"], letter["attempts"]) == (
        "ValueError: no",
        "Traceback …",
        "1",
    )
    assert '"n":1' in letter["snapshot"]
    assert letter["at"] == str(scene.clock.now_ms)
    await scene.assert_balanced()


async def test_retried_after_its_delay(scene: Scene) -> None:
    await scene.add("a", priority=1)
    claimed = await scene.take_one("a")
    assert await scene.settle(claimed, "retry", "ConnectionError: gone", 2500) == "ok"
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status.value, job.error, job.attempts) == ("retrying", "ConnectionError: gone", 1)
    assert await scene.depth() == 0
    assert (await scene.claim()).due_in_ms == 2500
    scene.clock.advance(seconds=2.5)
    assert (await scene.engine.promote())[:2] == (1, None)
    assert await scene.client.xlen(scene.keys.stream_high) == 1
    again = await scene.take_one("a")
    assert (again.attempt, again.crashes) == (2, 0)
    assert again.lease.split(":")[0] == "2"
    await scene.assert_balanced()


async def test_deferred_spends_no_attempt(scene: Scene) -> None:
    await scene.add("a", max_attempts=1)
    first = await scene.take_one("a")
    assert await scene.settle(first, "defer", "no handler here", 1000) == "ok"
    scene.clock.advance(seconds=1)
    await scene.engine.promote()
    again = await scene.take_one("a")
    assert again.attempt == 1
    assert again.lease.split(":")[0] == "2"
    assert await scene.settle(first) == "lost"


async def test_cancelled(scene: Scene) -> None:
    await scene.add("a", record=True)
    assert await scene.settle(await scene.take_one("a"), "cancel") == "ok"
    assert await scene.status("a") == "cancelled"
    assert (await scene.events())[-1] == ("cancelled", "a")
    assert await scene.letters() == []
    await scene.assert_balanced()


async def test_let_go_is_a_crash_at_the_next_claim(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    assert await scene.settle(claimed, "lapse") == "ok"
    assert await scene.status("a") == "processing"
    await scene.assert_balanced()
    again = await scene.take_one("a", consumer="x:1")
    assert (again.attempt, again.crashes) == (2, 1)
    assert await scene.settle(claimed) == "lost"


async def test_an_outcome_is_settled_once(scene: Scene) -> None:
    kinds: list[OutcomeKind] = ["complete", "fail", "cancel", "retry", "defer"]
    await scene.add(*kinds)
    jobs = await scene.take(*kinds)
    outcomes = [Outcome(kind, jobs[kind].lease, kind, "", 1000) for kind in kinds]
    assert await scene.engine.settle(outcomes) == ["ok"] * 5
    counts = await scene.counts()
    assert await scene.engine.settle(outcomes) == ["already"] * 5
    swapped = [outcome._replace(kind="fail", body="late") for outcome in outcomes]
    assert await scene.engine.settle(swapped) == ["already"] * 5
    assert await scene.counts() == counts
    assert len(await scene.letters()) == 1
    scene.clock.advance(seconds=1)
    await scene.engine.promote()
    assert await scene.engine.settle(outcomes[3:]) == ["already"] * 2
    await scene.assert_balanced()


async def test_the_same_outcome_twice_in_one_batch(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    outcome = Outcome("a", claimed.lease, "complete", b"1")
    assert await scene.engine.settle([outcome, outcome]) == ["ok", "already"]
    await scene.assert_balanced()


async def test_a_zombies_late_outcome_is_refused(scene: Scene) -> None:
    await scene.add("a")
    zombie = await scene.take_one("a", consumer="zombie:1")
    await scene.die()
    heir = await scene.take_one("a", consumer="heir:1")
    for kind in ("complete", "fail", "retry", "cancel", "release", "defer", "lapse"):
        assert await scene.settle(zombie, kind, "late") == "lost"
    assert await scene.status("a") == "processing"
    assert await scene.settle(heir, "complete", b'"heir"') == "ok"
    assert await scene.settle(zombie, "fail", "late") == "lost"
    job = await scene.queue.get_status("a")
    assert job is not None
    assert job.result == "heir"


async def test_the_old_lease_is_refused_after_flushall_and_the_same_id(scene: Scene) -> None:
    await scene.add("a")
    old = await scene.take_one("a")
    await scene.client.flushall()
    assert await scene.settle(old) == "gone"
    assert await scene.client.exists(scene.keys.job + "a") == 0
    await scene.add("a")
    assert await scene.settle(old) == "lost"
    new = await scene.take_one("a")
    assert (old.attempt, new.attempt) == (1, 1)
    assert await scene.settle(old, "fail", "late") == "lost"
    assert await scene.engine.store_steps([("a", old.lease, "one", b"1")]) == ["lost"]
    assert await scene.engine.note_progress([("a", old.lease, 50.0, "")]) == ["lost"]
    assert (await scene.engine.renew("w", "w:1", "{}", [("a", old.lease)])).lost == ["a"]
    assert await scene.settle(new) == "ok"
    await scene.assert_balanced()


async def test_an_unknown_outcome_changes_nothing(scene: Scene) -> None:
    await scene.add("a", "b")
    jobs = await scene.take("a", "b")
    outcomes = [
        Outcome("a", jobs["a"].lease, "explode"),  # type: ignore[arg-type]
        Outcome("b", jobs["b"].lease, "complete"),
    ]
    assert await scene.engine.settle(outcomes) == ["unknown", "ok"]
    assert await scene.status("a") == "processing"


@pytest.mark.parametrize("how", [how for how in DAMAGES if how != "no spec"])
async def test_a_damaged_job_in_a_batch_is_set_aside_and_the_rest_is_settled(scene: Scene, how: str) -> None:
    ids = ["a", "broken", "c"]
    await scene.add(*ids)
    jobs = await scene.take(*ids)
    await damage(scene, "broken", how)
    outcomes = [Outcome(job_id, jobs[job_id].lease, "complete", b"1") for job_id in ids]
    assert await scene.engine.settle(outcomes) == ["ok", "corrupt", "ok"]
    assert [letter["job"] for letter in await scene.letters()] == ["broken"]
    job = await scene.queue.get_status("broken")
    assert job is not None
    assert (job.status.value, (job.error or "")[:8]) == ("failed", "damaged:")
    assert await scene.counts() == {"completed": 2, "failed": 1}
    if not how.startswith("a "):
        assert await scene.depth() == 0
    assert await scene.settle(jobs["broken"]) in {"lost", "already"}
    await scene.sweep()
    await scene.assert_balanced()
    assert await scene.depth() == 0


async def test_a_job_that_lost_its_spec_can_still_complete(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    await damage(scene, "a", "no spec")
    assert await scene.settle(claimed, "complete", b'"result"') == "ok"
    assert await scene.field("a", "result") == '"result"'
    await scene.assert_balanced()


async def test_what_has_ended_is_never_set_aside(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    await scene.settle(claimed, "complete", b'"result"')
    await scene.client.hset(scene.keys.job + "a", "crashes", "many")
    assert await scene.settle(claimed, "fail", "late") == "already"
    assert await scene.field("a", "result") == '"result"'
    assert await scene.letters() == []


async def test_a_missing_group_does_not_stop_a_settle(scene: Scene) -> None:
    await scene.add("a")
    claimed = await scene.take_one("a")
    await scene.client.xgroup_destroy(scene.keys.stream, "debate-workers")
    assert await scene.settle(claimed) == "ok"
    assert await scene.depth() == 0


class TestRelease:
    """A job given back by a worker that stops."""

    async def test_no_attempt_is_spent(self, scene: Scene) -> None:
        await scene.add("a", max_attempts=1, record=True)
        first = await scene.take_one("a")
        assert await scene.settle(first, "release") == "ok"
        job = await scene.queue.get_status("a")
        assert job is not None
        assert (job.status.value, job.attempts) == ("pending", 0)
        again = await scene.take_one("a")
        assert again.attempt == 1
        assert again.lease != first.lease
        assert await scene.settle(first) == "lost"
        assert ("released", "a") in await scene.events()
        assert await scene.settle(again) == "ok"
        await scene.assert_balanced()

    async def test_twenty_are_free_and_then_each_costs_an_attempt(self, scene: Scene) -> None:
        await scene.add("a", max_attempts=3)
        attempts = []
        for _ in range(23):
            claimed = await scene.take_one("a")
            attempts.append(claimed.attempt)
            await scene.settle(claimed, "release")
        assert attempts == [1] * 21 + [2, 3]
        job = await scene.queue.get_status("a")
        assert job is not None
        assert job.status.value == "failed"
        assert job.error == (
            "ReleasedTooOften: released 21 times without finishing a step, and its attempts are spent"
        )
        assert len(await scene.letters()) == 1
        await scene.assert_balanced()

    async def test_a_finished_step_makes_releases_free_again(self, scene: Scene) -> None:
        await scene.add("a", max_attempts=1)
        for step in range(3):
            for _ in range(15):
                await scene.settle(await scene.take_one("a"), "release")
            claimed = await scene.take_one("a")
            await scene.engine.store_steps([("a", claimed.lease, f"{step}", b"1")])
            assert claimed.attempt == 1
            await scene.settle(claimed, "release")
        assert await scene.status("a") == "pending"

    async def test_it_wakes_the_others(self, scene: Scene) -> None:
        await scene.add("a", "b")
        jobs = (await scene.take("a", "b")).values()
        await scene.client.delete(scene.keys.bell)
        assert await scene.settle_all(jobs, "release") == {"ok"}
        assert await scene.client.llen(scene.keys.bell) == 2


class TestCancelAsked:
    """A running job whose cancellation was asked for."""

    @pytest.mark.parametrize("kind", ["retry", "release", "defer", "cancel"])
    async def test_does_not_come_back(self, scene: Scene, kind: OutcomeKind) -> None:
        await scene.add("a")
        claimed = await scene.take_one("a")
        assert await scene.engine.cancel(["a"]) == ["cancelling"]
        assert await scene.status("a") == "processing"
        assert await scene.settle(claimed, kind) == "ok"
        assert await scene.status("a") == "cancelled"
        assert (await scene.claim()).jobs == []
        assert await scene.depth() == 0
        await scene.assert_balanced()

    async def test_may_still_complete_or_fail(self, scene: Scene) -> None:
        await scene.add("a", "b")
        jobs = await scene.take("a", "b")
        await scene.engine.cancel(["a", "b"])
        await scene.settle(jobs["a"], "complete", b"1")
        await scene.settle(jobs["b"], "fail", "no")
        assert [await scene.status(job_id) for job_id in "ab"] == ["completed", "failed"]

    async def test_is_cancelled_when_its_worker_dies(self, scene: Scene) -> None:
        await scene.add("a")
        await scene.take_one("a")
        await scene.engine.cancel(["a"])
        await scene.die()
        assert (await scene.claim()).jobs == []
        assert await scene.status("a") == "cancelled"
        await scene.assert_balanced()


async def test_the_single_verb_waits_as_the_policy_says(scene: Scene) -> None:
    await scene.add("a")
    assert await scene.queue.dequeue("w", 0)
    assert await scene.queue.fail("a", "no", requeue=True)
    due = (await scene.claim()).due_in_ms
    assert due is not None
    assert 800 <= due <= 1200
    assert RetryPolicy(jitter=False).delay_seconds(0) == 1.0
