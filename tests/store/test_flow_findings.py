"""What the state machine found in the scripts of flow control, each in as few calls as it takes."""

import pytest

from penstock import DeadLetterError
from tests.store.damages import damage
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


def in_seconds(scene: Scene, seconds: float) -> float:
    """A time by the scene's clock, in seconds since the epoch."""
    return (scene.clock.script_time_ms() or 0) / 1000 + seconds


@pytest.mark.parametrize("kind", ["suspend", "defer", "release"])
async def test_a_job_that_started_in_time_does_not_expire(scene: Scene, kind: str) -> None:
    await scene.add("a", expires_at=in_seconds(scene, 10))
    await scene.settle(await scene.take_one("a"), kind, "later", 20_000)  # type: ignore[arg-type]
    scene.clock.advance(seconds=20)
    await scene.engine.promote()
    await scene.take_one("a")


async def test_a_group_made_again_leaves_no_keyed_job_behind(scene: Scene) -> None:
    await scene.add("a", "b", "c", concurrency_key="k", concurrency_limit=3)
    await scene.claim(2)
    await scene.client.xgroup_destroy(scene.keys.stream_keyed, scene.queue.group_name)
    # The two that run are read again first.
    await scene.take_one("c")


async def test_a_suspect_is_found_behind_one_that_runs(scene: Scene) -> None:
    await scene.add("a", "b", max_attempts=5)
    for consumer in ("x:1", "y:1"):
        await scene.claim(consumer=consumer)
        await scene.die()
    assert (await scene.claim(seats=0)).jobs == []
    assert [job.id for job in (await scene.claim()).jobs] == ["a"]
    await scene.client.xgroup_destroy(scene.keys.stream_suspects, scene.queue.group_name)
    await scene.take_one("b", consumer="z:1")


async def test_a_ghost_makes_no_room_beyond_a_lowered_limit(scene: Scene) -> None:
    await scene.add(*(f"a{number}" for number in range(4)), concurrency_key="a")
    await scene.claim(3)
    await scene.client.sadd(scene.keys.holders + "a", "ghost")
    await scene.limits.set("a", concurrency=2)
    assert (await scene.claim()).jobs == []
    assert (await scene.limits.state("a")).running == 3


async def test_a_suspect_admitted_from_its_line_wakes_a_worker(scene: Scene) -> None:
    await scene.add("a", concurrency_key="a", max_attempts=5)
    for consumer in ("x:1", "y:1"):
        await scene.claim(consumer=consumer)
        await scene.die()
    (suspect,) = (await scene.claim()).jobs
    await scene.settle(suspect, "retry", "no", 1000)
    scene.clock.advance(seconds=1)
    await scene.engine.promote()
    # The first claim moves it from its line to the suspects; somebody must come for it there.
    assert (await scene.claim()).jobs == []
    assert await scene.engine.wait_for_bell(0.01)
    await scene.take_one("a")


