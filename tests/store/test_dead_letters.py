"""Dead letters: listed, looked at, put back under their own id, discarded, kept for their own time."""

from typing import Any

import pytest

from penstock import Job, JobStatus, PayloadTooLargeError
from penstock.core.errors import (
    DeadLetterError,
    InvalidNameError,
    JobNotFoundError,
    PayloadNotSerializableError,
)
from penstock.core.outcomes import Outcome
from tests.store.conftest import MakeScene
from tests.store.damages import damage
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")

LARGE = {"text": "x" * 20_000}


async def fail(scene: Scene, job_id: str, error: str = "ValueError: no", **fields: Any) -> None:
    """A job that fails at its first attempt."""
    await scene.add(job_id, **fields)
    await fail_again(scene, job_id, error)


async def fail_again(scene: Scene, job_id: str, error: str = "ValueError: no") -> None:
    claimed = await scene.take_one(job_id)
    scene.clock.advance(seconds=1)
    assert await scene.settle(claimed, "fail", error, detail="Traceback: line 1") == "ok"


async def quarantined(scene: Scene, job_id: str) -> None:
    await scene.add(job_id)
    await damage(scene, job_id, "attempt is no number")
    await scene.claim()
    assert await scene.status(job_id) == "failed"


async def test_a_dead_letter_says_all_that_is_known(scene: Scene) -> None:
    await fail(scene, "a", type="send", payload={"to": "ada"})
    letter = await scene.queue.dead_letters.get("a")
    assert letter is not None
    assert (letter.job_id, letter.type, letter.payload) == ("a", "send", {"to": "ada"})
    assert (letter.error, letter.traceback) == ("ValueError: no", "Traceback: line 1")
    assert (letter.attempts, letter.crashes) == (1, 0)
    assert letter.failed_at == scene.clock.now_ms / 1000
    assert not letter.damaged
    assert await scene.queue.dead_letters.list() == [letter]


async def test_what_is_no_dead_letter_has_none(scene: Scene) -> None:
    await scene.add("a")
    assert await scene.queue.dead_letters.get("a") is None
    assert await scene.queue.dead_letters.get("none") is None
    assert await scene.queue.dead_letters.list() == []
    with pytest.raises(InvalidNameError):
        await scene.queue.dead_letters.get("a b")


async def test_a_payload_apart_comes_with_the_letter_itself(scene: Scene) -> None:
    await fail(scene, "a", payload=LARGE)
    (listed,) = await scene.queue.dead_letters.list()
    assert listed.payload is None
    letter = await scene.queue.dead_letters.get("a")
    assert letter is not None
    assert letter.payload == LARGE


async def test_lists_go_back_page_by_page_and_on_from_where_one_was(scene: Scene) -> None:
    for number in range(5):
        await fail(scene, f"j{number}")
    letters = scene.queue.dead_letters
    first = await letters.list(2)
    second = await letters.list(2, before=first[-1].letter_id)
    assert [letter.job_id for letter in first + second] == ["j4", "j3", "j2", "j1"]
    newer = await letters.list(after=second[-1].letter_id)
    assert [letter.job_id for letter in newer] == ["j2", "j3", "j4"]
    assert await letters.list(after=first[0].letter_id) == []


async def test_it_goes_back_with_all_its_attempts_and_its_steps(scene: Scene) -> None:
    await scene.add("a", max_attempts=1, payload=[1])
    claimed = await scene.take_one("a")
    await scene.engine.store_steps([("a", claimed.lease, "one", b'{"result":1}')])
    await scene.settle(claimed, "fail", "no")
    await scene.queue.dead_letters.requeue("a")
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.status, job.attempts, job.crashes, job.error) == (JobStatus.PENDING, 0, 0, None)
    assert (job.payload, job.completed_at) == ([1], None)
    assert await scene.letters() == []
    assert await scene.counts() == {"pending": 1}
    await scene.assert_balanced()
    again = await scene.take_one("a")
    assert (again.attempt, again.steps) == (1, 1)
    assert again.lease != claimed.lease
    assert await scene.engine.load_steps("a") == {"one": b'{"result":1}'}
    assert await scene.settle(claimed, "complete", b"late") == "lost"
    assert await scene.settle(again, "complete", b"2") == "ok"
    await scene.assert_balanced()


async def test_it_may_fail_and_go_back_again_and_again(scene: Scene) -> None:
    await fail(scene, "a", priority=-1)
    leases = set()
    for _ in range(3):
        await scene.queue.dead_letters.requeue("a")
        assert await scene.client.xlen(scene.keys.stream_low) == 1
        leases.add(str(await scene.field("a", "releases")))
        await fail_again(scene, "a")
    assert leases == {"1", "2", "3"}
    assert len(await scene.letters()) == 1
    assert await scene.counts() == {"failed": 1}
    await scene.assert_balanced()


