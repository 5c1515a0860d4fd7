"""The auditor: finds the job that stands nowhere, puts it back, and leaves a healthy queue alone."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import pytest

from penstock.worker.auditor import Auditor
from tests.store.conftest import MakeScene
from tests.store.damages import damage
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
async def busy(scene: Scene) -> Scene:
    """A queue with two jobs of each kind."""
    await scene.add("running-1", "running-2", "done", "failed", "retry-1", "retry-2", "back")
    jobs = await scene.take("running-1", "running-2", "done", "failed", "retry-1", "retry-2", "back")
    await scene.settle(jobs["done"])
    await scene.settle(jobs["failed"], "fail", "no")
    await scene.settle(jobs["retry-1"], "retry", "again", 60_000)
    await scene.settle(jobs["retry-2"], "retry", "again", 60_000)
    await scene.settle(jobs["back"], "release")
    await scene.add("ready-1", "ready-2")
    await scene.add("high", priority=1)
    await scene.add("later", delay_seconds=60)
    return scene


async def finish_all(scene: Scene) -> list[str]:
    """Run everything there is to its end, in order of the claims."""
    done = []
    scene.clock.advance(seconds=60)
    await scene.pass_time(31)
    while (await scene.engine.promote())[0]:
        continue
    while jobs := (await scene.claim()).jobs:
        assert await scene.settle_all(jobs) == {"ok"}
        done += [job.id for job in jobs]
    return done


async def trim(scene: Scene) -> None:
    await scene.client.xtrim(scene.keys.stream, maxlen=0, approximate=False)


async def lose_leases(scene: Scene) -> None:
    await scene.client.zrem(scene.keys.leases, "running-1", "back")


async def lose_a_lease_and_the_group(scene: Scene) -> None:
    await scene.client.zrem(scene.keys.leases, "running-1")
    await scene.client.xgroup_destroy(scene.keys.stream, "debate-workers")


async def lose_schedule(scene: Scene) -> None:
    await scene.client.delete(scene.keys.scheduled)


async def lose_counts(scene: Scene) -> None:
    await scene.client.delete(scene.keys.counts)


async def add_strangers(scene: Scene) -> None:
    for job_id in ("never-was", "done", "ready-1"):
        await scene.client.xadd(scene.keys.stream, {"id": job_id})
        await scene.client.xadd(scene.keys.stream_low, {"id": job_id})
    await scene.client.xadd(scene.keys.stream, {"nonsense": ""})


async def read_by_hand(scene: Scene) -> None:
    await scene.client.xreadgroup("debate-workers", "somebody", {scene.keys.stream: ">"})


async def skip_by_hand(scene: Scene) -> None:
    await scene.client.xgroup_setid(scene.keys.stream, "debate-workers", "$")


async def lose_indexes(scene: Scene) -> None:
    await scene.client.delete(scene.keys.index + "completed", scene.keys.index + "failed")


async def lose_a_hash(scene: Scene) -> None:
    await scene.client.delete(scene.keys.job + "later")
    await scene.client.zrem(scene.keys.scheduled, "later")


async def damage_some(scene: Scene) -> None:
    await damage(scene, "ready-1", "attempt is no number")
    await damage(scene, "running-1", "a list")
    await damage(scene, "retry-1", "no spec")
    await scene.client.hincrby(scene.keys.counts, "pending", 5)


Accident = Callable[[Scene], Awaitable[None]]
# Each accident, and how many jobs the auditor has to put back after it.
ACCIDENTS: list[tuple[Accident, int]] = [
    (trim, 5),
    (lose_leases, 2),
    (lose_a_lease_and_the_group, 1),
    (lose_schedule, 3),
    (lose_counts, 0),
    (add_strangers, 0),
    (read_by_hand, 2),
    (skip_by_hand, 2),
    (lose_indexes, 2),
    (lose_a_hash, 0),
    (damage_some, 0),
]


@pytest.mark.parametrize(("accident", "put_back"), ACCIDENTS, ids=[act.__name__ for act, _ in ACCIDENTS])
async def test_every_job_is_back_in_its_place(
    busy: Scene, accident: Accident, put_back: int, caplog: pytest.LogCaptureFixture
) -> None:
    auditor = Auditor(busy.engine)
    await accident(busy)
    assert await auditor.audit() == put_back
    assert "do not balance" in caplog.text
    assert caplog.text.count("stood nowhere\n") == put_back
    await busy.assert_balanced()
    caplog.clear()
    assert await auditor.audit() == 0
    assert caplog.text == ""
    ended = set(await finish_all(busy))
    alive = {"running-1", "running-2", "retry-1", "retry-2", "back", "ready-1", "ready-2", "high", "later"}
    if accident is damage_some:
        alive -= {"ready-1", "running-1", "retry-1"}
    if accident is lose_a_hash:
        alive -= {"later"}
    assert ended == alive
    assert await busy.depth() == 0
    pending = [
        (await busy.client.xpending(key, "debate-workers"))["pending"]
        for key in (busy.keys.stream, busy.keys.stream_high)
    ]
    assert pending == [0, 0]
    await busy.assert_balanced()


async def test_a_running_job_put_back_is_not_started_twice(busy: Scene) -> None:
    lease = str(await busy.field("running-1", "lease"))
    await trim(busy)
    await busy.client.zrem(busy.keys.leases, "running-1")
    await Auditor(busy.engine).audit()
    assert "running-1" not in {job.id for job in (await busy.claim()).jobs}
    beat = await busy.engine.renew("w", "w:1", "{}", [("running-1", lease)])
    assert beat.lost == []


async def test_a_healthy_queue_is_left_alone(busy: Scene, caplog: pytest.LogCaptureFixture) -> None:
    before = await busy.client.xrange(busy.keys.stream)
    auditor = Auditor(busy.engine)
    assert await auditor.audit() == 0
    assert await auditor.mend() == 0
    assert caplog.text == ""
    assert await busy.client.xrange(busy.keys.stream) == before
    await busy.assert_balanced()


async def test_nothing_is_found_under_load(make_scene: MakeScene, caplog: pytest.LogCaptureFixture) -> None:
    scene = await make_scene()
    caplog.set_level(logging.WARNING)
    chance = random.Random(7)
    audits = 0
    ending = asyncio.Event()

    async def work(name: str) -> None:
        for turn in range(6):
            await scene.add(*[f"{name}-{turn}-{number}" for number in range(9)], priority=turn % 3 - 1)
            await scene.add(f"{name}-{turn}-late", delay_seconds=0.001)
            scene.clock.advance(seconds=0.001)
            await scene.engine.promote()
            for job in (await scene.claim(8, f"{name}:1")).jobs:
                kind = chance.choice(("complete", "complete", "fail", "retry", "release", "cancel", "defer"))
                await scene.settle(job, kind, "x", 1)  # type: ignore[arg-type]

    async def watch() -> None:
        nonlocal audits
        auditor = Auditor(scene.engine)
        while not ending.is_set():
            assert await auditor.audit() == 0
            assert await auditor.mend() == 0
            audits += 1

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(work(f"w{number}") for number in range(4)))
    ending.set()
    await watching
    assert audits > 3
    assert caplog.text == ""
    await scene.assert_balanced()


async def test_a_prefix_that_looks_like_a_pattern_is_taken_as_it_is(make_scene: MakeScene) -> None:
    scene = await make_scene(key_prefix="a*[b]?:")
    await scene.add("a")
    await trim(scene)
    assert await Auditor(scene.engine).audit() == 1
    assert [job.id for job in (await scene.claim()).jobs] == ["a"]