async def test_a_parent_put_back_before_its_children_were_told_has_not_failed(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    await scene.settle(await scene.take_one("parent"), "fail", "no")
    await scene.queue.dead_letters.requeue("parent")
    await scene.engine.promote()
    assert await scene.status("child") == "waiting"
    await scene.settle(await scene.take_one("parent"))
    await scene.engine.promote()
    await scene.take_one("child")


async def test_a_parent_is_kept_until_its_children_have_heard_of_it(scene: Scene) -> None:
    await scene.add("parent", result_ttl_seconds=0)
    await scene.add("child", parents=["parent"])
    await scene.settle(await scene.take_one("parent"), "complete", b"7")
    await scene.sweep()
    await scene.engine.promote()
    await scene.take_one("child")
    assert await scene.engine.load_inputs("child") == {"parent": ("completed", b"7")}
    scene.clock.advance(seconds=30)
    await scene.sweep()
    assert await scene.status("parent") is None


async def test_a_parent_that_ends_in_a_claim_tells_its_children_soon(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    await scene.take_one("parent")
    await scene.engine.cancel(["parent"])
    await scene.die()
    claim = await scene.claim(consumer="x:1")
    assert await scene.status("parent") == "cancelled"
    assert claim.due_in_ms == 0


async def test_a_damaged_child_is_set_aside_when_its_parent_tells_it(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    await scene.add("grandchild", parents=["child"])
    await damage(scene, "child", "attempt is no number")
    await scene.settle(await scene.take_one("parent"))
    await scene.engine.promote()
    assert await scene.status("child") == "failed"
    await scene.engine.promote()
    assert await scene.status("grandchild") == "cancelled"
    await scene.assert_balanced()


@pytest.mark.parametrize("how", ["attempt is no number", "a string"])
async def test_nothing_is_left_of_a_damaged_job_with_everything(scene: Scene, how: str) -> None:
    await scene.add("parent", "other")
    await scene.add(
        "a", parents=["parent", "other"], on_parent_failure="run", concurrency_key="k",
        expires_at=in_seconds(scene, 60),
    )  # fmt: skip
    await scene.add("child", parents=["a"])
    await scene.engine.signal("a", "go", b"1")
    await scene.engine.watch(["a"])
    await scene.settle(await scene.take_one("parent"))
    await scene.engine.promote()
    await damage(scene, "a", how)
    await scene.settle(await scene.take_one("other"))
    for _ in range(3):
        await scene.engine.promote()
    assert await scene.status("child") == "cancelled"
    for _ in range(2):
        scene.clock.advance(days=8)
        await scene.sweep()
    await scene.assert_balanced()
    left = {str(key).removeprefix("penstock:{q}:").partition(":")[0] for key in await scene.client.keys("*")}
    assert not left & {"job", "parents", "children", "inputs", "signals", "live", "timers", "line", "turns"}


async def test_a_job_whose_parents_were_lost_waits_no_more(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    await scene.client.delete(scene.keys.parents + "child")
    await scene.client.zrem(scene.keys.index + "waiting", "child")
    await scene.sweep()
    assert await scene.status("child") == "pending"
    await scene.assert_balanced()
    assert await scene.counts() == {"pending": 2}


async def test_pauses_that_are_over_are_forgotten(scene: Scene) -> None:
    await scene.limits.pause("llm", seconds=1)
    scene.clock.advance(seconds=1)
    await scene.sweep()
    assert not await scene.client.exists(scene.keys.pauses)


async def test_keys_take_turns_from_one_window_of_a_rate_to_the_next(scene: Scene) -> None:
    await scene.limits.set("llm", jobs=1, per_seconds=60)
    for tenant in "abc":
        await scene.add(*(f"{tenant}{number}" for number in range(3)), concurrency_key=tenant, rate_key="llm")
    started = []
    for _ in range(9):
        started += [job.id for job in (await scene.claim()).jobs]
        scene.clock.advance(seconds=60)
        await scene.engine.promote()
    assert started == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]
    assert await scene.client.keys("penstock:{q}:asleep:*") == []


async def test_a_rate_key_that_is_resumed_is_heard_of_by_every_tenant(scene: Scene) -> None:
    await scene.limits.pause("llm", seconds=3600)
    await scene.add("a", concurrency_key="x", rate_key="llm")
    await scene.add("b", concurrency_key="y", rate_key="llm")
    assert (await scene.claim()).jobs == []
    await scene.limits.resume("llm")
    assert [job.id for job in (await scene.claim()).jobs] == ["a", "b"]
    assert not await scene.client.exists(scene.keys.timers)


async def test_units_that_come_back_let_the_next_start_at_once(scene: Scene) -> None:
    await scene.limits.set("llm", units=1000, per_seconds=60)
    await scene.add("a", concurrency_key="x", rate_key="llm", rate_units=800)
    await scene.add("b", concurrency_key="y", rate_key="llm", rate_units=800)
    running = await scene.take_one("a")
    assert (await scene.claim()).jobs == []
    await scene.engine.report_usage([("a", running.lease, "default", "units", 100)])
    await scene.settle(running)
    await scene.take_one("b")


async def test_small_jobs_do_not_keep_a_large_one_from_its_units(scene: Scene) -> None:
    await scene.limits.set("llm", units=1000, per_seconds=60)
    await scene.add("large", concurrency_key="z", rate_key="llm", rate_units=900, delay_seconds=1)
    started: list[str] = []
    for number in range(8):
        await scene.add(f"small{number}", concurrency_key="a", rate_key="llm", rate_units=400)
        started += [job.id for job in (await scene.claim()).jobs]
        scene.clock.advance(seconds=30)
        await scene.engine.promote()
    assert "large" in started
    assert "small7" not in started


async def test_a_sleeper_without_a_line_does_not_hold_up_the_next(scene: Scene) -> None:
    await scene.limits.set("llm", jobs=1, per_seconds=60)
    await scene.add("first", concurrency_key="x", rate_key="llm")
    await scene.add("a", concurrency_key="a", rate_key="llm")
    await scene.add("b", concurrency_key="b", rate_key="llm")
    await scene.take_one("first")
    assert (await scene.claim()).jobs == []
    await scene.engine.cancel(["a"])
    scene.clock.advance(seconds=60)
    await scene.engine.promote()
    await scene.take_one("b")


async def test_a_dead_letter_is_kept_until_its_children_have_heard_of_it(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    await scene.settle(await scene.take_one("parent"), "fail", "no")
    with pytest.raises(DeadLetterError, match="have not heard of its failure yet"):
        await scene.queue.dead_letters.discard("parent")
    await scene.engine.promote()
    await scene.queue.dead_letters.discard("parent")
    assert await scene.status("parent") is None
