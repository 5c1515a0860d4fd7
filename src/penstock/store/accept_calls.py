"""Accepting jobs, each way as one typed call; part of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoScriptError

from penstock.store.connect import translated
from penstock.store.packing import Delay, are_plain, entries, plain_entries
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
        name, once = self._acceptance_of(jobs, delay_ms)
        return texts(await self._call(name, once, self._entries(name, jobs, delay_ms)))

    async def enqueue_children(
        self, parent_id: str, lease: str, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0
    ) -> list[str]:
        """Accept jobs that a running job makes, under its lease: codes as ``enqueue``, or ``lost``."""
        once = self._acceptance | {"parent": parent_id, "lease": lease}
        each = entries(jobs, delay_ms, self.config.compress_above_bytes)
        return texts(await self._call("enqueue_children", once, each))

    def enqueue_call(self, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0) -> ScriptCall:
        """The command that ``enqueue`` sends, for a caller with a connection of its own."""
        name, once = self._acceptance_of(jobs, delay_ms)
        send, script, keys = self._script(name)
        arguments = script.arguments(once | self._time(script), self._entries(name, jobs, delay_ms))
        return ScriptCall(script.source, ["EVALSHA", send.sha, len(keys), *keys, *arguments])

    async def enqueue_in_order(self, jobs: Sequence[AcceptedJob], delay_ms: Delay = 0) -> list[str]:
        """Accept any number of jobs, which keep their order: ``ok``, ``kept`` or ``backlog`` for each.

        They go in batches over one connection: two would overtake each other.
        """
        name, once = self._acceptance_of(jobs, delay_ms)

        def batch(at: int) -> list[Sequence[Any]]:
            until = at + BATCH
            delays = delay_ms if isinstance(delay_ms, int) else delay_ms[at:until]
            return self._entries(name, jobs[at:until], delays)

        codes: list[str] = []
        while (at := len(codes)) < len(jobs):
            # One goes alone, which also loads the script.
            codes += texts(await self._call(name, once, batch(at)))
            following = map(batch, range(at + BATCH, len(jobs), BATCH))
            for answer in await self._send_in_turn(name, once, following):
                is_lacking = isinstance(answer, NoScriptError)
                codes += texts(await self._call(name, once, batch(len(codes))) if is_lacking else answer)
        return codes

    async def _send_in_turn(
        self, name: str, once: dict[str, Any], batches: Iterable[Sequence[Sequence[Any]]]
    ) -> list[Any]:
        """What the server answered to the first of the batches, or to all of them."""
        send, script, keys = self._script(name)
        if not send.may_follow:
            return []
        timed = once | self._time(script)
        calls = (script.arguments(timed, batch) for batch in batches)
        with translated(self.where):
            answers = await send.in_turn(keys, calls, BATCHES_IN_FLIGHT)
            for answer in answers:
                if isinstance(answer, Exception) and not isinstance(answer, NoScriptError):
                    raise answer
        return answers

    def _acceptance_of(self, jobs: Sequence[AcceptedJob], delay_ms: Delay) -> tuple[str, dict[str, Any]]:
        """The script that accepts the jobs, and what it is given once."""
        return ("enqueue_plain", {}) if are_plain(jobs, delay_ms) else ("enqueue", self._acceptance)

    def _entries(self, name: str, jobs: Sequence[AcceptedJob], delay_ms: Delay) -> list[Sequence[Any]]:
        """What it is given for each."""
        if name == "enqueue_plain":
            return plain_entries(jobs)
        return entries(jobs, delay_ms, self.config.compress_above_bytes)

    @cached_property
    def _acceptance(self) -> dict[str, Any]:
        return {
            "group": self.config.consumer_group,
            "keep_ms": self.keep_ms,
            "max_events": self.config.max_events,
        }
