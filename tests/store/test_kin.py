"""Parents and children: any graph, every ending, no count that could go wrong."""

import random
from typing import Any

import pytest

from penstock import Job, JobStatus
from penstock.core.acceptance import accept
from penstock.core.errors import InvalidJobError
from penstock.core.graph import chain, chord, group
from penstock.core.outcomes import Outcome
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


async def work(scene: Scene, endings: dict[str, str] | None = None) -> list[str]:
    """Run everything that becomes ready; the ids in the order they were started."""
    order: list[str] = []
    while True:
        promotion = await scene.engine.promote()
        jobs = (await scene.claim()).jobs
        if not jobs and promotion.due_in_ms != 0:
            return order
        order += [job.id for job in jobs]
        outcomes = []
        for job in jobs:
            kind: Any = (endings or {}).get(job.id, "complete")
            body = b"no" if kind == "fail" else f'"{job.id}"'.encode()
            outcomes.append(Outcome(job.id, job.lease, kind, body))
        await scene.engine.settle(outcomes)


async def test_a_chain_runs_in_order_and_hands_results_on(scene: Scene) -> None:
    await scene.queue.enqueue_many(chain(*(Job(id=name) for name in "abc")))
    assert await scene.counts() == {"pending": 1, "waiting": 2}
    assert await work(scene) == ["a", "b", "c"]
    assert await scene.engine.load_inputs("c") == {"b": ("completed", b'"b"')}
    await scene.assert_balanced()


async def test_a_chord_waits_for_all(scene: Scene) -> None:
    flow = chord([Job(id="a"), chain(Job(id="b"), Job(id="c"))], Job(id="sum"))
    await scene.queue.enqueue_many(flow)
    order = await work(scene)
    assert order[-1] == "sum"
    assert set(order) == {"a", "b", "c", "sum"}
    assert (await scene.engine.load_inputs("sum")).keys() == {"a", "c"}


async def test_a_group_inside_a_chain_fans_out_and_in(scene: Scene) -> None:
    flow = chain(Job(id="a"), group(Job(id="b"), Job(id="c")), Job(id="d"))
    await scene.queue.enqueue_many(flow)
    order = await work(scene)
    assert (order[0], order[-1]) == ("a", "d")


async def test_a_missing_parent_is_an_error(scene: Scene) -> None:
    job = accept(Job(id="a", parents=["nobody"]), 0, {})
    assert await scene.engine.enqueue([job]) == ["orphan nobody"]
    assert await scene.status("a") is None


async def test_a_parent_that_has_ended_counts(scene: Scene) -> None:
    await scene.add("done", "failed")
    done, failed = (await scene.claim()).jobs
    await scene.settle(done, "complete", b"7")
    await scene.settle(failed, "fail", "no")
    await scene.add("a", parents=["done"])
    await scene.add("b", parents=["done", "failed"])
    await scene.add("c", parents=["failed"], on_parent_failure="run")
    assert await scene.status("b") == "cancelled"
    assert [job.id for job in (await scene.claim()).jobs] == ["a", "c"]
    assert await scene.engine.load_inputs("c") == {"failed": ("failed", b"no")}
    await scene.assert_balanced()


@pytest.mark.parametrize("policy", ["cancel", "fail", "run"])
@pytest.mark.parametrize("ending", ["fail", "cancel"])
async def test_the_policy_decides_what_a_parents_end_means(scene: Scene, policy: Any, ending: Any) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"], on_parent_failure=policy)
    await scene.add("grandchild", parents=["child"])
    if ending == "cancel":
        await scene.engine.cancel(["parent"])
        order = await work(scene)
    else:
        order = await work(scene, {"parent": "fail"})
    expected = {"cancel": "cancelled", "fail": "failed", "run": "completed"}[policy]
    assert await scene.status("child") == expected
    assert await scene.status("grandchild") == ("completed" if policy == "run" else "cancelled")
    assert ("child" in order) is (policy == "run")
    await scene.assert_balanced()


async def test_a_job_may_be_joined_while_it_waits(scene: Scene) -> None:
    await scene.add("a")
    await scene.add("end", parents=["a"])
    running = await scene.take_one("a")
    child = accept(Job(id="extra", joins=["end"]), 0, {})
    assert await scene.engine.enqueue_children("a", running.lease, [child]) == ["ok"]
    await scene.settle(running)
    assert await work(scene) == ["extra", "end"]
    late = accept(Job(id="late", joins=["end"]), 0, {})
    assert await scene.engine.enqueue([late]) == ["unjoinable end"]


async def test_a_job_is_not_joined_to_one_that_it_waits_for(scene: Scene) -> None:
    """Neither by itself nor through others: all of them would wait for ever."""
    await scene.add("a")
    await scene.add("first", parents=["a"])
    await scene.add("second", parents=["first"])
    await scene.add("third", parents=["a", "second"])
    for target in ("first", "second"):
        circle = accept(Job(id="circle", parents=["third"], joins=[target]), 0, {})
        assert await scene.engine.enqueue([circle]) == [f"circular {target}"]
    with pytest.raises(InvalidJobError, match="each would wait for the other for ever"):
        await scene.queue.enqueue(Job(id="circle", parents=["third"], joins=["first"]))
    assert await scene.status("circle") is None
    beside = accept(Job(id="beside", parents=["first"], joins=["third"]), 0, {})
    assert await scene.engine.enqueue([beside]) == ["ok"]
    order = await work(scene)
    assert order.index("third") > max(order.index("second"), order.index("beside"))
    await scene.assert_balanced()


