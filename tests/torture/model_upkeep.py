"""What the janitor and the auditor are to do."""

from tests.torture.model import Queue
from tests.torture.model_parts import ENDED, LANES, ModelJob


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
    audit(queue, now)


def expire(queue: Queue, status: str, now: int, *, waits_for_history: bool) -> int:
    """Remove what has been over for the retention time."""
    over = now - queue.timings.ttl
    kept_facts = {event[0] for event in queue.events}
    removed = 0
    for job_id, ended_at in list(queue.index[status].items()):
        if ended_at > over:
            continue
        job = queue.jobs[job_id]
        if waits_for_history and job.last_event in kept_facts:
            queue.index[status][job_id] = now
            continue
        del queue.index[status][job_id], queue.jobs[job_id]
        queue.counts[status] -= 1
        if job.letter:
            queue.letters.remove(job_id)
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
        and all(queue.counts[status] == len(queue.index[status]) for status in ENDED)
    )


def audit(queue: Queue, now: int) -> None:
    """Put back what stands nowhere, remove what nobody answers to, and count anew."""
    if books_balance(queue):
        return
    for job in list(queue.jobs.values()):
        _mend(queue, job, now)
    for lane in LANES:
        for message in list(queue.lanes[lane]):
            owner = queue.jobs.get(message.job)
            if owner is None or owner.ended or owner.message is not message:
                queue.remove_message(message)
    recount(queue)


def recount(queue: Queue) -> None:
    """The counts, from where jobs stand."""
    depth = sum(len(messages) for messages in queue.lanes.values())
    running = sum(score != 0 for score in queue.leases.values())
    queue.counts["pending"], queue.counts["processing"] = max(depth - running, 0), running
    retrying = sum(queue.jobs[job_id].status == "retrying" for job_id in queue.scheduled)
    queue.counts["retrying"], queue.counts["scheduled"] = retrying, len(queue.scheduled) - retrying
    for status in ENDED:
        queue.counts[status] = len(queue.index[status])
    queue.drifted = False


def _mend(queue: Queue, job: ModelJob, now: int) -> None:
    if job.damage:
        queue.quarantine(job, None, now)
        return
    stands_on_lane = any(job.message is message for message in queue.lanes[job.lane])
    if job.status == "pending" and job.id not in queue.leases and not stands_on_lane:
        queue.add_message(job, job.lane)
    elif job.status == "processing":
        if not stands_on_lane:
            queue.add_message(job, job.lane)
        queue.leases.setdefault(job.id, now + queue.timings.lease)
    elif job.status in ("scheduled", "retrying"):
        queue.scheduled.setdefault(job.id, now)
