"""The name of every key, one function a key, with its type and what it holds.

All keys of a queue share the hash tag ``{queue}``, so they share a cluster slot and every script
runs on a cluster. A queue's further partitions are tagged ``{queue#1}``, ``{queue#2}`` …; ``#`` is
not allowed in queue names, so no two queues ever meet. Ids end a key: nothing is appended to them.
"""

from __future__ import annotations


def registry(prefix: str) -> str:
    """Hash of all queues: name → number of partitions. The one key without a queue's tag."""
    return f"{prefix}queues"


class QueueKeys:
    """The keys of one partition of one queue.

    The attributes behind ``job``, ``payload``, ``result``, ``steps``, ``index`` and ``claim`` are
    beginnings of keys, to which scripts add an id or a status.
    """

    def __init__(self, prefix: str, queue: str, partition: int = 0) -> None:
        """Name the keys of partition ``partition`` of ``queue`` under ``prefix``."""
        tag = queue if partition == 0 else f"{queue}#{partition}"
        self.base = f"{prefix}{{{tag}}}"

    @property
    def stream(self) -> str:
        """Stream of the normal lane: one entry ``id`` a ready or running job, deleted when settled."""
        return f"{self.base}:stream"

    @property
    def stream_high(self) -> str:
        """Stream of the high lane."""
        return f"{self.base}:stream:high"

    @property
    def stream_low(self) -> str:
        """Stream of the low lane."""
        return f"{self.base}:stream:low"

    @property
    def stream_suspects(self) -> str:
        """Stream of jobs that crashed twice; a worker runs one of them at a time."""
        return f"{self.base}:stream:suspects"

    @property
    def job(self) -> str:
        """Hash of one job: ``spec status lease attempt crashes releases message_id lane worker traits …``."""
        return f"{self.base}:job:"

    @property
    def payload(self) -> str:
        """String: a job's payload when its JSON is above 16 KiB."""
        return f"{self.base}:payload:"

    @property
    def result(self) -> str:
        """String: a job's result when its JSON is above 16 KiB."""
        return f"{self.base}:result:"

    @property
    def steps(self) -> str:
        """Hash of a job's finished steps: name → ``{"inputs": fingerprint, "result": …, "place": …}``."""
        return f"{self.base}:steps:"

    @property
    def leases(self) -> str:
        """Sorted set: job id → end of its lease in ms by the scripts' clock; 0 is a released job."""
        return f"{self.base}:leases"

    @property
    def scheduled(self) -> str:
        """Sorted set: delayed and retrying jobs by due time in ms."""
        return f"{self.base}:scheduled"

    @property
    def counts(self) -> str:
        """Hash: status → number of jobs, exact."""
        return f"{self.base}:counts"

    @property
    def index(self) -> str:
        """Sorted sets: finished, waiting and suspended jobs of one status by time, in ms."""
        return f"{self.base}:index:"

    @property
    def dlq(self) -> str:
        """Stream of dead letters: ``job error attempts crashes at traceback snapshot``."""
        return f"{self.base}:dlq"

    @property
    def events(self) -> str:
        """Stream of facts about recorded jobs: ``event job at attempt …``."""
        return f"{self.base}:events"

    @property
    def credits(self) -> str:
        """Hash: lane → claims left in the current round."""
        return f"{self.base}:credits"

    @property
    def bell(self) -> str:
        """List of at most 64 tokens that wake idle workers."""
        return f"{self.base}:bell"

    @property
    def pulse(self) -> str:
        """String: when any worker last beat, in ms by the scripts' clock."""
        return f"{self.base}:pulse"

    @property
    def amnesty(self) -> str:
        """String: until when nothing is reclaimed after an outage, in ms."""
        return f"{self.base}:amnesty"

    @property
    def workers(self) -> str:
        """Hash: worker id → ``incarnation seen_ms {"host": …}``."""
        return f"{self.base}:workers"

    @property
    def claim(self) -> str:
        """String per consumer: its last claim's request id and job ids, for a repeat; lives a minute."""
        return f"{self.base}:claim:"

    @property
    def scratch(self) -> str:
        """Never exists: what scripts delete first so that they also run at maxmemory."""
        return f"{self.base}:scratch"

    @property
    def home(self) -> str:
        """What the keys of flow control begin with: scripts that need them make them from this."""
        return f"{self.base}:"

    @property
    def stream_keyed(self) -> str:
        """Stream of jobs that were admitted from their key's line; claims read it at once."""
        return f"{self.base}:stream:keyed"

    @property
    def flow_line(self) -> str:
        """Sorted set per lane and key (``<lane>:<key>``): waiting jobs of the key in the order they came."""
        return f"{self.base}:line:"

    @property
    def turns(self) -> str:
        """Sorted set per lane: keys with a line by the turn at which each is next."""
        return f"{self.base}:turns:"

    @property
    def holders(self) -> str:
        """Set per key: ids of the jobs that hold its places."""
        return f"{self.base}:holders:"

    @property
    def limits(self) -> str:
        """Hash: key → ``places jobs units window_ms``, 0 for no limit."""
        return f"{self.base}:limits"

    @property
    def pauses(self) -> str:
        """Sorted set: keys by the time until which they are paused, in ms."""
        return f"{self.base}:pauses"

    @property
    def starts(self) -> str:
        """List per rate key: start times within its window."""
        return f"{self.base}:starts:"

    @property
    def booked(self) -> str:
        """List per rate key: ``time units id`` of what was booked within its window."""
        return f"{self.base}:booked:"

    @property
    def spent(self) -> str:
        """String per rate key: the sum of its booked units."""
        return f"{self.base}:spent:"

    @property
    def timers(self) -> str:
        """Sorted set by due time (ms): ``job <id>`` asleep, ``late <id>`` expiring, ``rate <lane> <key>``."""
        return f"{self.base}:timers"

    @property
    def asleep(self) -> str:
        """Sorted set per lane and rate key (``<lane>:<rate key>``): keys that wait for it by their turn."""
        return f"{self.base}:asleep:"

    @property
    def unique(self) -> str:
        """String per unique key: the id that holds it and until when its window lasts, in ms."""
        return f"{self.base}:unique:"

    @property
    def parents(self) -> str:
        """Set: parents that a job still waits for."""
        return f"{self.base}:parents:"

    @property
    def children(self) -> str:
        """Set: jobs to tell when a job ends; ``queue/id`` on another queue."""
        return f"{self.base}:children:"

    @property
    def inputs(self) -> str:
        """Hash: parent → how it ended and its result or error."""
        return f"{self.base}:inputs:"

    @property
    def fanout(self) -> str:
        """List: ended jobs whose children have not all been told."""
        return f"{self.base}:fanout"

    @property
    def crossings(self) -> str:
        """Stream: endings to be told to children on other queues."""
        return f"{self.base}:crossings"

    @property
    def signals(self) -> str:
        """Hash: ``<name>#<place>`` → signal, ``<name>#`` → how many came."""
        return f"{self.base}:signals:"

    @property
    def live(self) -> str:
        """Stream: a job's live feed, ``kind at body``."""
        return f"{self.base}:live:"

    @property
    def usage(self) -> str:
        """Hash per hour (epoch seconds): ``<type>|<key>|<name>`` → sum that jobs reported."""
        return f"{self.base}:usage:"

    @property
    def paused(self) -> str:
        """String: there while the queue is paused."""
        return f"{self.base}:paused"

    @property
    def cron(self) -> str:
        """Hash: schedule → JSON, ``<schedule>#last`` → newest slot dealt with in ms, ``…#paused``."""
        return f"{self.base}:cron"

    @property
    def cron_due(self) -> str:
        """Sorted set: schedules that are not paused, by their next slot in ms."""
        return f"{self.base}:cron_due"

    @property
    def calls(self) -> str:
        """Channel of calls: ``cancel <id> <lease>``, ``emit <id>``, ``end <id>``, ``schedule``."""
        return f"{self.base}:calls"
