"""Every edge of TRANSITIONS that the kernel has is walked, and no script makes another move.

The `watch` fixture holds the moves of every test of the store against the table; here each edge has
its walk.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from penstock import TRANSITIONS, JobStatus
from penstock.core.outcomes import OutcomeKind
from tests.store.damages import damage
from tests.store.scene import MoveWatch, Scene

pytestmark = pytest.mark.usefixtures("server")

Walk = Callable[[Scene], Awaitable[None]]
P, S, R = JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.RETRYING
RUNNING, DONE = JobStatus.PROCESSING, JobStatus.COMPLETED
FAILED, CANCELLED = JobStatus.FAILED, JobStatus.CANCELLED
W, SUSPENDED = JobStatus.WAITING, JobStatus.SUSPENDED


async def pending(scene: Scene) -> None:
    await scene.add("a")


async def scheduled(scene: Scene) -> None:
    await scene.add("a", delay_seconds=1)


async def running(scene: Scene) -> None:
    await scene.add("a")
    await scene.take_one("a")


async def retrying(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), "retry", "no", 1000)


async def with_key(scene: Scene) -> None:
    await scene.add("a", concurrency_key="k")


async def with_key_scheduled(scene: Scene) -> None:
    await scene.add("a", concurrency_key="k", delay_seconds=1)


async def with_key_retrying(scene: Scene) -> None:
    await with_key(scene)
    await scene.settle(await scene.take_one("a"), "retry", "no", 1000)


async def suspended(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), "suspend", "asleep", 1000)


async def with_key_suspended(scene: Scene) -> None:
    await with_key(scene)
    await scene.settle(await scene.take_one("a"), "suspend", "asleep", 1000)


def child_of(ending: OutcomeKind, **options: Any) -> Walk:
    async def walk(scene: Scene) -> None:
        await scene.add("parent")
        await scene.add("a", parents=["parent"], **options)
        await scene.settle(await scene.take_one("parent"), ending, "no")

    return walk


async def tell(scene: Scene) -> None:
    await scene.engine.promote()


async def failed(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), "fail", "no")


async def with_key_failed(scene: Scene) -> None:
    await with_key(scene)
    await scene.settle(await scene.take_one("a"), "fail", "no")


async def requeue(scene: Scene) -> None:
    await scene.queue.dead_letters.requeue("a")


async def claim(scene: Scene) -> None:
    await scene.claim()


async def promote(scene: Scene) -> None:
    scene.clock.advance(seconds=1)
    await scene.engine.promote()


async def cancel(scene: Scene) -> None:
    await scene.engine.cancel(["a"])


async def break_and_claim(scene: Scene) -> None:
    await damage(scene, "a", "attempt is no number")
    await scene.claim()


async def break_and_promote(scene: Scene) -> None:
    await damage(scene, "a", "attempt is no number")
    await promote(scene)


async def die_and_claim(scene: Scene) -> None:
    await scene.die()
    await scene.claim(consumer="x:1")


def settle(kind: str) -> Walk:
    async def walk(scene: Scene) -> None:
        lease = str(await scene.field("a", "lease"))
        outcome = [("a", lease, kind, "", 1000, "")]
        await scene.engine.call("settle", {"group": "debate-workers", "keep_ms": 1000}, outcome)

    return walk


WALKS: dict[tuple[JobStatus, JobStatus], tuple[Walk, Walk]] = {
    (P, RUNNING): (pending, claim),
    (P, CANCELLED): (pending, cancel),
    (P, FAILED): (pending, break_and_claim),
    (S, P): (scheduled, promote),
    (S, CANCELLED): (scheduled, cancel),
    (S, FAILED): (scheduled, break_and_promote),
    (R, P): (retrying, promote),
    (R, CANCELLED): (retrying, cancel),
    (R, FAILED): (retrying, break_and_promote),
    (RUNNING, DONE): (running, settle("complete")),
    (RUNNING, R): (running, settle("retry")),
    (RUNNING, FAILED): (running, settle("fail")),
    (RUNNING, CANCELLED): (running, settle("cancel")),
    (RUNNING, P): (running, settle("release")),
    (RUNNING, RUNNING): (running, die_and_claim),
    (RUNNING, SUSPENDED): (running, settle("suspend")),
    (SUSPENDED, P): (suspended, promote),
    (SUSPENDED, W): (with_key_suspended, promote),
    (SUSPENDED, CANCELLED): (suspended, cancel),
    (SUSPENDED, FAILED): (suspended, break_and_promote),
    (S, W): (with_key_scheduled, promote),
    (R, W): (with_key_retrying, promote),
    (W, RUNNING): (with_key, claim),
    (W, P): (child_of("complete"), tell),
    (W, S): (child_of("complete", delay_seconds=60), tell),
    (W, CANCELLED): (child_of("fail"), tell),
    (W, FAILED): (child_of("fail", on_parent_failure="fail"), tell),
    (FAILED, P): (failed, requeue),
    (FAILED, W): (with_key_failed, requeue),
}


def test_each_edge_has_its_walk() -> None:
    edges = {(old, new) for old, followers in TRANSITIONS.items() for new in followers}
    assert edges == WALKS.keys()
    assert set(TRANSITIONS) == set(JobStatus)


@pytest.mark.parametrize("edge", WALKS, ids=lambda edge: f"{edge[0]}-{edge[1]}")
async def test_the_edge_is_walked(scene: Scene, edge: tuple[JobStatus, JobStatus]) -> None:
    before, move = WALKS[edge]
    await before(scene)
    assert await scene.status("a") == edge[0]
    scene.moves.clear()
    await move(scene)
    assert await scene.status("a") == edge[1]
    assert scene.moves == {edge}
    await scene.assert_balanced()


def test_the_watch_sees_a_move_that_is_not_in_the_table() -> None:
    watch = MoveWatch()
    with pytest.raises(AssertionError, match="settle moved a from completed to pending"):
        watch.compare("settle", {"a": ("completed", "1:x")}, {"a": ("pending", "1:x")})
    watch.compare("claim", {"a": ("processing", "1:x")}, {"a": ("processing", "1:x")})
    assert watch.moves == set()
