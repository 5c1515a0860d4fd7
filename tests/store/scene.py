"""A queue with its clock and a look behind it, for tests of the store."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from penstock import TRANSITIONS, Job, JobStatus, ManualClock, RedisStreamsQueue
from penstock.core.outcomes import Claim, Claimed, Outcome, OutcomeKind, SettleCode
from penstock.store.engine import Engine
from penstock.store.limits import Limits
from penstock.worker.janitor import Janitor

LANE_KEYS = ("stream", "stream_high", "stream_low", "stream_suspects", "stream_keyed")

# What a queue keeps when every job it ever had is over. docs/keys.md says the same for people.
LEFT = {
    "penstock:queues",
    "penstock:{q}:counts",
    "penstock:{q}:credits",
    "penstock:{q}:crossings",
    "penstock:{q}:dlq",
    "penstock:{q}:events",
    "penstock:{q}:stream",
    "penstock:{q}:stream:high",
    "penstock:{q}:stream:low",
    "penstock:{q}:stream:keyed",
    "penstock:{q}:stream:suspects",
    "penstock:{q}:workers",
}
# Keys that go by themselves, within a day at most.
PASSING = {"penstock:{q}:pulse", "penstock:{q}:amnesty", "penstock:{q}:bell"}


class Scene:
    """Jobs by id, claims, outcomes and time, in as few words as a test can read."""

    def __init__(self, queue: RedisStreamsQueue, clock: ManualClock, client: Any, watch: "MoveWatch") -> None:
        self.queue = queue
        self.clock = clock
        self.client: Any = client
        self.moves = watch.moves
        self.engine: Engine = queue.engine
        self.keys = queue.engine.keys
        self.limits = Limits(queue.engine)
        self._requests = 0

    async def add(self, *ids: str, delay_seconds: float = 0, **fields: Any) -> list[str]:
        """Enqueue one job for each id."""
        jobs = [Job(id=job_id, **fields) for job_id in ids]
        return await self.queue.enqueue_many(jobs, delay_seconds=delay_seconds)

    async def claim(self, count: int = 64, consumer: str = "w:1", seats: int = 1) -> Claim:
        """Claim under a request id of its own."""
        self._requests += 1
        return await self.engine.claim(consumer, f"request{self._requests}", count, suspect_seats=seats)

    async def take(self, *ids: str, consumer: str = "w:1") -> dict[str, Claimed]:
        """Claim exactly these jobs."""
        claim = await self.claim(max(len(ids), 1), consumer)
        assert {job.id for job in claim.jobs} == set(ids)
        return {job.id: job for job in claim.jobs}

    async def take_one(self, job_id: str, consumer: str = "w:1") -> Claimed:
        """Claim this job, which is next in line."""
        return (await self.take(job_id, consumer=consumer))[job_id]

    async def settle(
        self,
        claimed: Claimed,
        kind: OutcomeKind = "complete",
        body: bytes | str = b"",
        delay_ms: int = 0,
        detail: str = "",
    ) -> SettleCode:
        """Settle one attempt."""
        outcome = Outcome(claimed.id, claimed.lease, kind, body, delay_ms, detail)
        return (await self.engine.settle([outcome]))[0]

    async def settle_all(self, claimed: Iterable[Claimed], kind: OutcomeKind = "complete") -> set[str]:
        """Settle attempts together; the answers."""
        return set(await self.engine.settle([Outcome(job.id, job.lease, kind) for job in claimed]))

    async def beat(self, *claimed: Claimed, worker_id: str = "w") -> None:
        """One heartbeat of the worker."""
        leases = [(job.id, job.lease) for job in claimed]
        await self.engine.renew(worker_id, f"{worker_id}:1", "{}", leases, starting=True)

    async def pass_time(self, seconds: float, *claimed: Claimed) -> None:
        """Let time pass with a worker beating throughout, which renews only these leases."""
        await self.beat(*claimed)
        while seconds > 0:
            self.clock.advance(seconds=min(seconds, 5))
            seconds -= 5
            await self.beat(*claimed)

    async def die(self, seconds: float = 15) -> None:
        """Let every lease lapse while somebody else beats."""
        await self.pass_time(seconds + 0.001)

    async def status(self, job_id: str) -> str | None:
        """What the job's hash says."""
        found = await self.queue.get_status(job_id)
        return None if found is None else found.status.value

    async def field(self, job_id: str, name: str) -> str | None:
        """One field of the job's hash."""
        value = await self.client.hget(self.keys.job + job_id, name)
        return None if value is None else str(value)

    async def counts(self) -> dict[str, int]:
        """Counts by status that are not zero."""
        counted = await self.client.hgetall(self.keys.counts)
        return {status: int(value) for status, value in counted.items() if int(value)}

    async def depth(self) -> int:
        """Entries in all lanes."""
        return sum([await self.client.xlen(getattr(self.keys, lane)) for lane in LANE_KEYS])

    async def letters(self) -> list[dict[str, str]]:
        """The dead letters, oldest first."""
        client: Any = self.engine.client
        return [
            {name.decode(): value.decode(errors="replace") for name, value in letter.items()}
            for _, letter in await client.xrange(self.keys.dlq)
        ]

    async def events(self) -> list[tuple[str, str]]:
        """The events as (event, job), oldest first."""
        return [(fact["event"], fact["job"]) for _, fact in await self.client.xrange(self.keys.events)]

    async def sweep(self) -> int:
        """One round of the janitor."""
        return await Janitor(self.engine).sweep()

    async def assert_balanced(self) -> None:
        """Counts by status must equal the jobs' own statuses, and the auditor's books must balance."""
        found: dict[str, int] = {}
        # A scan may name a key twice.
        match = self.keys.job.replace("{", "\\{") + "*"
        for key in {key async for key in self.client.scan_iter(match=match)}:
            status = await self.client.hget(key, "status")
            found[status] = found.get(status, 0) + 1
        assert await self.counts() == found
        books = await self.engine.call("audit", {"group": self.queue.group_name})
        assert books[::2] == books[1::2]


