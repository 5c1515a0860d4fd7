"""Accepting jobs, each way as one typed call; part of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError

from penstock.store.connect import translated
from penstock.store.packing import Delay, entries, plain_entries
from penstock.store.script_calls import BATCH, ScriptCalls, texts

if TYPE_CHECKING:
    # The heartbeat process imports the engine and should start quickly.
    from penstock.core.acceptance import AcceptedJob

BATCHES_TOGETHER = 4


class ScriptCall(NamedTuple):
    """One call of a script as it is sent, and the source to load where the server lacks it."""

    source: str
    command: list[Any]


class AcceptCalls(ScriptCalls):
    """Calls of the scripts that accept jobs: alone, in order, from a running job."""

    async def enqueue(self, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0) -> list[str]:
        """Accept jobs, after one delay or each after its own: ``ok``, ``kept`` or ``backlog`` for each."""
        return texts(await self._call(*self._acceptance_of(jobs, delay_ms)))

    async def enqueue_children(
        self, parent_id: str, lease: str, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0
    ) -> list[str]:
        """Accept jobs that a running job makes, under its lease: codes as ``enqueue``, or ``lost``."""
        once = self._acceptance | {"parent": parent_id, "lease": lease}
        each = entries(jobs, delay_ms, self.config.compress_above_bytes)
        return texts(await self._call("enqueue_children", once, each))

    def enqueue_call(self, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0) -> ScriptCall:
        """The command that ``enqueue`` sends, for a caller with a connection of its own."""
        name, once, each = self._acceptance_of(jobs, delay_ms)
        send, script, keys = self._script(name)
        arguments = script.arguments(once | self._time(script), each)
        return ScriptCall(script.source, ["EVALSHA", send.sha, len(keys), *keys, *arguments])

    async def enqueue_in_order(self, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0) -> list[str]:
        """Accept any number of jobs, which keep their order: ``ok``, ``kept`` or ``backlog`` for each.

        Several batches share a round trip, and one connection: two would overtake each other.
        """
        name, once, each = self._acceptance_of(jobs, delay_ms)
        batches = [each[at : at + BATCH] for at in range(0, len(each), BATCH)]
        # The first batch goes alone, which also loads the script.
        codes = [code for batch in batches[:1] for code in texts(await self._call(name, once, batch))]
        together = 1 if isinstance(self.client, RedisCluster) else BATCHES_TOGETHER
        for at in range(1, len(batches), together):
            codes += await self._call_together(name, once, batches[at : at + together])
        return codes

    async def _call_together(
        self, name: str, once: dict[str, Any], batches: Sequence[Sequence[Sequence[Any]]]
    ) -> list[str]:
        if len(batches) == 1:
            return texts(await self._call(name, once, batches[0]))
        send, script, keys = self._script(name)
        timed = once | self._time(script)
        pipe = cast("Any", self.client.pipeline(transaction=False))
        for batch in batches:
            pipe.evalsha(send.sha, len(keys), *keys, *script.arguments(timed, batch))
        with translated(self.where):
            answers = await pipe.execute(raise_on_error=False)
        codes: list[str] = []
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, NoScriptError):
                codes += texts(await self._call(name, once, batch))
                continue
            with translated(self.where):
                if isinstance(answer, Exception):
                    raise answer
            codes += texts(answer)
        return codes

    def _acceptance_of(
        self, jobs: Sequence[AcceptedJob], delay_ms: Delay
    ) -> tuple[str, dict[str, Any], list[Sequence[Any]]]:
        """The script that accepts the jobs, and what it is given once and for each."""
        plain = plain_entries(jobs, delay_ms)
        if plain is not None:
            return "enqueue_plain", {}, plain
        return "enqueue", self._acceptance, entries(jobs, delay_ms, self.config.compress_above_bytes)

    @cached_property
    def _acceptance(self) -> dict[str, Any]:
        return {
            "group": self.config.consumer_group,
            "keep_ms": self.keep_ms,
            "max_events": self.config.max_events,
        }
