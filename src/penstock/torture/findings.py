"""What is found when all is over: every job, the events, the books, and the keys that retention leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

from penstock.core.clock import ManualClock
from penstock.core.job import Job
from penstock.store.engine import Engine
from penstock.store.streams import RedisStreamsQueue
from penstock.torture.faults import Blow
from penstock.torture.judge import Evidence
from penstock.torture.ledger import Ledger
from penstock.torture.producer import Producer
from penstock.torture.scenarios import Scenario
from penstock.worker.janitor import Janitor

FACTS_A_READ = 5000
JOBS_AT_ONCE = 50
#: Further ahead than any clock of a scenario.
MARGIN_MS = 2 * 86_400_000
#: What stands as long as a queue does: its lanes, books, bell and registers, none of which grow with jobs.
STANDING_KEYS = frozenset(
    {"stream", "stream:high", "stream:low", "stream:suspects", "stream:keyed", "counts", "credits", "dlq"}
    | {"events", "bell", "pulse", "amnesty", "workers", "crossings"}
)


async def find_evidence(
    scenario: Scenario,
    queue: RedisStreamsQueue,
    producer: Producer,
    ledger: Ledger,
    blows: Sequence[Blow],
    workers_lost: int,
) -> Evidence:
    """Read everything back; ends with the retention of all jobs being over."""
    found = await _look_up(queue, sorted(producer.acknowledged))
    books = await queue.engine.call("audit", {"group": queue.group_name})
    facts = await _facts(queue)
    return Evidence(
        scenario,
        producer.jobs,
        producer.acknowledged,
        found,
        ledger.entries(),
        facts,
        blows,
        await keys_after_retention(queue),
        unbalanced=books[::2] != books[1::2],
        workers_lost=workers_lost,
    )


async def _look_up(queue: RedisStreamsQueue, ids: Sequence[str]) -> dict[str, Job | None]:
    found: dict[str, Job | None] = {}
    for at in range(0, len(ids), JOBS_AT_ONCE):
        some = ids[at : at + JOBS_AT_ONCE]
        found.update(zip(some, await asyncio.gather(*map(queue.get_status, some)), strict=True))
    return found


async def _facts(queue: RedisStreamsQueue) -> list[tuple[str, str]]:
    """The events stream as it stands: one fact for every settle that was accepted, nothing merged."""
    client, events = cast("Any", queue.client), queue.engine.keys.events
    facts: list[tuple[str, str]] = []
    first = "-"
    while entries := await client.xrange(events, first, "+", count=FACTS_A_READ):
        facts += [(fields[b"event"].decode(), fields[b"job"].decode()) for _, fields in entries]
        first = "(" + entries[-1][0].decode()
    return facts


async def keys_after_retention(queue: RedisStreamsQueue) -> list[str]:
    """Moves the scripts' clock past the retention, sweeps, and names the keys that are left."""
    clock = ManualClock(round(time.time() * 1000) + queue.config.ttl_ms + MARGIN_MS)
    engine = Engine(queue.client, queue.engine.keys, queue.config, queue.timings, clock)
    await Janitor(engine).sweep()
    base = engine.keys.base + ":"
    client = cast("Any", queue.client)
    found = [key.decode() async for key in client.scan_iter(match=queue.config.key_prefix + "*", count=1000)]
    names = [key.removeprefix(base) for key in found if key.startswith(base)]
    # A claim's answer is kept for a minute by a TTL of its own.
    return sorted(name for name in names if name not in STANDING_KEYS and not name.startswith("claim:"))
