"""Schedules as a queue keeps them: put, fired once a slot, paused, resumed, removed."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock import Job, JobStatus
from penstock.core.errors import (
    InvalidNameError,
    InvalidScheduleError,
    NewerFormatError,
    QueueUnavailableError,
    ScheduleNotFoundError,
)
from penstock.core.schedule import Schedule, decode_schedule, encode_schedule
from penstock.store.timetable import Timetable
from penstock.worker.scheduler import POLL_MS, Scheduler
from tests.conftest import MakeQueue
from tests.store.conftest import MakeScene
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


def every_minute(**given: Any) -> Schedule:
    return Schedule(**({"name": "report", "cron": "* * * * *", "type": "report"} | given))


def at(stamp: str) -> float:
    """A time of the day on which the clock of a scene begins, at 22:13:20."""
    return datetime.strptime(stamp, "%H:%M:%S").replace(year=2023, month=11, day=14, tzinfo=UTC).timestamp()


async def fire(scene: Scene) -> int | None:
    return await Scheduler(scene.queue).fire_due()


async def made(scene: Scene, name: str = "report") -> list[str]:
    """The slots of a schedule that have a job, in order."""
    prefix = f"{scene.keys.job}cron:{name}:2023"
    keys = {key async for key in scene.client.scan_iter(match=prefix.replace("{", "\\{") + "*")}
    return sorted(key.rpartition("T")[2].removesuffix("Z") for key in keys)


async def test_each_slot_makes_its_job_with_a_name_that_tells(scene: Scene) -> None:
    schedule = every_minute(payload={"n": 1}, priority=5, max_attempts=7, metadata={"team": "a"})
    assert await scene.queue.schedules.put(schedule)
    assert await fire(scene) == 40_000
    assert await made(scene) == []
    scene.clock.advance(seconds=40)
    assert await fire(scene) == 60_000
    job = await scene.queue.get_status("cron:report:20231114T221400Z")
    assert job is not None
    assert (job.type, job.payload, job.priority, job.max_attempts) == ("report", {"n": 1}, 5, 7)
    assert job.metadata == {"team": "a", "schedule": "report", "slot": "2023-11-14T22:14:00Z"}
    assert job.created_at == at("22:14:00")
    assert await scene.depth() == 1
    assert await scene.client.xlen(scene.keys.stream_high) == 1
    await scene.assert_balanced()


async def test_many_who_fire_at_once_make_one_job(scene: Scene, make_queue: MakeQueue) -> None:
    await scene.queue.schedules.put(every_minute())
    others = [Scheduler(await make_queue("q", clock=scene.clock)) for _ in range(5)]
    for minute in range(4):
        scene.clock.advance(seconds=60)
        await asyncio.gather(*(other.fire_due() for other in others))
        assert len(await made(scene)) == minute + 1
    assert await scene.counts() == {"pending": 4}


async def test_putting_it_again_unchanged_moves_nothing(scene: Scene) -> None:
    schedules = scene.queue.schedules
    assert await schedules.put(every_minute())
    scene.clock.advance(seconds=50)
    assert not await schedules.put(every_minute())
    state = await schedules.get("report")
    assert state is not None
    assert state.next_at == at("22:14:00")
    await fire(scene)
    assert await made(scene) == ["221400"]


async def test_a_changed_one_goes_on_from_its_first_slot_to_come(scene: Scene) -> None:
    schedules = scene.queue.schedules
    await schedules.put(every_minute())
    scene.clock.advance(seconds=50)
    assert await schedules.put(every_minute(cron="30 * * * *"))
    state = await schedules.get("report")
    assert state is not None
    assert state.next_at == at("22:30:00")
    await fire(scene)
    assert await made(scene) == []


async def test_a_slot_comes_once_however_the_schedule_changes(scene: Scene) -> None:
    schedules = scene.queue.schedules
    await schedules.put(every_minute())
    scene.clock.advance(seconds=40)
    await fire(scene)
    # The server's clock was wrong and is set back: the slot lies ahead again.
    scene.clock.advance(seconds=-30)
    await schedules.put(every_minute(payload={"n": 2}))
    state = await schedules.get("report")
    assert state is not None
    assert (state.last_at, state.next_at) == (at("22:14:00"), at("22:15:00"))


async def test_a_slot_that_comes_while_a_schedule_is_put_is_not_set_back(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute())
    timetable, changed = Timetable(scene.engine), every_minute(payload={"n": 2})
    page = await timetable.one("report")
    scene.clock.advance(seconds=40)
    await fire(scene)
    assert await timetable._act_from("put", changed, encode_schedule(changed), page) == "again"
    assert await timetable.keep(changed)
    state = await scene.queue.schedules.get("report")
    assert state is not None
    assert state.next_at == at("22:15:00")


async def test_who_saw_an_older_schedule_fires_nothing(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute())
    scene.clock.advance(seconds=60)
    slow = Scheduler(scene.queue)
    page = await slow._timetable.due()
    await scene.queue.schedules.put(every_minute(cron="*/1 * * * *"))
    fired = await slow._fire(page.kept[0], page.now_ms // 1000)
    assert fired is not None
    assert fired.outcome == "changed"
    await scene.queue.schedules.remove("report")
    fired = await slow._fire(page.kept[0], page.now_ms // 1000)
    assert fired is not None
    assert fired.outcome == "changed"
    assert await scene.counts() == {}


async def test_who_comes_second_finds_the_slot_taken(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute())
    scene.clock.advance(seconds=60)
    slow = Scheduler(scene.queue)
    page = await slow._timetable.due()
    await fire(scene)
    fired = await slow._fire(page.kept[0], page.now_ms // 1000)
    assert fired is not None
    assert fired.outcome == "taken"


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [("latest", ["231300"]), ("all", [f"{22 + m // 60}{m % 60:02}00" for m in range(14, 74)]), ("skip", [])],
)
async def test_what_was_missed_in_an_hour_of_downtime(
    scene: Scene, catch_up: Any, expected: list[str]
) -> None:
    await scene.queue.schedules.put(every_minute(catch_up=catch_up))
    scene.clock.advance(seconds=3621)
    assert await fire(scene) == 19_000
    assert await made(scene) == expected
    scene.clock.advance(seconds=19)
    await fire(scene)
    assert await made(scene) == [*expected, "231400"]


@pytest.mark.parametrize("catch_up", ["latest", "all", "skip"])
async def test_a_slot_up_to_twenty_seconds_late_always_comes(scene: Scene, catch_up: Any) -> None:
    await scene.queue.schedules.put(every_minute(cron="*/10 * * * * *", catch_up=catch_up))
    scene.clock.advance(seconds=30)
    await fire(scene)
    assert await made(scene) == ["221330", "221340", "221350"]


async def test_at_most_a_thousand_slots_are_made_up_for(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute(catch_up="all"))
    scene.clock.advance(days=2)
    await fire(scene)
    assert await scene.counts() == {"pending": 1000}
    state = await scene.queue.schedules.get("report")
    assert state is not None
    assert state.last_at == at("22:13:00") + 2 * 86_400
    assert await scene.queue.get_status("cron:report:20231116T221300Z") is not None


async def test_a_long_catch_up_that_is_cut_off_goes_on_where_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.queue.schedules.put(every_minute(catch_up="all"))
    scene.clock.advance(seconds=200 * 60)
    scheduler, send, calls = Scheduler(scene.queue), scene.engine.call, []

    async def cut_off(name: str, *arguments: Any) -> Any:
        calls.append(name)
        if name == "fire" and calls.count("fire") == 3:
            raise QueueUnavailableError("cut off")
        return await send(name, *arguments)

    monkeypatch.setattr(scene.engine, "call", cut_off)
    with pytest.raises(QueueUnavailableError):
        await scheduler.fire_due()
    assert await scene.counts() == {"pending": 128}
    await scheduler.fire_due()
    assert await scene.counts() == {"pending": 200}


async def test_a_paused_schedule_makes_nothing_and_makes_up_for_nothing(scene: Scene) -> None:
    schedules = scene.queue.schedules
    await schedules.put(every_minute(catch_up="all"))
    await schedules.pause("report")
    state = await schedules.get("report")
    assert state is not None
    assert (state.paused, state.next_at) == (True, None)
    scene.clock.advance(seconds=600)
    assert await fire(scene) is None
    # A worker that starts does not end a pause.
    assert not await schedules.put(every_minute(catch_up="all"))
    assert await schedules.put(every_minute(catch_up="all", payload={"n": 2}))
    assert await fire(scene) is None
    await schedules.resume("report")
    await schedules.resume("report")
    assert await fire(scene) == 40_000
    scene.clock.advance(seconds=40)
    await fire(scene)
    assert await made(scene) == ["222400"]
    job = await scene.queue.get_status("cron:report:20231114T222400Z")
    assert job is not None
    assert job.payload == {"n": 2}


async def test_one_can_begin_paused(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute(paused=True))
    assert await fire(scene) is None
    await scene.queue.schedules.resume("report")
    assert not await scene.queue.schedules.put(every_minute(paused=True))
    assert await fire(scene) == 40_000


async def test_a_job_now_comes_beside_the_slots(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute(paused=True, payload=["x"]))
    first, second = [await scene.queue.schedules.run_now("report") for _ in range(2)]
    assert first != second
    assert first.startswith("cron:report:now:")
    job = await scene.queue.get_status(first)
    assert job is not None
    assert (job.payload, job.metadata) == (["x"], {"schedule": "report"})


async def test_removing_leaves_nothing_behind(scene: Scene) -> None:
    schedules = scene.queue.schedules
    await schedules.put(every_minute())
    await schedules.put(every_minute(name="other"))
    scene.clock.advance(seconds=60)
    await fire(scene)
    await schedules.pause("other")
    assert [state.schedule.name for state in await schedules.list()] == ["other", "report"]
    await schedules.remove("report")
    await schedules.remove("other")
    assert await schedules.list() == []
    assert await schedules.get("report") is None
    assert await scene.client.exists(scene.keys.cron, scene.keys.cron_due) == 0


async def test_what_is_not_there_is_a_clear_error(scene: Scene) -> None:
    schedules = scene.queue.schedules
    for verb in (schedules.pause, schedules.resume, schedules.remove, schedules.run_now):
        with pytest.raises(
            ScheduleNotFoundError, match=r"queue q has no schedule 'none'; .penstock schedule"
        ):
            await verb("none")
    with pytest.raises(InvalidNameError, match="schedule name 'a b' is not allowed"):
        await schedules.get("a b")


async def test_a_recorded_slot_waits_while_history_lags(make_scene: MakeScene) -> None:
    scene = await make_scene(max_events=1000)
    await scene.queue.schedules.put(every_minute(record=True))
    for number in range(1000):
        await scene.client.xadd(scene.keys.events, {"event": "progress", "job": str(number)})
    scene.clock.advance(seconds=41)
    assert await fire(scene) == POLL_MS
    assert await scene.counts() == {}
    await scene.client.delete(scene.keys.events)
    await fire(scene)
    assert await made(scene) == ["221400"]
    assert await scene.events() == [("enqueued", "cron:report:20231114T221400Z")]


async def test_a_schedule_of_another_queue_is_kept_there(scene: Scene) -> None:
    assert await scene.queue.schedules.put(every_minute(queue_name="mail"))
    assert await scene.queue.schedules.list() == []
    mail = scene.queue.on_queue("mail")
    assert [state.schedule.name for state in await mail.schedules.list()] == ["report"]
    scene.clock.advance(seconds=60)
    await Scheduler(mail).fire_due()
    job = await scene.queue.get_status("cron:report:20231114T221400Z")
    assert job is not None
    assert (job.queue_name, job.status) == ("mail", JobStatus.PENDING)


async def test_one_that_cannot_be_read_holds_up_no_other(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.queue.schedules.put(every_minute(name="newer"))
    await scene.queue.schedules.put(every_minute(name="damaged"))
    await scene.queue.schedules.put(every_minute())
    await scene.client.hset(scene.keys.cron, "newer", '{"format": 2}')
    await scene.client.hset(scene.keys.cron, "damaged", "what?")
    scene.clock.advance(seconds=60)
    scheduler = Scheduler(scene.queue)
    assert await scheduler.fire_due() == POLL_MS
    assert await scheduler.fire_due() == POLL_MS
    assert await made(scene) == ["221400"]
    assert len([record for record in caplog.records if "makes no jobs" in record.message]) == 2
    with pytest.raises(NewerFormatError, match=r"schedule newer: .* upgrade this worker"):
        await scene.queue.schedules.get("newer")
    # Put anew, it is whole again.
    assert await scene.queue.schedules.put(every_minute(name="damaged"))


async def test_options_of_flow_control_reach_the_job(scene: Scene) -> None:
    await scene.queue.schedules.put(every_minute(options={"unique_key": "report"}, catch_up="all"))
    scene.clock.advance(seconds=180)
    await fire(scene)
    # The first still waits, so the others find its key held; their slots are dealt with all the same.
    assert await made(scene) == ["221400"]
    assert await fire(scene) == 40_000


async def test_a_schedule_reads_back_as_it_was() -> None:
    schedule = every_minute(
        payload={"b": [1, {"a": None}], "a": 1.5}, zone="Europe/Berlin", metadata={"x": 1}
    )
    assert decode_schedule(encode_schedule(schedule)) == schedule
    again = every_minute(payload={"a": 1.5, "b": [1, {"a": None}]}, zone="Europe/Berlin", metadata={"x": 1})
    assert encode_schedule(again) == encode_schedule(schedule)


async def test_a_schedule_of_a_job_makes_jobs_like_it(scene: Scene) -> None:
    like = Job(
        {"to": "ada"},
        "mail",
        priority=-1,
        max_attempts=9,
        timeout_seconds=5,
        metadata={"team": "x"},
        queue_name="q",
        unique_key="k",
        idle_timeout_seconds=2,
    )
    schedule = Schedule.of(like, name="digest", cron="* * * * *", catch_up="all")
    assert schedule.options == {"idle_timeout_seconds": 2, "unique_key": "k"}
    await scene.queue.schedules.put(schedule)
    scene.clock.advance(seconds=60)
    await fire(scene)
    job = await scene.queue.get_status("cron:digest:20231114T221400Z")
    assert job is not None
    assert (job.payload, job.type, job.priority, job.max_attempts) == ({"to": "ada"}, "mail", -1, 9)
    assert (job.timeout_seconds, job.idle_timeout_seconds) == (5, 2)
    assert job.metadata == {"team": "x", "schedule": "digest", "slot": "2023-11-14T22:14:00Z"}


def test_a_job_that_cannot_come_again_is_refused() -> None:
    with pytest.raises(InvalidScheduleError, match="'parents' is no option of a scheduled job"):
        Schedule.of(Job(parents=["a"]), name="a", cron="* * * * *")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cron": "61 * * * *"}, r"schedule report: cron expression '61 \* \* \* \*': the minute field"),
        ({"zone": "Europe/Berln"}, r"schedule report: there is no time zone .* did you mean 'Europe/Berlin'"),
        ({"catch_up": "some"}, "catch_up 'some' is not one of latest, all, skip"),
        ({"payload": {1, 2, object()}}, "its jobs could not be accepted: the payload .* is not JSON"),
        ({"max_attempts": 0}, "its jobs could not be accepted: max_attempts must be"),
        ({"options": {"uniqe_key": "a"}}, "'uniqe_key' is no option .* did you mean 'unique_key'"),
        ({"options": {"id": "a"}}, "'id' is no option of a scheduled job"),
        ({"options": {"suspended_for": "a"}}, "'suspended_for' is no option of a scheduled job"),
        ({"options": [1]}, "options must be a dict"),
    ],
)
def test_a_wrong_schedule_is_refused_when_it_is_made(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidScheduleError, match=reason):
        every_minute(**given)


def test_a_name_that_cannot_stand_in_an_id_is_refused() -> None:
    with pytest.raises(InvalidNameError, match="schedule name 'a:b' is not allowed"):
        every_minute(name="a:b")