async def test_a_lost_lease_makes_no_children(scene: Scene) -> None:
    await scene.add("a")
    lost = await scene.take_one("a")
    await scene.die()
    await scene.claim(consumer="x:1")
    child = accept(Job(id="child"), 0, {})
    assert await scene.engine.enqueue_children("a", lost.lease, [child]) == ["lost"]
    assert await scene.status("child") is None


async def test_children_made_again_are_kept_once(scene: Scene) -> None:
    await scene.add("a")
    running = await scene.take_one("a")
    child = accept(Job(id="child", parents=["a"]), 0, {})
    assert await scene.engine.enqueue_children("a", running.lease, [child]) == ["ok"]
    assert await scene.engine.enqueue_children("a", running.lease, [child]) == ["kept"]
    await scene.settle(running)
    assert await work(scene) == ["child"]


async def test_a_waiting_child_that_is_cancelled_is_told_nothing(scene: Scene) -> None:
    await scene.add("a")
    await scene.add("b", parents=["a"])
    await scene.engine.cancel(["b"])
    assert await work(scene) == ["a"]
    assert await scene.status("b") == "cancelled"
    await scene.assert_balanced()


async def test_a_child_with_a_delay_waits_for_both(scene: Scene) -> None:
    await scene.add("a")
    await scene.add("b", parents=["a"], delay_seconds=60)
    assert await work(scene) == ["a"]
    assert await scene.status("b") == "scheduled"
    scene.clock.advance(seconds=60)
    assert await work(scene) == ["b"]


async def test_a_parent_of_ten_thousand_settles_within_the_limit_of_a_script(scene: Scene) -> None:
    await scene.add("parent")
    await scene.queue.enqueue_many([Job(id=f"c{number}", parents=["parent"]) for number in range(10_000)])
    running = await scene.take_one("parent")
    assert await scene.settle(running) == "ok"
    # The settle wrote one entry; each look at the clock tells 64 children, each claim as many.
    assert await scene.client.lrange(scene.keys.fanout, 0, -1) == ["parent"]
    assert (await scene.engine.promote()).due_in_ms == 0
    assert await scene.client.scard(scene.keys.children + "parent") == 10_000 - 64
    assert len(await work(scene)) == 10_000
    assert await scene.client.exists(scene.keys.fanout, scene.keys.children + "parent") == 0


def evaluate(parents: dict[str, list[str]], policies: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """What each job must end as, from the graph and the policies alone."""
    ends: dict[str, str] = {}
    for name, its_parents in parents.items():
        bad = any(ends[parent] != "completed" for parent in its_parents)
        if bad and policies[name] != "run":
            ends[name] = "cancelled" if policies[name] == "cancel" else "failed"
        else:
            ends[name] = own[name]
    return ends


@pytest.mark.parametrize("seed", range(3))
async def test_a_random_graph_ends_as_a_plain_evaluation_says(scene: Scene, seed: int) -> None:
    random.seed(seed)
    parents: dict[str, list[str]] = {}
    policies, own = {}, {}
    for number in range(300):
        name = f"j{number}"
        known = list(parents)
        parents[name] = random.sample(known, min(len(known), random.choice([0, 1, 1, 2, 3])))
        policies[name] = random.choice(["cancel", "cancel", "fail", "run", "run"])
        own[name] = random.choices(["completed", "failed", "cancelled"], [20, 1, 1])[0]
    await scene.queue.enqueue_many(
        [Job(id=name, parents=parents[name], on_parent_failure=policies[name]) for name in parents]  # type: ignore[arg-type]
    )
    kinds = {"completed": "complete", "failed": "fail", "cancelled": "cancel"}
    await work(scene, {name: kinds[ending] for name, ending in own.items()})
    expected = evaluate(parents, policies, own)
    assert {name: await scene.status(name) for name in parents} == expected
    await scene.assert_balanced()
    for kind in ("parents:", "children:", "fanout"):
        assert await scene.client.keys(f"penstock:{{q}}:{kind}*") == []


async def test_a_waiting_job_whose_parent_vanished_is_told_so_by_the_auditor(scene: Scene) -> None:
    await scene.add("a")
    await scene.add("b", parents=["a"])
    await scene.take_one("a")
    await scene.client.delete(scene.keys.job + "a")
    answers = await scene.engine.call(
        "mend", {"group": "debate-workers", "keep_ms": 1000, "lease_ms": 15_000}, [("b",)]
    )
    assert answers == [b"!waiting"]
    await scene.engine.promote()
    assert await scene.status("b") == JobStatus.CANCELLED
