"""The engine: every transition as one typed call, in batches of at most 64 jobs.

Everything above (single verbs, workers, janitors) is written on these calls. Each answers one code
a job, in the order asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from penstock.core.clock import Clock
from penstock.core.compression import expanded
from penstock.core.outcomes import Beat, Claim, Claimed, Outcome, Promotion, SettleCode
from penstock.core.timings import LeaseTimings
from penstock.store.accept_calls import AcceptCalls
from penstock.store.connect import Client, longest_wait_seconds, translated
from penstock.store.flow_calls import FlowCalls
from penstock.store.keys import QueueKeys
from penstock.store.packing import packed_outcomes, packed_steps
from penstock.store.script_calls import BATCH, texts

if TYPE_CHECKING:
    # The heartbeat process imports this module and should start quickly.
    from penstock.core.config import QueueConfig

MOST_STEPS = 1000


class Engine(AcceptCalls, FlowCalls):
    """The transitions of one partition of one queue."""

    def __init__(
        self,
        client: Client,
        keys: QueueKeys,
        config: QueueConfig,
        timings: LeaseTimings,
        clock: Clock | None = None,
    ) -> None:
        """Bind the calls to a client, a queue's keys and its settings."""
        super().__init__(client, keys, config, clock)
        self.timings = timings
        self._bell_limit = longest_wait_seconds(client)

    async def claim(
        self,
        consumer: str,
        request_id: str,
        count: int,
        *,
        unrenewed_ms: int | None = None,
        suspect_seats: int = 1,
    ) -> Claim:
        """Take up to ``count`` jobs; the same ``request_id`` again returns the same batch.

        ``unrenewed_ms`` is the length of a lease that no heartbeat will renew.
        """
        once = self._claim_of(consumer, request_id, count, unrenewed_ms, suspect_seats)
        return _read_claim(await self._call("claim", once))

    async def claim_at_bell(self, consumer: str, request_id: str, timeout_seconds: float) -> Claim:
        """Sleep until work may be there, at most ``timeout_seconds``, then take one job.

        The claim is sent behind the wait, so it is made on the server as soon as the bell rings: a job that
        comes is on its way to the worker at once. One alone, because a worker that dies while it waits
        without its connection being closed takes what it claims with it, until the lease ends.
        """
        once = self._claim_of(consumer, request_id, 1, None, 1)
        send, script, keys = self._script("claim")
        time = self._time(script)
        if not send.may_follow or time["now_ms"] != "":
            # A clock of ours says what time it is when the claim is made, not when the wait began.
            await self.wait_for_bell(timeout_seconds)
            return _read_claim(await self._call("claim", once))
        bell = ("BLPOP", self.keys.bell, self._bell_seconds(timeout_seconds))
        with translated(self.where):
            return _read_claim(await send.behind(bell, keys, script.arguments(once | time)))

    async def settle(
        self, outcomes: Sequence[Outcome], *, leave_to_janitor: bool = False
    ) -> list[SettleCode]:
        """Settle attempts, each under its own lease.

        ``leave_to_janitor`` saves the finished jobs' key TTLs, where a janitor is sure to come by.
        """
        keep_ms = "" if leave_to_janitor else self.keep_ms
        once = {"group": self.config.consumer_group, "keep_ms": keep_ms}
        packed = packed_outcomes(outcomes, self.config.compress_above_bytes)
        return cast("list[SettleCode]", texts(await self._call("settle", once, packed)))

    async def renew(
        self,
        worker_id: str,
        incarnation: str,
        info: str,
        leases: Sequence[tuple[str, str]],
        *,
        starting: bool = False,
    ) -> Beat:
        """One heartbeat for a worker and the leases it holds."""
        once = renewal(self.timings, worker_id, incarnation, info, starting=starting)
        return read_beat(await self._call("renew", once, leases))

    async def promote(self) -> Promotion:
        """Move due jobs to where workers find them, and tell children of parents that have ended."""
        once = {"group": self.config.consumer_group, "keep_ms": self.keep_ms, "most": BATCH}
        promoted, due, crossings = await self._call("promote", once)
        return Promotion(promoted, None if due < 0 else due, crossings)

    async def cancel(self, ids: Sequence[str]) -> list[str]:
        """Cancel jobs: ``cancelled``, ``cancelling``, ``ended``, ``gone`` or ``corrupt`` for each."""
        once = {"group": self.config.consumer_group, "keep_ms": self.keep_ms}
        return texts(await self._call("cancel", once, [(job_id,) for job_id in ids]))

    async def note_progress(self, notes: Sequence[tuple[str, str, float, str]]) -> list[str]:
        """Note ``(id, lease, percent, step)``: ``ok``, ``cancel`` or ``lost`` for each."""
        return texts(await self._call("progress", {}, notes))

    async def store_steps(self, steps: Sequence[tuple[str, str, str, bytes]]) -> list[str]:
        """Store ``(id, lease, name, body)``: ``ok``, ``cancel``, ``lost``, ``full`` or ``corrupt``."""
        packed = packed_steps(steps, self.config.compress_above_bytes)
        return texts(await self._call("step", {"most_steps": MOST_STEPS}, packed))

    async def load_steps(self, job_id: str) -> dict[str, bytes]:
        """The finished steps of a job: name → stored body."""
        with translated(self.where):
            stored = await cast("Any", self.client.hgetall(self.keys.steps + job_id))
        return {name.decode(): expanded(body) for name, body in stored.items()}

    async def load_payload(self, job_id: str) -> bytes | None:
        """The JSON of a payload that is stored apart from its spec."""
        return await self._load(self.keys.payload + job_id)

    async def load_result(self, job_id: str) -> bytes | None:
        """The JSON of a result that is stored apart from its job."""
        return await self._load(self.keys.result + job_id)

    async def _load(self, key: str) -> bytes | None:
        with translated(self.where):
            stored = await cast("Any", self.client.get(key))
        return None if stored is None else expanded(stored)

    async def wait_for_bell(self, timeout_seconds: float) -> bool:
        """Sleep until work may be there, at most ``timeout_seconds``; ``True`` if the bell rang."""
        wait = self._bell_seconds(timeout_seconds)
        with translated(self.where):
            return await cast("Any", self.client.blpop([self.keys.bell], wait)) is not None

    def _bell_seconds(self, timeout_seconds: float) -> float:
        return max(min(timeout_seconds, self._bell_limit), 0.01)

    def _claim_of(
        self, consumer: str, request_id: str, count: int, unrenewed_ms: int | None, suspect_seats: int
    ) -> dict[str, Any]:
        return {
            "group": self.config.consumer_group,
            "consumer": consumer,
            "request_id": request_id,
            "count": min(count, BATCH),
            "lease_ms": self.timings.lease_ms if unrenewed_ms is None else unrenewed_ms,
            "unrenewed": "" if unrenewed_ms is None else "1",
            "suspect_seats": suspect_seats,
            "beat_ms": self.timings.beat_ms,
            "amnesty_ms": self.timings.lease_ms,
            "keep_ms": self.keep_ms,
        }


def _read_claim(reply: list[Any]) -> Claim:
    jobs = [
        Claimed(reply[at].decode(), reply[at + 1].decode(), *reply[at + 2 : at + 6])
        for at in range(2, len(reply), 6)
    ]
    lapse, due = reply[0], reply[1]
    return Claim(jobs, None if lapse < 0 else lapse, None if due < 0 else due)


def renewal(
    timings: LeaseTimings, worker_id: str, incarnation: str, info: str, *, starting: bool
) -> dict[str, Any]:
    """The arguments of one heartbeat, without the time; the heartbeat process sends the same."""
    return {
        "worker_id": worker_id,
        "incarnation": incarnation,
        "info": info,
        "lease_ms": timings.lease_ms,
        "beat_ms": timings.beat_ms,
        "amnesty_ms": timings.lease_ms,
        "starting": "1" if starting else "",
    }


def read_beat(reply: list[Any]) -> Beat:
    """Read the heartbeat script's answer."""
    return Beat(reply[0] == b"superseded", texts(reply[1]), texts(reply[2]))
