"""What the janitor and the auditor are to do."""

from tests.torture.model import Queue
from tests.torture.model_parts import ENDED, INDEXED, LANES, PARKED, ModelJob

LOOK_AGAIN_MS = 30_000


def sweep(queue: Queue, now: int, groups_passed: int | None, silent_ms: int) -> None:
    """One round of the janitor; `groups_passed` is how many facts the required group has read."""
    if groups_passed is not None:
        queue.events = [event for event in queue.events if event[0] > groups_passed]
    for status in sorted(ENDED):
        while expire(queue, status, now, waits_for_history=groups_passed is not None):
            continue
    for worker, (_, seen) in list(queue.registry.items()):
        if now - seen > silent_ms:
            del queue.registry[worker]
    for key, until in list(queue.rates.pauses.items()):
        if until <= now:
            del queue.rates.pauses[key]
    audit(queue, now)


def expire(queue: Queue, status: str, now: int, *, waits_for_history: bool) -> int:
    """Remove what has been over for the retention time, once all who follow from it have been told."""
    over = now - (queue.timings.letter_ttl if status == "failed" else queue.timings.ttl)
    removed = 0
    for job_id, ended_at in list(queue.index[status].items()):
        if ended_at > over:
            continue
        job = queue.jobs[job_id]
        if waits_for_history and queue.is_unread(job):
            queue.index[status][job_id] = now
        elif job_id in queue.children:
            queue.index[status][job_id] = over + LOOK_AGAIN_MS
        else:
            queue.forget(job)
            removed += 1
    return removed


def books_balance(queue: Queue) -> bool:
    """What the auditor compares."""
    depth = sum(len(messages) for messages in queue.lanes.values())
    running = sum(score != 0 for score in queue.leases.values())
    handed_out = sum(message.delivered for messages in queue.lanes.values() for message in messages)
    return (
        queue.counts["pending"] + queue.counts["processing"] == depth
        and queue.counts["processing"] == running
        and handed_out <= len(queue.leases)
        and queue.counts["scheduled"] + queue.counts["retrying"] == len(queue.scheduled)
        and all(queue.counts[status] == len(queue.index[status]) for status in INDEXED)
    )


def audit(queue: Queue, now: int) -> None:
    """Compare, and look after everything if that is needed."""
    if not books_balance(queue):
        mend(queue, now)


def mend(queue: Queue, now: int) -> None:
    """Put back what stands nowhere, remove what nobody answers to, free what nobody holds, count anew."""
    # Jobs are visited in no order that could be told beforehand.
    queue.unordered = True
    for job in list(queue.jobs.values()):
        _mend(queue, job, now)
    for lane in LANES:
        for message in list(queue.lanes[lane]):
            owner = queue.jobs.get(message.job)
            if owner is None or owner.ended or owner.message is not message:
                queue.remove_message(message)
    for key in list(queue.holders):
        queue.evict(key)
        queue.give_turns_to(key)
    queue.blind = False
    recount(queue)


def recount(queue: Queue) -> None:
    """The counts, from where jobs stand."""
    depth = sum(len(messages) for messages in queue.lanes.values())
    running = sum(score != 0 for score in queue.leases.values())
    queue.counts["pending"], queue.counts["processing"] = max(depth - running, 0), running
    retrying = sum(queue.jobs[job_id].status == "retrying" for job_id in queue.scheduled)
    queue.counts["retrying"], queue.counts["scheduled"] = retrying, len(queue.scheduled) - retrying
    for status in INDEXED:
        queue.counts[status] = len(queue.index[status])
    queue.drifted = False


def _mend(queue: Queue, job: ModelJob, now: int) -> None:
    if job.damage:
        queue.quarantine(job, None, now)
        return
    stands_on_lane = any(job.message is message for message in queue.lanes[job.lane])
    if job.status in PARKED:
        queue.index[job.status].setdefault(job.id, now)
    if job.status == "waiting":
        _mend_waiting(queue, job, now)
    elif job.status == "pending" and job.id not in queue.leases and not stands_on_lane:
        queue.add_message(job, job.lane)
    elif job.status == "processing":
        if not stands_on_lane:
            queue.add_message(job, job.lane)
        queue.leases.setdefault(job.id, now + queue.timings.lease)
    elif job.status in ("scheduled", "retrying"):
        queue.scheduled.setdefault(job.id, now)


def _mend_waiting(queue: Queue, job: ModelJob, now: int) -> None:
    """It waits for parents that may still end, or in its key's line."""
    if job.id in queue.parents:
        silent = [
            parent
            for parent in sorted(queue.parents[job.id])
            if "/" not in parent and not queue.bear(parent, job.id)
        ]
        if silent:
            parent = queue.choose("mend", silent)
            queue.children.setdefault(parent, set()).add(job.id)
            queue.fanout.append(parent)
        return
    key = job.options.line_key
    if key is not None and job.id in queue.lines.get((job.home_lane, key), []):
        queue.give_turn(job.home_lane, key)
        return
    queue.leave(job)
    queue.make_ready(job, now)
