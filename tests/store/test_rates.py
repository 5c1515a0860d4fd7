"""Rates: in no window does a key start more than its limit allows, and little of the limit is wasted."""

from collections.abc import Callable

import pytest

from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")

MINUTE_MS = 60_000


async def drain_by_the_clock(
    scene: Scene, workers: int, minutes: int, units: int = 0
) -> list[tuple[int, int]]:
    """Workers that claim, work and settle while time passes: when each job started, and its units."""
    started: list[tuple[int, int]] = []
    for second in range(minutes * 60):
        for worker in range(workers):
            claim = await scene.claim(4, consumer=f"w{worker}:1")
            started += [(second * 1000, 1) for _ in claim.jobs]
            await scene.settle_all(claim.jobs)
        scene.clock.advance(seconds=1)
        if second % 5 == 0:
            await scene.beat()
        await scene.engine.promote()
    return started


def worst_window(started: list[tuple[int, int]], weigh: Callable[[int], int]) -> int:
    """The most that any window of a minute holds."""
    return max(
        sum(weigh(units) for at, units in started if begin <= at < begin + MINUTE_MS) for begin, _ in started
    )


async def test_sixty_a_minute_with_eight_workers(scene: Scene) -> None:
    await scene.limits.set("api", jobs=60, per_seconds=60)
    await scene.add(*(f"j{number}" for number in range(400)), rate_key="api")
    started = await drain_by_the_clock(scene, workers=8, minutes=4)
    assert worst_window(started, lambda _: 1) <= 60
    assert len(started) > 0.9 * 60 * 4
    await scene.assert_balanced()


async def test_ten_thousand_units_a_minute_with_eight_workers(scene: Scene) -> None:
    await scene.limits.set("llm", units=10_000, per_seconds=60)
    for number in range(150):
        await scene.add(f"j{number}", rate_key="llm", rate_units=300 + 37 * (number % 9))
    spent: list[tuple[int, int]] = []
    for second in range(240):
        for worker in range(8):
            for job in (await scene.claim(2, consumer=f"w{worker}:1")).jobs:
                units = int(await scene.field(job.id, "booked") or 0)
                spent.append((second * 1000, units))
                await scene.settle(job)
        scene.clock.advance(seconds=1)
        if second % 5 == 0:
            await scene.beat()
        await scene.engine.promote()
    assert worst_window(spent, lambda units: units) <= 10_000
    assert sum(units for _, units in spent) > 0.9 * 4 * 10_000


async def test_what_was_not_used_is_given_back(scene: Scene) -> None:
    await scene.limits.set("llm", units=1000, per_seconds=60)
    await scene.add("a", "b", rate_key="llm", rate_units=800)
    running = await scene.take_one("a")
    assert (await scene.claim()).jobs == []
    await scene.engine.report_usage([("a", running.lease, "default", "units", 100)])
    await scene.settle(running)
    scene.clock.advance(seconds=60)
    await scene.engine.promote()
    await scene.take_one("b")
    await scene.add("c", rate_key="llm", rate_units=200)
    assert [job.id for job in (await scene.claim()).jobs] == ["c"]


async def test_what_was_used_above_the_booking_counts(scene: Scene) -> None:
    await scene.limits.set("llm", units=1000, per_seconds=60)
    await scene.add("a", "b", rate_key="llm", rate_units=100)
    first, second = (await scene.claim()).jobs
    await scene.engine.report_usage([("a", first.lease, "default", "units", 900)])
    await scene.settle_all([first, second])
    await scene.add("c", rate_key="llm", rate_units=1)
    assert (await scene.claim()).jobs == []
    scene.clock.advance(seconds=60)
    await scene.engine.promote()
    await scene.take_one("c")


async def test_a_provider_that_asks_for_a_pause_pauses_its_key(scene: Scene) -> None:
    await scene.add("a", "b", rate_key="llm")
    await scene.add("other", rate_key="else")
    running = (await scene.claim(1)).jobs[0]
    assert running.id == "a"
    await scene.settle(running, "back_off", "429", 30_000)
    assert [job.id for job in (await scene.claim()).jobs] == ["other"]
    scene.clock.advance(seconds=29)
    await scene.engine.promote()
    assert (await scene.claim()).jobs == []
    scene.clock.advance(seconds=1)
    await scene.engine.promote()
    assert {job.id for job in (await scene.claim()).jobs} == {"a", "b"}


async def test_a_key_can_be_paused_and_resumed_by_hand(scene: Scene) -> None:
    await scene.add("a", "b", rate_key="llm")
    await scene.limits.pause("llm", seconds=60)
    assert (await scene.claim()).jobs == []
    await scene.limits.resume("llm")
    assert {job.id for job in (await scene.claim()).jobs} == {"a", "b"}


async def test_tenants_take_turns_under_a_shared_rate(scene: Scene) -> None:
    await scene.limits.set("llm", jobs=4, per_seconds=60)
    await scene.add(*(f"a{number}" for number in range(20)), concurrency_key="a", rate_key="llm")
    await scene.add(*(f"b{number}" for number in range(20)), concurrency_key="b", rate_key="llm")
    started = []
    for _ in range(2):
        started += [job.id for job in (await scene.claim()).jobs]
        scene.clock.advance(seconds=60)
        await scene.engine.promote()
    assert sorted(started) == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


async def test_claims_say_when_the_rate_opens(scene: Scene) -> None:
    await scene.limits.set("llm", jobs=1, per_seconds=10)
    await scene.add("a", "b", rate_key="llm")
    await scene.settle(await scene.take_one("a"))
    scene.clock.advance(seconds=4)
    assert (await scene.claim()).due_in_ms == 6000
