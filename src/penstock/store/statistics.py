"""Numbers about one queue."""

from __future__ import annotations

from typing import Any, cast

import redis

from penstock.core.job import JobStatus
from penstock.store.connect import translated
from penstock.store.engine import Engine


async def read_stats(engine: Engine) -> dict[str, int]:
    """Counts by status, ``stream_length``, ``pending_in_group`` and ``dead_letters``."""
    keys = engine.keys
    streams = (keys.stream, keys.stream_high, keys.stream_low, keys.stream_suspects, keys.stream_keyed)
    many = len(streams)
    with translated(engine.where):
        pipe = cast("Any", engine.client.pipeline(transaction=False))
        for stream in streams:
            pipe.xlen(stream)
        for stream in streams:
            pipe.xpending(stream, engine.config.consumer_group)
        pipe.hgetall(keys.counts)
        pipe.xlen(keys.dlq)
        answers = await pipe.execute(raise_on_error=False)
    for answer in answers:
        # A lane that was never used has no group yet.
        if isinstance(answer, Exception) and "NOGROUP" not in str(answer):
            with translated(engine.where):
                raise answer
    counted = {name.decode(): int(value) for name, value in answers[2 * many].items()}
    return {
        "stream_length": sum(answers[:many]),
        "pending_in_group": sum(_pending(answer) for answer in answers[many : 2 * many]),
        "dead_letters": answers[2 * many + 1],
        **{status.value: counted.get(status.value, 0) for status in JobStatus},
    }


def _pending(answer: Any) -> int:
    return 0 if isinstance(answer, redis.exceptions.ResponseError) else int(answer["pending"])
