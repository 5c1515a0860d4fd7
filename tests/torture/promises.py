"""What must hold of a queue at any time, whatever the scripts and the model agree on."""

from tests.torture.model import Queue
from tests.torture.model_parts import Message, ModelJob


def assert_promises(queue: Queue, bell: int) -> None:
    """Nobody waits for something that cannot come, holds something for nothing, or is ready in silence."""
    if not queue.blind:
        for (lane, key), line in queue.lines.items():
            _assert_line_goes_on(queue, lane, key, line)
        _assert_places_are_held_by_jobs_that_may(queue)
    for lane, rate in queue.asleep:
        assert f"rate {lane} {rate}" in queue.timers, f"keys sleep for {rate} and nothing wakes them"
    for job in queue.jobs.values():
        if job.damage is None and job.status == "waiting":
            _assert_waits_for_something(queue, job)
        elif job.damage is None and job.status == "suspended":
            _assert_can_wake(queue, job)
    _assert_timers_and_keys_have_owners(queue)
    ready = _ready(queue)
    assert queue.paused or bell or not ready, f"{ready} are ready, and no idle worker is woken"


def _assert_line_goes_on(queue: Queue, lane: str, key: str, line: list[str]) -> None:
    has_turn = key in queue.turns.get(lane, {})
    sleeps = any(place[0] == lane and key in asleep for place, asleep in queue.asleep.items())
    # Whoever holds a place gives the line a turn at its end.
    is_behind_others = bool(queue.holders.get(key))
    assert has_turn or sleeps or is_behind_others, f"{line} stand in line for {key}, which never has a turn"


def _assert_places_are_held_by_jobs_that_may(queue: Queue) -> None:
    for key, holders in queue.holders.items():
        # What came under the id of a destroyed job is taken for it, until it has ended and is looked at.
        for job_id in holders - queue.destroyed:
            job = queue.jobs.get(job_id)
            assert job is not None, f"{job_id} is gone and holds a place of {key}"
            assert job.options.line_key == key, f"{job_id} holds a place of {key}"
            assert job.damage or job.status in ("pending", "processing"), (
                f"{job_id} holds a place: {job.status}"
            )


def _assert_waits_for_something(queue: Queue, job: ModelJob) -> None:
    parents = queue.parents.get(job.id)
    if parents is None:
        line = queue.lines.get((job.home_lane, job.options.line_key or ""), [])
        assert job.id in line, f"{job.id} waits for nothing"
        return
    for parent in parents:
        home_id = parent.rpartition("/")[2]
        child = f"q/{job.id}" if "/" in parent else job.id
        is_on_its_way = any(ending[:2] == (child, home_id) for ending in queue.crossings)
        is_noted = child in queue.children.get(home_id, ())
        assert is_on_its_way or is_noted or "/" in parent, (
            f"{job.id} waits for {parent}, which will not tell it"
        )
        parent_job = queue.jobs.get(home_id)
        has_ended = parent_job is None or parent_job.ended
        assert not (is_noted and has_ended) or home_id in queue.fanout, (
            f"{home_id} has ended and tells nobody"
        )


def _assert_can_wake(queue: Queue, job: ModelJob) -> None:
    name, _, place = job.awaits.partition("#")
    is_given = bool(job.awaits) and len(queue.signals.get(job.id, {}).get(name, [])) > int(place)
    has_timer = f"job {job.id}" in queue.timers
    assert has_timer or (job.awaits and not is_given), f"{job.id} sleeps and nothing wakes it"


def _assert_timers_and_keys_have_owners(queue: Queue) -> None:
    for timer in queue.timers:
        kind, about = timer.split(" ", 1)
        job = queue.jobs.get(about)
        if kind == "job":
            assert job is not None, f"timer {timer} of nobody"
            assert job.damage or job.status == "suspended", f"timer {timer} of a job that is {job.status}"
        if kind == "late":
            assert job is not None, f"timer {timer} of nobody"
            assert not job.ended, f"timer {timer} of a job that is {job.status}"
    for child in queue.parents:
        assert child in queue.jobs, f"{child} is gone and waits for parents"
        assert queue.jobs[child].damage or queue.jobs[child].status == "waiting", f"{child} waits for parents"
    for parent in queue.children:
        parent_job = queue.jobs.get(parent)
        is_noted = parent in queue.fanout or (parent_job is not None and not parent_job.ended)
        assert is_noted, f"children of {parent} will never be told"


def _ready(queue: Queue) -> list[str]:
    """What a worker without suspects could take now: jobs, and lanes in which a key has its turn."""
    waiting = [
        message.job
        for lane in ("high", "normal", "low", "keyed")
        for message in queue.lanes[lane]
        # What was given back is told by the end of its lease.
        if not message.delivered and message.job not in queue.leases and _is_sound(queue, message)
    ]
    return [*waiting, *queue.turns]


def _is_sound(queue: Queue, message: Message) -> bool:
    job = queue.jobs.get(message.job)
    if job is None or job.damage or job.is_suspect:
        return False
    return job.status == "pending" and job.message is message
