"""How the engine calls its scripts: loaded once, sent with the keys of one queue, errors translated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.clock import Clock, ServerClock
from penstock.store.connect import Client, describe, translated
from penstock.store.direct import DirectScript
from penstock.store.keys import QueueKeys
from penstock.store.scripts import Script, load

if TYPE_CHECKING:
    # The heartbeat process imports the engine and should start quickly.
    from penstock.core.config import QueueConfig

#: The most jobs of one call of a script.
BATCH = 64
BACKSTOP_MS = 86_400_000


class ScriptCalls:
    """The scripts of one partition of one queue, by name."""

    def __init__(
        self, client: Client, keys: QueueKeys, config: QueueConfig, clock: Clock | None = None
    ) -> None:
        """Bind the calls to a client, a queue's keys and its settings."""
        self.client = client
        self.keys = keys
        self.config = config
        self.clock = clock or ServerClock()
        self.where = describe(client)
        self._registered: dict[str, tuple[DirectScript, Script, list[str]]] = {}

    @property
    def keep_ms(self) -> int:
        """TTL of a finished job's keys: a day more than the retention, as the backstop behind the janitor."""
        return max(self.config.ttl_ms, self.config.dead_letter_ttl_ms) + BACKSTOP_MS

    async def call(self, name: str, once: dict[str, Any], each: Sequence[Sequence[Any]] = ()) -> Any:
        """Run a script of the upkeep kind by name; see its header for arguments and answer."""
        return await self._call(name, once, each)

    async def _call(self, name: str, once: dict[str, Any], each: Sequence[Sequence[Any]] = ()) -> Any:
        send, script, keys = self._script(name)
        arguments = script.arguments(once | self._time(script), each)
        with translated(self.where):
            return await send(keys, arguments)

    def _script(self, name: str) -> tuple[DirectScript, Script, list[str]]:
        known = self._registered.get(name)
        if known is None:
            script = load(name)
            known = (DirectScript(self.client, script.source), script, script.keys_of(self.keys))
            self._registered[name] = known
        return known

    def _time(self, script: Script) -> dict[str, Any]:
        if "now_ms" not in script.header.argv:
            return {}
        now = self.clock.script_time_ms()
        return {"now_ms": "" if now is None else now}


def texts(codes: Sequence[bytes]) -> list[str]:
    """Codes as the scripts answer them."""
    return [code.decode() for code in codes]
