"""Reading the events stream: facts about recorded jobs, by consumer groups at their own pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import redis

from penstock.core.compression import expanded
from penstock.store.connect import longest_wait_seconds, translated
from penstock.store.engine import Engine

PAGE = 500
UNREADABLE = "unreadable"
# What may be compressed as it is stored.
_LARGE = frozenset({"body", "result"})


class Fact(NamedTuple):
    """One thing that happened to a recorded job.

    ``event`` is ``enqueued started step progress retrying deferred suspended released crashed promoted
    completed failed cancelled requeued``; ``at_ms`` is the script's time; ``fields`` holds what belongs
    to the event: ``spec``, ``worker``, ``name`` and ``body``, ``percent`` and ``step``, ``error`` and
    ``delay_ms``, ``result`` or ``result_apart``, and ``requeues`` once a dead letter was put back. An
    entry that is no fact of ours comes as ``unreadable`` with its raw fields, for the reader to set
    aside and acknowledge.
    """

    id: str
    event: str
    job_id: str
    at_ms: int
    attempt: int
    fields: dict[str, bytes]


class EventReader:
    """One consumer of one group on a queue's events stream.

    Facts are delivered until they are acknowledged: a reader that dies repeats, it never skips.
    """

    def __init__(self, engine: Engine, group: str, consumer: str) -> None:
        """Read as ``consumer`` of ``group``; the group is made at the beginning when missing."""
        self._engine = engine
        self._client = cast("Any", engine.client)
        self._group = group
        self._consumer = consumer
        self._has_caught_up = False
        self._longest_wait_ms = int(longest_wait_seconds(engine.client) * 1000)

    async def read(self, count: int = PAGE, block_ms: int = 1000) -> list[Fact]:
        """The next facts in order, own unacknowledged ones first; empty after ``block_ms``."""
        with translated(self._engine.where):
            if not self._has_caught_up:
                again = await self._take("0", count, None)
                if again:
                    return again
                self._has_caught_up = True
            return await self._take(">", count, min(block_ms, self._longest_wait_ms))

    async def acknowledge(self, facts: Sequence[Fact]) -> None:
        """Say that these facts are dealt with, for good."""
        if not facts:
            return
        with translated(self._engine.where):
            await self._client.xack(self._engine.keys.events, self._group, *(fact.id for fact in facts))

    async def take_over(self, idle_ms: int) -> int:
        """Take the unacknowledged facts of readers silent for ``idle_ms``; the next ``read`` has them."""
        taken, start = 0, "0-0"
        with translated(self._engine.where):
            while True:
                answer = await self._guarded(
                    self._client.xautoclaim,
                    self._engine.keys.events,
                    self._group,
                    self._consumer,
                    idle_ms,
                    start_id=start,
                    count=PAGE,
                    justid=False,
                )
                if not answer:
                    return taken
                taken += len(answer[1])
                start = answer[0].decode() if isinstance(answer[0], bytes) else str(answer[0])
                if answer[1]:
                    self._has_caught_up = False
                if start == "0-0":
                    return taken

    def repeat(self) -> None:
        """Deliver the unacknowledged facts again, after a failure to deal with them."""
        self._has_caught_up = False

    async def _take(self, start: str, count: int, block_ms: int | None) -> list[Fact]:
        key = self._engine.keys.events
        answer = await self._guarded(
            self._client.xreadgroup, self._group, self._consumer, {key: start}, count=count, block=block_ms
        )
        if not answer:
            return []
        # An entry without fields was trimmed while it was pending; nothing is left to deal with.
        gone = [entry_id for entry_id, fields in answer[0][1] if not fields]
        if gone:
            await self._client.xack(key, self._group, *gone)
        return [_fact(entry_id, fields) for entry_id, fields in answer[0][1] if fields]

    async def _guarded(self, command: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return await command(*arguments, **options)
        except redis.exceptions.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
        await self.make_group()
        return None

    async def make_group(self) -> None:
        """Make the group at the beginning of the stream, if it is missing."""
        with translated(self._engine.where):
            try:
                await self._client.xgroup_create(self._engine.keys.events, self._group, id="0", mkstream=True)
            except redis.exceptions.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _fact(entry_id: bytes, raw: dict[bytes, bytes]) -> Fact:
    fields = {name.decode(errors="replace"): value for name, value in raw.items()}
    known = dict(fields)
    try:
        for name in _LARGE.intersection(known):
            known[name] = expanded(known[name])
        return Fact(
            entry_id.decode(),
            known.pop("event").decode(),
            known.pop("job").decode(),
            int(known.pop("at")),
            int(known.pop("attempt")),
            known,
        )
    except (KeyError, ValueError):
        at_ms = int(entry_id.partition(b"-")[0])
        return Fact(entry_id.decode(), UNREADABLE, "", at_ms, 0, fields)
