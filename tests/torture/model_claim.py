"""What a claim is to do, told with the help of how far the server says it read each lane.

The order of lanes within one claim is the store's affair, so it is observed rather than predicted.
Everything else is not: who comes first, how many, in which order within a lane, and under what lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.torture.model import Queue
from tests.torture.model_parts import RELEASED, Message, ModelJob, Request


@dataclass(frozen=True)
class Expected:
    """First come `first`, in this order; then those of `by_lane`, each lane in its order."""

    first: list[str]
    by_lane: list[list[str]]
    total: int

    def accepts(self, answered: list[str]) -> bool:
        """Whether a claim may answer these ids in this order."""
        rest = answered[len(self.first) :]
        in_order = all([job for job in rest if job in lane] == lane for lane in self.by_lane)
        same = sorted(rest) == sorted(job for lane in self.by_lane for job in lane)
        return answered[: len(self.first)] == self.first and in_order and same and len(answered) == self.total


def claim(queue: Queue, request: Request, now: int, read_to: Mapping[str, tuple[int, int]]) -> Expected:
    """Move the jobs as this claim is to; answer what may be handed over."""
    earlier = queue.claims.get(request.consumer)
    if earlier and earlier[0] == request.id:
        again = [job_id for job_id in earlier[1] if _is_still_under(queue.jobs.get(job_id), request.id)]
        queue.leases |= dict.fromkeys(again, now + request.lease_ms)
        return Expected(again, [], len(again))
    first, seats = _take_lapsed(queue, request, now)
    room = request.count - len(first)
    possible = len(first) + min(room, _claimable(queue, seats))
    reader = _LaneReader(queue, request, seats, now)
    by_lane = [
        [message.job for message in messages if reader.runs(message)]
        for _, messages in queue.deliver(read_to)
    ]
    return Expected(first, by_lane, possible)


def _is_still_under(job: ModelJob | None, request_id: str) -> bool:
    if job is None or job.damage or job.status != "processing" or not job.lease:
        return False
    return job.lease.partition(":")[2] == request_id


def _take_lapsed(queue: Queue, request: Request, now: int) -> tuple[list[str], int]:
    taken: list[str] = []
    seats = request.seats
    queue.spared_until = queue.seated = 0
    if not queue.leases or min(queue.leases.values()) > now:
        return taken, seats
    queue.spared_until = spared = queue.amnesty_until(now)
    for job_id in queue.lapsed(now, request.count):
        job = queue.jobs[job_id]
        if job.damage:
            queue.quarantine(job, "pending" if queue.leases[job_id] == RELEASED else "processing", now)
            continue
        if job.status == "processing" and (
            queue.is_spared(job, spared, now) or not queue.charge_crash(job, now)
        ):
            continue
        if job.is_suspect and seats <= 0:
            queue.seat_among_suspects(job)
            continue
        seats -= job.is_suspect
        queue.take(job, request, now)
        taken.append(job_id)
    return taken, seats


def _claimable(queue: Queue, seats: int) -> int:
    """How many jobs wait on the lanes for this worker."""
    waiting = [message for lane in ("normal", "high", "low") for message in queue.lanes[lane]]
    waiting = [message for message in waiting if not message.delivered]
    head = next((message for message in queue.lanes["suspects"] if not message.delivered), None)
    if head is not None and seats > 0:
        waiting.append(head)
    jobs = [job for message in waiting if (job := _waiting_job(queue, message)) is not None]
    suspects = sum(job.is_suspect for job in jobs)
    return len(jobs) - suspects + min(seats, suspects)


def _waiting_job(queue: Queue, message: Message) -> ModelJob | None:
    job = queue.jobs.get(message.job)
    if job is None or job.damage or job.status != "pending" or job.message is not message:
        return None
    return job


class _LaneReader:
    """Does with each message of a lane what a claim is to do with it."""

    def __init__(self, queue: Queue, request: Request, seats: int, now: int) -> None:
        self._queue = queue
        self._request = request
        self._seats = seats
        self._now = now

    def runs(self, message: Message) -> bool:
        """Whether its job is handed over."""
        queue, job = self._queue, self._queue.jobs.get(message.job)
        if job is not None and job.damage:
            queue.quarantine(job, "pending", self._now)
        elif job is not None and job.message is message and job.status == "processing":
            return False
        elif job is not None and job.message is message and job.status == "pending":
            return self._takes(job)
        queue.remove_message(message)
        return False

    def _takes(self, job: ModelJob) -> bool:
        if job.is_suspect and self._seats <= 0:
            self._queue.seat_among_suspects(job)
            return False
        self._seats -= job.is_suspect
        self._queue.take(job, self._request, self._now)
        return True
