"""What a claim is to do: who comes first, how lanes and keys share, and under what lease.

Lapsed leases come first, then a suspect, then the lanes by their credits: six, three and one of ten. Within
a lane, half goes to jobs without a key and half to keys in turn; what one side leaves the other gets.
"""

import math
from dataclasses import dataclass

from tests.torture.model import Queue
from tests.torture.model_parts import RELEASED, Message, ModelJob, Request

WEIGHTS = {"high": 6, "normal": 3, "low": 1}
ROUND = 10
TOLD_A_CLAIM = 64


@dataclass(frozen=True)
class Expected:
    """The jobs in their order, and the times until the next lapse and the next due job, if they are told."""

    jobs: list[str]
    lapse_in_ms: int | None = None
    due_in_ms: int | None = None


def claim(queue: Queue, request: Request, now: int) -> Expected:
    """Move the jobs as this claim is to; answer what it hands over."""
    queue.spared_until = queue.seated = 0
    earlier = queue.claims.get(request.consumer)
    if earlier and earlier[0] == request.id:
        again = [job_id for job_id in earlier[1] if _is_still_under(queue.jobs.get(job_id), request.id)]
        queue.leases |= dict.fromkeys(again, now + request.lease_ms)
        return Expected(again)
    is_plain = not (
        queue.made_lanes - {"normal"} or queue.turns or queue.fanout or queue.timers or queue.paused
    )
    if not is_plain and queue.paused:
        return Expected([])
    taker = _Taker(queue, request, now)
    # What leaves its lane is still met in this claim.
    queue.departing = []
    taker.take_lapsed()
    if is_plain:
        taker.drain("normal")
    else:
        queue.resolve(TOLD_A_CLAIM, now)
        taker.take_suspects()
        taker.drain("keyed")
        taker.drain_by_credits()
    queue.remove_departed()
    if taker.taken:
        queue.claims[request.consumer] = (request.id, list(taker.taken))
    if len(taker.taken) >= request.count:
        return Expected(taker.taken)
    return Expected(taker.taken, _lapse_in(queue, now), queue.next_due(now))


def _lapse_in(queue: Queue, now: int) -> int | None:
    if not queue.leases:
        return None
    return max(min(queue.leases.values()), queue.spared_until, now) - now


def _is_still_under(job: ModelJob | None, request_id: str) -> bool:
    if job is None or job.damage or job.status != "processing" or not job.lease:
        return False
    return job.lease.partition(":")[2] == request_id


class _Taker:
    """One claim on its way through the places where jobs wait."""

    def __init__(self, queue: Queue, request: Request, now: int) -> None:
        self._queue = queue
        self._request = request
        self._seats = request.seats
        self._now = now
        self.taken: list[str] = []

    @property
    def _room(self) -> int:
        return self._request.count - len(self.taken)

    def take_lapsed(self) -> None:
        """A crash is charged, unless the job was given back or an amnesty holds."""
        queue, now = self._queue, self._now
        lapsed = queue.lapsed(now, self._request.count)
        if lapsed:
            queue.spared_until = queue.amnesty_until(now)
        for job_id in lapsed:
            job = queue.jobs[job_id]
            if job.damage:
                queue.quarantine(job, "pending" if queue.leases[job_id] == RELEASED else "processing", now)
            elif job.status == "pending" or (
                not queue.is_spared(job, queue.spared_until, now) and queue.charge_crash(job, now)
            ):
                self._take(job)

    def _take(self, job: ModelJob) -> None:
        if job.is_suspect and self._seats <= 0:
            self._queue.seat_among_suspects(job)
            return
        self._seats -= job.is_suspect
        self._queue.take(job, self._request, self._now)
        self.taken.append(job.id)

    def take_suspects(self) -> None:
        """As many as there are seats for."""
        while self._seats > 0 and self._room > 0 and self._read("suspects", 1):
            continue

    def drain(self, lane: str) -> None:
        """Until the lane is empty or the worker full."""
        while self._room > 0:
            most = self._room
            if self._read(lane, most) < most:
                return

    def drain_by_credits(self) -> None:
        """Credits outlive the claim; when all lanes that have something have spent theirs, a round begins."""
        left, dry = self._queue.credits, set[str]()
        while True:
            spent = True
            for lane in WEIGHTS:
                most = min(left[lane], self._room)
                if lane not in dry and most > 0:
                    before = len(self.taken)
                    if self._read_lane(lane, most) < most:
                        dry.add(lane)
                    left[lane] -= len(self.taken) - before
                spent = spent and (lane in dry or left[lane] <= 0)
            if spent and len(dry) < len(WEIGHTS):
                rounds = max(1, self._room // ROUND)
                left |= {lane: weight * rounds for lane, weight in WEIGHTS.items()}
            if len(dry) == len(WEIGHTS) or self._room <= 0:
                return

    def _read_lane(self, lane: str, most: int) -> int:
        queue = self._queue
        if lane not in queue.turns:
            return self._read(lane, most)
        queue.credits["side"] += 1
        keys_first = queue.credits["side"] % 2 == 0
        for_keys = math.ceil(most / 2) if keys_first else most // 2
        admitted = self._admit(lane, for_keys)
        read = self._read(lane, most - admitted)
        if admitted == for_keys:
            admitted += self._admit(lane, most - admitted - read)
        self._read("keyed", admitted)
        return admitted + read

    def _admit(self, lane: str, most: int) -> int:
        """One job a turn; a key that may not go on loses its turn."""
        queue, admitted = self._queue, 0
        while admitted < most and queue.turns.get(lane):
            key = queue.first_turn(lane)
            went = self._turn(lane, key)
            if went is None:
                queue.drop_turn(lane, key)
            else:
                queue.turn_over(lane, key)
                admitted += went
        return admitted

    def _turn(self, lane: str, key: str) -> int | None:
        """How many jobs the turn brought; `None` if the key may not go on."""
        queue, now = self._queue, self._now
        line = queue.lines.get((lane, key))
        if not line:
            return None
        job_id = line[0]
        job = queue.jobs.get(job_id)
        if job is not None and job.damage:
            queue.quarantine(job, "waiting", now)
        stands_here = job is not None and (job.home_lane, job.options.line_key) == (lane, key)
        if job is None or job.status != "waiting" or not stands_here:
            queue.step_out(lane, key, job_id)
            return 0
        if job.is_late(now):
            queue.finish(job, "cancelled", now, "Expired")
            return 0
        if not queue.may_start(lane, key, job, now):
            return None
        queue.step_out(lane, key, job.id)
        return int(queue.seat(job, key, now))

    def _read(self, lane: str, most: int) -> int:
        """What the group is given next of a lane; how many messages that were."""
        fresh = [message for message in self._queue.lanes[lane] if not message.delivered][:most]
        for message in fresh:
            message.delivered = True
            self._meet(message)
        return len(fresh)

    def _meet(self, message: Message) -> None:
        queue, job = self._queue, self._queue.jobs.get(message.job)
        if job is not None and job.damage:
            queue.quarantine(job, "pending", self._now)
        elif job is not None and job.message is message and job.status == "processing":
            return
        elif job is not None and job.message is message and job.status == "pending":
            if job.is_late(self._now):
                queue.finish(job, "cancelled", self._now, "Expired")
            else:
                self._take(job)
            return
        queue.remove_message(message)
