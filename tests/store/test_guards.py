"""Guards that no story of a job meets by itself: what is refused after the end, and how suspects wait."""

from collections.abc import Awaitable, Callable

import pytest

from penstock import Job, QueueUnavailableError, UnsafeServerError
from penstock.core.acceptance import accept
from penstock.core.outcomes import Claimed
from penstock.store import connect
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.rules import containing
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")

Write = Callable[[Scene, Claimed], Awaitable[list[str]]]


async def a_step(scene: Scene, held: Claimed) -> list[str]:
    return await scene.engine.store_steps([(held.id, held.lease, "late", b"{}")])


async def progress(scene: Scene, held: Claimed) -> list[str]:
    return await scene.engine.note_progress([(held.id, held.lease, 50, "late")])


async def a_child(scene: Scene, held: Claimed) -> list[str]:
    return await scene.engine.enqueue_children(held.id, held.lease, [accept(Job(id="late"), 0, {})])


async def an_event(scene: Scene, held: Claimed) -> list[str]:
    return await scene.engine.emit([(held.id, held.lease, "emit", b"{}")])


async def usage(scene: Scene, held: Claimed) -> list[str]:
    return await scene.engine.report_usage([(held.id, held.lease, "default", "tokens", 5)])


WRITES = [a_step, progress, a_child, an_event, usage]


@pytest.mark.parametrize("write", WRITES)
async def test_a_settled_attempt_writes_nothing_more(scene: Scene, write: Write) -> None:
    await scene.add("a")
    held = await scene.take_one("a")
    await scene.settle(held)
    assert await write(scene, held) == ["lost"]
    assert await scene.status("late") is None
    assert await scene.client.exists(scene.keys.steps + "a", scene.keys.live + "a") == 0


@pytest.mark.parametrize("write", WRITES)
async def test_a_lost_lease_writes_nothing(scene: Scene, write: Write) -> None:
    await scene.add("a")
    held = await scene.take_one("a")
    await scene.die()
    again = await scene.take_one("a", "x:1")
    assert await write(scene, held) == ["lost"]
    assert (await write(scene, again))[0] in ("ok", "kept")


async def test_a_suspect_keeps_its_place_while_nobody_has_a_seat(scene: Scene) -> None:
    await scene.add("a", max_attempts=9)
    for consumer in ("x:1", "y:1"):
        await scene.take_one("a", consumer)
        await scene.die()
    assert (await scene.claim(seats=0)).jobs == []
    place = await scene.field("a", "message_id")
    await scene.client.delete(scene.keys.bell)
    assert (await scene.claim(seats=0)).jobs == []
    assert await scene.field("a", "message_id") == place
    # Whoever has no seat must not be woken to find that out again and again.
    assert await scene.client.exists(scene.keys.bell) == 0


async def test_a_suspect_that_was_retried_waits_on_the_suspects_lane(scene: Scene) -> None:
    await scene.add("a", max_attempts=9)
    for consumer in ("x:1", "y:1"):
        await scene.take_one("a", consumer)
        await scene.die()
    await scene.settle(await scene.take_one("a"), "retry", "again", 0)
    await scene.engine.promote()
    assert await scene.client.xlen(scene.keys.stream_suspects) == 1
    assert await scene.client.xlen(scene.keys.stream) == 0


async def test_a_clock_that_goes_back_takes_the_leases_along(scene: Scene) -> None:
    await scene.add("a", "b")
    held = await scene.take("a", "b")
    await scene.beat(*held.values())
    scene.clock.advance(seconds=-3600)
    # One of two workers has died; amnesty and lease are over after that, and not in an hour.
    await scene.pass_time(31, held["b"])
    assert [job.id for job in (await scene.claim(consumer="x:1")).jobs] == ["a"]
    await scene.assert_balanced()


async def test_however_short_the_idle_time_a_lease_that_holds_is_left_alone(scene: Scene) -> None:
    await scene.add("a")
    # Long enough for the amnesty of the first beat to be over.
    await scene.pass_time(20, await scene.take_one("a"))
    assert await scene.queue.claim_stale_jobs(0) == 0
    assert await scene.status("a") == "processing"


async def test_a_damaged_job_is_counted_where_its_hash_says(scene: Scene) -> None:
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), "retry", "again", 1000)
    await scene.client.hset(scene.keys.job + "a", "attempt", "x")
    scene.clock.advance(seconds=2)
    await scene.engine.promote()
    assert await scene.counts() == {"failed": 1}
    await scene.assert_balanced()


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(UnsafeServerError, match=r"runs Redis 6\.0\.16; Penstock needs Redis 6\.2"):
        connect._check_node("the server", {"redis_version": "6.0.16"})


async def test_units_not_used_let_the_next_start_at_once(scene: Scene) -> None:
    await scene.limits.set("llm", units=1000, per_seconds=60)
    await scene.add("a", "b", rate_key="llm", rate_units=800)
    held = await scene.take_one("a")
    assert (await scene.claim()).jobs == []
    await scene.engine.report_usage([("a", held.lease, "default", "units", 100)])
    await scene.settle(held)
    await scene.take_one("b")


async def test_a_replaced_job_that_ends_leaves_the_unique_key_to_the_next(scene: Scene) -> None:
    await scene.add("a", unique_key="u", unique_policy="replace")
    held = await scene.take_one("a")
    await scene.add("b", unique_key="u", unique_policy="replace")
    await scene.settle(held, "cancel")
    assert await scene.add("c", unique_key="u") == ["b"]


async def test_a_keys_line_goes_by_coming_and_not_by_name(scene: Scene) -> None:
    await scene.add("z", "m", "a", concurrency_key="k")
    assert [(await scene.claim(1)).jobs[0].id for _ in range(3)] == ["z", "m", "a"]


async def test_a_signal_that_came_just_before_its_wait_wakes_the_job(scene: Scene) -> None:
    await scene.add("a")
    held = await scene.take_one("a")
    assert await scene.engine.signal("a", "go", b"1") == "stored"
    await scene.settle(held, "suspend", "waits", -1, "go#0")
    await scene.engine.promote()
    await scene.take_one("a")


async def test_a_stranger_s_ending_is_not_heard(scene: Scene) -> None:
    await scene.add("parent")
    await scene.add("child", parents=["parent"])
    once = {"group": scene.queue.group_name, "keep_ms": scene.engine.keep_ms}
    told = [("child", "stranger", "failed", "")]
    assert await scene.engine.call("tell", once, told) == [b"known"]
    assert await scene.status("child") == "waiting"


async def test_a_bulk_whose_answer_is_lost_is_not_resent(make_queue: MakeQueue, proxy: FaultProxy) -> None:
    queue = await make_queue("q", url=proxy.url)
    rule = proxy.cut_before(containing(b"job-100"), times=None)
    with pytest.raises(QueueUnavailableError):
        await queue.enqueue_many([Job(id=f"job-{number}") for number in range(192)])
    assert rule.hits == 1


async def test_what_goes_by_way_of_the_client_library_is_sent_once(
    make_queue: MakeQueue, proxy: FaultProxy
) -> None:
    """How long an outage is waited out, and what may be sent again, is not for the library to say."""
    queue = await make_queue("q", url=proxy.url)
    rule = proxy.cut_before("HGETALL", times=None)
    with pytest.raises(QueueUnavailableError):
        await queue.get_status("job")
    assert rule.hits == 1
