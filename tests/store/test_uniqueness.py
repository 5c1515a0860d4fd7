"""Unique keys: one live job each, by policy; windows; and expiry."""

import pytest

from penstock import Job
from penstock.core.acceptance import accept
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def codes(scene: Scene, job_id: str, **options: object) -> str:
    delay_ms = int(options.pop("delay_ms", 0))  # type: ignore[call-overload]
    job = Job(id=job_id, **options)  # type: ignore[arg-type]
    return (await scene.engine.enqueue([accept(job, 0, {})], delay_ms))[0]


async def test_the_holder_is_answered_until_it_has_ended(scene: Scene) -> None:
    assert await codes(scene, "a", unique_key="u") == "ok"
    assert await codes(scene, "b", unique_key="u") == "unique a"
    assert await codes(scene, "c", unique_key="u", unique_policy="reject") == "rejected a"
    assert await codes(scene, "d", unique_key="v") == "ok"
    running = (await scene.claim(1)).jobs[0]
    assert await codes(scene, "b", unique_key="u") == "unique a"
    await scene.settle(running, "retry", "no", 1000)
    assert await codes(scene, "b", unique_key="u") == "unique a"
    await scene.engine.cancel(["a"])
    assert await codes(scene, "b", unique_key="u") == "ok"
    await scene.assert_balanced()


async def test_a_waiting_holder_is_replaced(scene: Scene) -> None:
    await codes(scene, "a", unique_key="u", unique_policy="replace")
    assert await codes(scene, "b", unique_key="u", unique_policy="replace") == "ok"
    assert await scene.status("a") == "cancelled"
    assert "Replaced" in str(await scene.field("a", "error"))
    assert [job.id for job in (await scene.claim()).jobs] == ["b"]
    assert await codes(scene, "c", unique_key="u", unique_policy="replace") == "ok"
    assert await scene.field("b", "cancel") == "1"
    await scene.assert_balanced()


async def test_throttle_holds_for_its_window(scene: Scene) -> None:
    assert await codes(scene, "a", unique_key="u", unique_window_seconds=60) == "ok"
    await scene.settle(await scene.take_one("a"))
    assert await codes(scene, "b", unique_key="u", unique_window_seconds=60) == "unique a"
    scene.clock.advance(seconds=60)
    assert await codes(scene, "b", unique_key="u", unique_window_seconds=60) == "ok"


async def test_debounce_runs_the_last_once(scene: Scene) -> None:
    for name in "abc":
        assert await codes(scene, name, unique_key="u", unique_policy="replace", delay_ms=5000) == "ok"
        scene.clock.advance(seconds=3)
    assert await scene.counts() == {"scheduled": 1, "cancelled": 2}
    scene.clock.advance(seconds=2)
    await scene.engine.promote()
    await scene.take_one("c")


async def test_a_job_that_is_too_late_is_cancelled_with_the_reason(scene: Scene) -> None:
    now = scene.clock.script_time_ms() / 1000  # type: ignore[operator]
    await scene.add("ready", "run", expires_at=now + 10)
    await scene.add("timed", expires_at=now + 10, delay_seconds=60)
    await scene.add("keyed", "keyed2", expires_at=now + 10, concurrency_key="k", concurrency_limit=1)
    started = (await scene.claim(2)).jobs
    assert [job.id for job in started] == ["ready", "keyed"]
    scene.clock.advance(seconds=10)
    await scene.engine.promote()
    for late in ("run", "timed", "keyed2"):
        assert await scene.status(late) == "cancelled"
        assert "expires_at" in str(await scene.field(late, "error"))
    assert await scene.settle_all(started) == {"ok"}
    await scene.assert_balanced()
    assert await scene.client.zcard(scene.keys.timers) == 0


async def test_a_claim_does_not_start_what_has_expired(scene: Scene) -> None:
    now = scene.clock.script_time_ms() / 1000  # type: ignore[operator]
    await scene.add("a", expires_at=now + 1)
    scene.clock.advance(seconds=1)
    assert (await scene.claim()).jobs == []
    assert await scene.status("a") == "cancelled"


async def test_an_own_retention_is_kept(scene: Scene) -> None:
    await scene.add("short", result_ttl_seconds=60)
    await scene.add("long")
    await scene.settle_all((await scene.claim()).jobs)
    await scene.pass_time(59)
    await scene.sweep()
    assert await scene.status("short") == "completed"
    await scene.pass_time(2)
    await scene.sweep()
    assert await scene.status("short") is None
    assert await scene.status("long") == "completed"
