"""Who works on a queue: the registry that heartbeats keep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from penstock.store.connect import translated

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue


@dataclass(frozen=True, slots=True)
class RegisteredWorker:
    """A worker as its last heartbeat described it; one that has died stays for some minutes."""

    worker_id: str
    host: str
    pid: int
    concurrency: int
    silent_seconds: float


async def list_workers(queue: RedisStreamsQueue) -> list[RegisteredWorker]:
    """The workers of a queue by id. Raises `QueueUnavailableError` while the server is away."""
    engine = queue.engine
    with translated(engine.where):
        entries = await cast("Any", engine.client.hgetall(engine.keys.workers))
        seconds, microseconds = await cast("Any", engine.client.time())
    now_ms = seconds * 1000 + microseconds // 1000
    return [_read(name.decode(), entry.decode(), now_ms) for name, entry in sorted(entries.items())]


def _read(worker_id: str, entry: str, now_ms: int) -> RegisteredWorker:
    _, seen_ms, info = entry.split(" ", 2)
    facts = json.loads(info)
    return RegisteredWorker(
        worker_id,
        str(facts.get("host", "")),
        int(facts.get("pid", 0)),
        int(facts.get("concurrency", 0)),
        max(0.0, (now_ms - int(seen_ms)) / 1000),
    )