async def test_a_poison_job_goes_back_to_its_own_lane_unsuspected(scene: Scene) -> None:
    await scene.add("a", priority=3, max_attempts=1)
    for _ in range(4):
        await scene.claim()
        await scene.die()
    assert await scene.status("a") == "failed"
    await scene.queue.dead_letters.requeue("a")
    assert await scene.client.xlen(scene.keys.stream_high) == 1
    assert await scene.client.xlen(scene.keys.stream_suspects) == 0
    claimed = await scene.take_one("a")
    assert (claimed.attempt, claimed.crashes) == (1, 0)
    await scene.assert_balanced()


@pytest.mark.parametrize("before", [{"n": 1}, LARGE])
@pytest.mark.parametrize("after", [{"n": 2}, LARGE | {"n": 2}])
async def test_an_edited_payload_takes_the_old_ones_place(scene: Scene, before: Any, after: Any) -> None:
    await fail(scene, "a", payload=before, metadata={"team": "x"}, type="send")
    await scene.queue.dead_letters.requeue("a", payload=after)
    job = await scene.queue.get_status("a")
    assert job is not None
    assert (job.payload, job.metadata, job.type) == (after, {"team": "x"}, "send")
    assert await scene.client.exists(scene.keys.payload + "a") == ("text" in after)
    await fail_again(scene, "a")
    letter = await scene.queue.dead_letters.get("a")
    assert letter is not None
    assert letter.payload == after


async def test_an_edited_payload_must_be_one(scene: Scene) -> None:
    await fail(scene, "a")
    with pytest.raises(PayloadNotSerializableError):
        await scene.queue.dead_letters.requeue("a", payload={1, object()})
    with pytest.raises(PayloadTooLargeError):
        await scene.queue.dead_letters.requeue("a", payload="x" * 2_000_000)
    assert await scene.status("a") == "failed"


async def test_what_was_settled_without_a_worker_stays_once_it_is_put_back(scene: Scene) -> None:
    await scene.queue.enqueue(Job(id="a", payload=LARGE))
    await scene.queue.dequeue("w")
    assert await scene.queue.fail("a", "no")
    assert await scene.client.pttl(scene.keys.job + "a") > 0
    await scene.queue.dead_letters.requeue("a")
    assert await scene.client.pttl(scene.keys.job + "a") == -1
    assert await scene.client.pttl(scene.keys.payload + "a") == -1


async def test_only_what_has_failed_can_go_back(scene: Scene) -> None:
    letters = scene.queue.dead_letters
    await scene.add("a")
    for verb, done in ((letters.requeue, "put back"), (letters.discard, "discarded")):
        with pytest.raises(
            DeadLetterError, match=f"job a cannot be {done}: it is pending; only a job that has"
        ):
            await verb("a")
        with pytest.raises(JobNotFoundError, match=f"job none cannot be {done}: queue q keeps no such job"):
            await verb("none")
    assert await scene.status("a") == "pending"


async def test_a_damaged_one_can_be_seen_and_discarded_but_not_put_back(scene: Scene) -> None:
    await quarantined(scene, "a")
    letter = await scene.queue.dead_letters.get("a")
    assert letter is not None
    assert letter.damaged
    assert "many" in (letter.raw or "")
    with pytest.raises(DeadLetterError, match="it is damaged, so there is nothing to run"):
        await scene.queue.dead_letters.requeue("a")
    with pytest.raises(DeadLetterError, match="it is damaged"):
        await scene.queue.dead_letters.requeue("a", payload={"n": 1})
    await scene.queue.dead_letters.discard("a")
    assert await scene.queue.get_status("a") is None
    await scene.assert_balanced()


async def test_discarding_forgets_everything(scene: Scene) -> None:
    await scene.add("a", payload=LARGE)
    claimed = await scene.take_one("a")
    await scene.engine.store_steps([("a", claimed.lease, "one", b'{"result":1}')])
    await scene.settle(claimed, "fail", "no")
    await scene.queue.dead_letters.discard("a")
    assert await scene.queue.get_status("a") is None
    assert [key for key in await scene.client.keys() if key.endswith(":a")] == []
    assert await scene.letters() == []
    assert await scene.counts() == {}
    await scene.assert_balanced()


async def test_a_recorded_failure_is_discarded_once_history_knows_it(make_scene: MakeScene) -> None:
    scene = await make_scene(event_groups=("history",))
    await fail(scene, "a", record=True)
    with pytest.raises(DeadLetterError, match="history has not read its failure yet; try again"):
        await scene.queue.dead_letters.discard("a")
    await scene.client.xtrim(scene.keys.events, maxlen=0, approximate=False)
    await scene.queue.dead_letters.discard("a")
    assert await scene.queue.get_status("a") is None


async def test_many_go_back_by_id_by_error_or_by_type(scene: Scene) -> None:
    for number in range(6):
        error = "ConnectionError: away" if number % 2 else "ValueError: no"
        await fail(scene, f"j{number}", error, type="send" if number < 4 else "read")
    await quarantined(scene, "broken")
    letters = scene.queue.dead_letters
    swept = await letters.requeue_many(error_contains="away", type="send")
    assert swept.done == ["j1", "j3"]
    swept = await letters.requeue_many(["j0", "j1", "none", "j0"])
    assert swept.done == ["j0"]
    assert swept.refused == {
        "j1": "it is pending; only a job that has failed can be put back",
        "none": "queue q keeps no such job",
    }
    swept = await letters.requeue_many()
    assert sorted(swept.done) == ["j2", "j4", "j5"]
    assert list(swept.refused) == ["broken"]
    assert await scene.counts() == {"pending": 6, "failed": 1}
    await scene.assert_balanced()


