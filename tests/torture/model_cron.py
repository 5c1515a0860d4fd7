"""Schedules in the model: each slot is dealt with once, whoever comes, and whatever the clock does."""

from collections.abc import Sequence

from tests.torture.model import Queue
from tests.torture.model_parts import Kept, ModelJob


def act(queue: Queue, action: str, name: str, body: str, coming: int, *, begins_paused: bool) -> str:
    """Put, pause, resume or remove a schedule whose first slot to come is `coming`."""
    kept = queue.cron.get(name)
    if action == "put":
        return _put(queue, name, body, coming, begins_paused=begins_paused)
    if kept is None:
        return "gone"
    if action == "remove":
        del queue.cron[name]
        queue.cron_due.pop(name, None)
    elif action == "pause":
        kept.paused = True
        queue.cron_due.pop(name, None)
    elif kept.paused:
        if coming <= kept.last:
            return "again"
        kept.paused = False
        queue.cron_due[name] = coming
    return "ok"


def _put(queue: Queue, name: str, body: str, coming: int, *, begins_paused: bool) -> str:
    kept = queue.cron.get(name)
    if kept is None:
        kept = queue.cron[name] = Kept(body, paused=begins_paused)
    elif kept.body == body:
        return "kept"
    if not kept.paused:
        if coming <= kept.last:
            return "again"
        queue.cron_due[name] = coming
    kept.body = body
    return "ok"


def fire(
    queue: Queue,
    name: str,
    body: str,
    jobs: Sequence[ModelJob],
    now: int,
    *,
    seen: int,
    last: int,
    coming: int,
) -> list[str]:
    """Make the jobs of due slots, unless the slot or the schedule is another one by now."""
    kept = queue.cron.get(name)
    if kept is None or kept.body != body:
        return ["changed"]
    if queue.cron_due.get(name) != seen or coming <= last:
        return ["taken"]
    codes = queue.enqueue(jobs, 0, now)
    if "backlog" in codes:
        return ["backlog"]
    kept.last = last
    queue.cron_due[name] = coming
    return ["fired", *codes]