LOOK = """
local found = {}
if redis.call('DBSIZE') > 120 then return found end
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local values = redis.pcall('HMGET', key, 'status', 'lease')
  if not values.err then
    for _, value in ipairs({ key, values[1], values[2] }) do found[#found + 1] = value end
  end
end
return found
"""


class MoveWatch:
    """Notes each job's status before and after every script, and refuses moves not in TRANSITIONS."""

    def __init__(self) -> None:
        self.moves: set[tuple[JobStatus, JobStatus]] = set()
        self._begun = 0
        self._under_way = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[int]:
        """A call under way; what is given is for ``was_alone``."""
        self._begun += 1
        self._under_way += 1
        try:
            yield self._begun if self._under_way == 1 else 0
        finally:
            self._under_way -= 1

    def was_alone(self, turn: int) -> bool:
        """Whether no other call was under way during this one so far."""
        return turn == self._begun

    async def look(self, engine: Engine) -> dict[str, tuple[str, str]]:
        """Status and lease of each job; nothing when there are too many to look at each time."""
        client: Any = engine.client
        prefix = engine.keys.job
        found = await client.eval(LOOK, 1, prefix)
        return {
            key.decode().removeprefix(prefix): (_text(status), _text(lease))
            for key, status, lease in zip(found[::3], found[1::3], found[2::3], strict=True)
        }

    def compare(
        self, script: str, before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]
    ) -> None:
        """Hold each move against the table."""
        for job_id, (old, lease) in before.items():
            if old not in set(JobStatus) or job_id not in after:
                continue
            new, new_lease = after[job_id]
            if old == new and (old != "processing" or lease == new_lease):
                continue
            move = JobStatus(old), JobStatus(new)
            assert move[1] in TRANSITIONS[move[0]], f"{script} moved {job_id} from {old} to {new}"
            self.moves.add(move)


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
