"""The transitions of flow control, each as one typed call; part of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from penstock.core.compression import expanded
from penstock.store.connect import translated
from penstock.store.script_calls import ScriptCalls, texts

MOST_ENTRIES = 10_000
MOST_SIGNALS = 1_000
KEEP_USAGE_MS = 32 * 86_400_000


class FlowCalls(ScriptCalls):
    """Calls of the scripts for keys, parents, signals, live feeds, usage and pauses."""

    async def emit(self, entries: Sequence[tuple[str, str, str, bytes]]) -> list[str]:
        """Append ``(id, lease, kind, body)`` to live feeds: ``ok``, ``cancel``, ``lost`` or ``full``."""
        return texts(await self.call("emit", {"most_entries": MOST_ENTRIES}, entries))

    async def watch(self, ids: Sequence[str]) -> list[str]:
        """Have the ends of jobs told to their followers; answers each status, or ``gone``."""
        return texts(await self.call("watch", {}, [(job_id,) for job_id in ids]))

    async def signal(self, job_id: str, name: str, body: bytes) -> str:
        """Give a job a signal: ``woken``, ``stored``, ``ended``, ``gone`` or ``full``."""
        once = {"group": self.config.consumer_group, "most_signals": MOST_SIGNALS}
        return texts(await self.call("signal", once, [(job_id, name, body)]))[0]

    async def load_signals(self, job_id: str) -> dict[str, bytes]:
        """The signals a job was given: ``<name>#<place>`` → body."""
        stored = await self._hash(self.keys.signals + job_id)
        return {name: body for name, body in stored.items() if not name.endswith("#")}

    async def load_inputs(self, job_id: str) -> dict[str, tuple[str, bytes]]:
        """What a job's parents ended with: parent → status, and its result or error."""
        stored = await self._hash(self.keys.inputs + job_id)
        inputs = {}
        for parent, told in stored.items():
            status, _, body = told.partition(b" ")
            inputs[parent] = (status.decode(), expanded(body))
        return inputs

    async def report_usage(self, entries: Sequence[tuple[str, str, str, str, float]]) -> list[str]:
        """Add ``(id, lease, type, name, amount)`` to the sums of the hour: ``ok``, ``cancel`` or ``lost``."""
        return texts(await self.call("usage", {"keep_usage_ms": KEEP_USAGE_MS}, entries))

    async def pause(self) -> None:
        """Have claims give no more jobs; what runs goes on."""
        await self.call("pause", {"paused": "1"})

    async def resume(self) -> None:
        """Have claims give jobs again."""
        await self.call("pause", {"paused": ""})

    async def is_paused(self) -> bool:
        """Whether the queue is paused."""
        with translated(self.where):
            return bool(await cast("Any", self.client.exists(self.keys.paused)))

    async def limit_key(
        self, key: str, *, places: int = 0, jobs: int = 0, units: int = 0, window_ms: int = 0
    ) -> None:
        """Set what a key may do; all zero takes its limits away."""
        once = {"key": key, "places": places, "jobs": jobs, "units": units, "window_ms": window_ms}
        await self.call("limit", once | {"paused_until": ""})

    async def pause_key(self, key: str, until_ms: int) -> None:
        """Let no job of a rate key start before ``until_ms`` by the scripts' clock; 0 lifts the pause."""
        once = {"key": key, "places": 0, "jobs": 0, "units": 0, "window_ms": 0}
        await self.call("limit", once | {"paused_until": until_ms})

    async def link(self, links: Sequence[tuple[str, str]]) -> list[tuple[str, bytes]]:
        """Have parents tell children on other queues: ``linked``, ``gone``, or how one ended, with what."""
        answer = await self.call("link", {}, links)
        return [(answer[at].decode(), answer[at + 1]) for at in range(0, len(answer), 2)]

    async def tell(self, endings: Sequence[tuple[str, str, str, bytes]]) -> list[str]:
        """Tell children ``(child, parent, status, body)``: ``ready``, ``waiting``, ``ended`` or ``known``."""
        once = {"group": self.config.consumer_group, "keep_ms": self.keep_ms}
        return texts(await self.call("tell", once, endings))

    async def tend_keys(self, keys: Sequence[str]) -> int:
        """Evict holders that hold nothing, and give keys with a line their turn; returns the evicted."""
        return int(await self.call("tend", {}, [(key,) for key in keys]))

    async def _hash(self, key: str) -> dict[str, bytes]:
        with translated(self.where):
            stored = await cast("Any", self.client.hgetall(key))
        return {name.decode(): body for name, body in stored.items()}
