"""Keys take turns, within their places: fair between tenants, and nothing is held afterwards."""

import pytest

from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def test_a_lone_job_of_another_key_starts_within_two_turns(scene: Scene) -> None:
    await scene.add(*(f"a{number}" for number in range(1000)), concurrency_key="a")
    await scene.add("b", concurrency_key="b")
    started = []
    for _ in range(2):
        started += [job.id for job in (await scene.claim(1)).jobs]
    assert "b" in started
    assert "a0" in started


async def test_keys_take_turns_in_the_order_they_came(scene: Scene) -> None:
    for number in range(3):
        for key in "abc":
            await scene.add(f"{key}{number}", concurrency_key=key)
    started = [job.id for _ in range(9) for job in (await scene.claim(1)).jobs]
    assert started == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


async def test_five_thousand_keys_leave_room_for_one_more(scene: Scene) -> None:
    for number in range(5000):
        await scene.add(f"k{number}", concurrency_key=f"key{number}")
    await scene.add(*(f"a{number}" for number in range(500)), concurrency_key="a")
    await scene.add("b", concurrency_key="b")
    turns = 0
    while "b" not in {job.id for job in (await scene.claim(64)).jobs}:
        turns += 64
        assert turns <= 5002 + 64
    # A key has one job a turn, however long its line is.
    assert (await scene.limits.state("a")).running == 1


async def test_a_key_runs_no_more_than_its_limit(scene: Scene) -> None:
    await scene.add(*(f"a{number}" for number in range(5)), concurrency_key="a", concurrency_limit=2)
    first = await scene.claim()
    assert [job.id for job in first.jobs] == ["a0", "a1"]
    assert (await scene.claim()).jobs == []
    assert await scene.settle(first.jobs[0]) == "ok"
    (third,) = (await scene.claim()).jobs
    assert third.id == "a2"
    state = await scene.limits.state("a")
    assert (state.running, state.waiting) == (2, 2)
    await scene.settle(first.jobs[1], "retry", "no", 60_000)
    await scene.settle(third, "suspend", "asleep", -1)
    assert [job.id for job in (await scene.claim()).jobs] == ["a3", "a4"]
    await scene.assert_balanced()


async def test_a_limit_set_at_run_time_wins_and_holds_at_once(scene: Scene) -> None:
    await scene.limits.set("a", concurrency=1)
    await scene.add(*(f"a{number}" for number in range(4)), concurrency_key="a", concurrency_limit=3)
    assert [job.id for job in (await scene.claim()).jobs] == ["a0"]
    await scene.limits.set("a", concurrency=2)
    assert [job.id for job in (await scene.claim()).jobs] == ["a1"]
    await scene.limits.remove("a")
    assert [job.id for job in (await scene.claim()).jobs] == ["a2"]


async def test_jobs_without_a_key_get_half_of_a_lane(scene: Scene) -> None:
    await scene.add(*(f"n{number}" for number in range(40)))
    await scene.add(*(f"a{number}" for number in range(40)), concurrency_key="a")
    together = [job.id[0] for job in (await scene.claim(20)).jobs]
    assert together.count("n") == together.count("a") == 10
    one_by_one = [job.id[0] for _ in range(20) for job in (await scene.claim(1)).jobs]
    assert one_by_one.count("n") == one_by_one.count("a") == 10


async def test_lanes_keep_their_weights_among_keys(scene: Scene) -> None:
    for lane, priority in (("h", 1), ("n", 0), ("l", -1)):
        await scene.add(*(f"{lane}{number}" for number in range(100)), concurrency_key="k", priority=priority)
    started = [job.id[0] for _ in range(100) for job in (await scene.claim(1)).jobs]
    assert (started.count("h"), started.count("n"), started.count("l")) == (60, 30, 10)


async def test_a_dead_workers_job_keeps_its_place_until_it_is_taken_over(scene: Scene) -> None:
    await scene.add("a0", "a1", concurrency_key="a", concurrency_limit=1)
    await scene.take_one("a0")
    await scene.die()
    again = await scene.claim(consumer="x:1")
    assert [job.id for job in again.jobs] == ["a0"]
    await scene.settle(again.jobs[0])
    assert [job.id for job in (await scene.claim()).jobs] == ["a1"]


async def test_a_suspect_with_a_key_waits_for_seat_and_place(scene: Scene) -> None:
    await scene.add("a0", "a1", concurrency_key="a", concurrency_limit=1)
    for consumer in ("x:1", "y:1"):
        assert [job.id for job in (await scene.claim(consumer=consumer)).jobs] == ["a0"]
        await scene.die()
    assert (await scene.claim(seats=0)).jobs == []
    (suspect,) = (await scene.claim(seats=1)).jobs
    assert (suspect.id, suspect.crashes) == ("a0", 2)
    await scene.settle(suspect, "retry", "no", 1000)
    assert [job.id for job in (await scene.claim()).jobs] == ["a1"]
    await scene.assert_balanced()


async def test_a_holder_that_is_gone_is_evicted_on_sight(scene: Scene) -> None:
    await scene.add("a0", "a1", concurrency_key="a", concurrency_limit=1)
    await scene.client.sadd(scene.keys.holders + "a", "ghost")
    assert [job.id for job in (await scene.claim()).jobs] == ["a0"]


@pytest.mark.parametrize("state", ["waiting", "scheduled", "retrying", "suspended", "processing"])
async def test_cancel_frees_the_place(scene: Scene, state: str) -> None:
    await scene.add("a0", concurrency_key="a", concurrency_limit=1, delay_seconds=60 * (state == "scheduled"))
    running = None
    if state in ("retrying", "suspended", "processing"):
        running = await scene.take_one("a0")
        if state != "processing":
            await scene.settle(running, "retry" if state == "retrying" else "suspend", "no", 60_000)
            running = None
    await scene.add("a1", concurrency_key="a", concurrency_limit=1)
    (code,) = await scene.engine.cancel(["a0"])
    assert code == ("cancelled" if running is None else "cancelling")
    if running is not None:
        await scene.settle(running, "cancel")
    assert await scene.status("a0") == "cancelled"
    assert [job.id for job in (await scene.claim()).jobs] == ["a1"]
    await scene.assert_balanced()


async def test_a_paused_queue_gives_nothing_and_loses_nothing(scene: Scene) -> None:
    await scene.add("a")
    await scene.engine.pause()
    assert await scene.engine.is_paused()
    assert (await scene.claim()).jobs == []
    await scene.add("b", concurrency_key="k")
    assert (await scene.claim()).jobs == []
    await scene.engine.resume()
    assert {job.id for job in (await scene.claim()).jobs} == {"a", "b"}


async def test_nothing_is_left_of_keys(scene: Scene) -> None:
    for number in range(20):
        await scene.add(f"j{number}", concurrency_key=f"key{number % 5}", concurrency_limit=1)
    while jobs := (await scene.claim()).jobs:
        assert await scene.settle_all(jobs) == {"ok"}
    await scene.assert_balanced()
    for beginning in ("line:", "turns:", "holders:", "limits", "timers"):
        assert await scene.client.keys(f"penstock:{{q}}:{beginning}*") == []


async def test_who_came_under_a_lost_jobs_id_does_not_take_its_turn(scene: Scene) -> None:
    await scene.add("a", concurrency_key="red")
    await scene.client.delete(scene.queue.engine.keys.job + "a")
    await scene.add("first")
    await scene.add("a", parents=["first"], concurrency_key="blue")
    assert [job.id for job in (await scene.claim()).jobs] == ["first"]
    assert await scene.status("a") == "waiting"