async def test_hundreds_go_at_once(scene: Scene) -> None:
    await scene.queue.enqueue_many([Job(id=f"j{number}") for number in range(300)])
    while jobs := (await scene.claim()).jobs:
        await scene.engine.settle([Outcome(job.id, job.lease, "fail", f"no {job.id[-1]}") for job in jobs])
    swept = await scene.queue.dead_letters.requeue_many(error_contains="no 7")
    assert len(swept.done) == 30
    swept = await scene.queue.dead_letters.discard_many()
    assert (len(swept.done), swept.refused) == (270, {})
    assert await scene.counts() == {"pending": 30}
    await scene.assert_balanced()


async def test_history_is_told_and_told_how_often(scene: Scene) -> None:
    await fail(scene, "a", record=True)
    await scene.queue.dead_letters.requeue("a", payload={"n": 2})
    await scene.settle(await scene.take_one("a"), "complete", b"1")
    facts = [fact for _, fact in await scene.client.xrange(scene.keys.events)]
    assert [(fact["event"], fact.get("requeues")) for fact in facts] == [
        ("enqueued", None),
        ("started", None),
        ("failed", None),
        ("requeued", "1"),
        ("started", "1"),
        ("completed", "1"),
    ]
    assert '"n":2' in facts[3]["spec"]
    assert facts[4]["attempt"] == "1"


async def test_a_unique_key_is_taken_up_again_if_it_is_free(scene: Scene) -> None:
    await fail(scene, "a", unique_key="k")
    await scene.queue.dead_letters.requeue("a")
    assert await scene.queue.enqueue(Job(id="b", unique_key="k")) == "a"
    await fail_again(scene, "a")
    assert await scene.queue.enqueue(Job(id="b", unique_key="k")) == "b"
    with pytest.raises(DeadLetterError, match="job b holds its unique key"):
        await scene.queue.dead_letters.requeue("a")


async def test_what_is_left_of_its_unique_window_stays(scene: Scene) -> None:
    await fail(scene, "a", unique_key="k", unique_window_seconds=60)
    await scene.queue.dead_letters.requeue("a")
    await scene.settle(await scene.take_one("a"))
    assert await scene.queue.enqueue(Job(id="b", unique_key="k")) == "a"
    scene.clock.advance(seconds=60)
    assert await scene.queue.enqueue(Job(id="b", unique_key="k")) == "b"


async def test_a_job_with_a_key_waits_for_its_turn(scene: Scene) -> None:
    await fail(scene, "a", concurrency_key="k", concurrency_limit=1)
    await scene.add("b", concurrency_key="k", concurrency_limit=1)
    other = await scene.take_one("b")
    await scene.queue.dead_letters.requeue("a")
    assert await scene.status("a") == "waiting"
    assert (await scene.claim()).jobs == []
    await scene.settle(other)
    await scene.settle(await scene.take_one("a"))
    assert await scene.counts() == {"completed": 2}
    await scene.assert_balanced()


async def test_who_follows_it_anew_reads_past_its_first_end(scene: Scene) -> None:
    await scene.add("a")
    await scene.engine.watch(["a"])
    await fail_again(scene, "a")
    await scene.queue.dead_letters.requeue("a")
    assert await scene.client.xrange(scene.keys.live + "a") == []
    await scene.settle(await scene.take_one("a"))
    (only,) = await scene.client.xrange(scene.keys.live + "a")
    assert (only[1]["kind"], only[1]["body"]) == ("end", "completed")


async def test_an_expiry_does_not_keep_it_from_running(scene: Scene) -> None:
    await fail(scene, "a", expires_at=scene.clock.now_ms / 1000 + 60)
    scene.clock.advance(seconds=120)
    await scene.queue.dead_letters.requeue("a")
    assert (await scene.take_one("a")).attempt == 1


async def test_dead_letters_may_be_kept_for_a_time_of_their_own(make_scene: MakeScene) -> None:
    scene = await make_scene(max_job_ttl_days=1, dead_letter_ttl_days=30)
    await fail(scene, "a")
    await scene.add("b")
    await scene.settle(await scene.take_one("b"))
    scene.clock.advance(days=2)
    await scene.sweep()
    assert (await scene.status("a"), await scene.status("b")) == ("failed", None)
    scene.clock.advance(days=29)
    await scene.sweep()
    assert (await scene.status("a"), await scene.letters()) == (None, [])
    # Keys of jobs that were settled without a worker outlive the longer of the two.
    assert scene.engine.keep_ms == 31 * 86_400_000


async def test_without_a_time_of_their_own_they_go_with_the_others(scene: Scene) -> None:
    await fail(scene, "a", result_ttl_seconds=60)
    scene.clock.advance(days=1)
    await scene.sweep()
    assert await scene.status("a") == "failed"
    scene.clock.advance(days=7)
    await scene.sweep()
    assert await scene.status("a") is None
