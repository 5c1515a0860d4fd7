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
        """Hash of one job: ``spec status lease attempt crashes releases message_id lane worker …``."""
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
        """Hash of a job's finished steps: name → ``{"inputs": fingerprint, "result": …}``."""
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
        """Sorted sets: finished jobs of one status by the time they ended, in ms."""
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
