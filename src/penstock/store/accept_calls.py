"""Accepting jobs, each way as one typed call; part of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoScriptError

from penstock.store.connect import translated
from penstock.store.packing import Delay, entries, plain_entries
from penstock.store.script_calls import BATCH, ScriptCalls, texts

if TYPE_CHECKING:
    # The heartbeat process imports the engine and should start quickly.
    from penstock.core.acceptance import AcceptedJob

# So many wait at the server that it always has the next, and holds no more of them.
BATCHES_IN_FLIGHT = 4


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

        They go in batches over one connection: two would overtake each other.
        """
        name, once, each = self._acceptance_of(jobs, delay_ms)
        batches = [each[at : at + BATCH] for at in range(0, len(each), BATCH)]
        codes: list[str] = []
        at = 0
        while at < len(batches):
            # One goes alone, which also loads the script.
            codes += texts(await self._call(name, once, batches[at]))
            at += 1
            for answer in await self._send_in_turn(name, once, batches[at:]):
                is_lacking = isinstance(answer, NoScriptError)
                codes += texts(await self._call(name, once, batches[at]) if is_lacking else answer)
                at += 1
        return codes

    async def _send_in_turn(
        self, name: str, once: dict[str, Any], batches: Sequence[Sequence[Sequence[Any]]]
    ) -> list[Any]:
        """What the server answered to the first of the batches, or to all of them."""
        send, script, keys = self._script(name)
        if not batches or not send.may_follow:
            return []
        timed = once | self._time(script)
        calls = (script.arguments(timed, batch) for batch in batches)
        with translated(self.where):
            answers = await send.in_turn(keys, calls, BATCHES_IN_FLIGHT)
            for answer in answers:
                if isinstance(answer, Exception) and not isinstance(answer, NoScriptError):
                    raise answer
        return answers

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
