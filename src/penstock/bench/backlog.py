"""What a claim costs when many jobs wait, against few.

Two queues on one server, a long and a short one. Claims of a full batch take turns on them; only the
claim is timed, then the batch is settled and as many jobs are added, so that both keep their length.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from penstock import Job, RedisStreamsQueue, create_redis_queue
from penstock.bench.arena import Arena
from penstock.bench.players.player import PAYLOAD
from penstock.bench.processes import MeasureFailedError, ask
from penstock.bench.systems import System
from penstock.core.config import QueueConfig
from penstock.core.names import new_nonce
from penstock.core.outcomes import Outcome
from penstock.store.script_calls import BATCH

SHORT = 1000
FILL_SECONDS = 180.0
WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Backlog:
    """Medians, in milliseconds a claim of ``batch`` jobs; ``ratio`` is long over short."""

    short: int
    long: int
    batch: int
    short_ms: float
    long_ms: float
    ratio: float


async def measure(arena: Arena, system: System, waiting: int, claims: int) -> Backlog:
    """Claim from a queue of ``waiting`` jobs and from one of 1,000 in turn."""
    lengths = {arena.new_queue(): SHORT, arena.new_queue(): waiting}
    async with AsyncExitStack() as stack:
        queues = []
        for name, how_many in lengths.items():
            await ask(arena, system, "fill", {"queue": name, "how_many": how_many}, FILL_SECONDS)
            config = QueueConfig(key_prefix=arena.prefix)
            queue = await create_redis_queue(arena.url, queue_name=name, config=config)
            stack.push_async_callback(queue.close)
            queues.append(queue)
        pairs = [[await _claim_ms(queue) for queue in queues] for _ in range(WARM_UP + claims)][WARM_UP:]
    short_ms = statistics.median(pair[0] for pair in pairs)
    long_ms = statistics.median(pair[1] for pair in pairs)
    return Backlog(SHORT, waiting, BATCH, short_ms, long_ms, long_ms / short_ms)


async def _claim_ms(queue: RedisStreamsQueue) -> float:
    started = time.perf_counter()
    claim = await queue.engine.claim("bench", new_nonce(), BATCH)
    took = time.perf_counter() - started
    if len(claim.jobs) != BATCH:
        raise MeasureFailedError(f"a claim took {len(claim.jobs)} jobs of {BATCH}")
    await queue.engine.settle([Outcome(job.id, job.lease, "complete", b"null") for job in claim.jobs])
    await queue.enqueue_many([Job(payload=PAYLOAD, type="noop") for _ in claim.jobs])
    return took * 1000
