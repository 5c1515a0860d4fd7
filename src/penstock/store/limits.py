"""What keys may do: places at once, jobs and units within a moving window, pauses."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, cast

from penstock.core.acceptance import check_duration
from penstock.core.errors import ConfigurationError
from penstock.core.names import check_flow_key
from penstock.store.connect import translated
from penstock.store.engine import Engine

HOME_LANES = ("high", "normal", "low")
MOST = 10**12


class KeyLimits(NamedTuple):
    """The limits of one key; ``None`` is no limit. ``jobs`` and ``units`` count within ``per_seconds``."""

    concurrency: int | None = None
    jobs: int | None = None
    units: int | None = None
    per_seconds: float = 60.0


class KeyState(NamedTuple):
    """What a key does now: jobs that hold a place, jobs in its line, and until when it is paused."""

    running: int
    waiting: int
    paused_until: float | None


class Limits:
    """The limits of a queue's keys. They are kept on the server and hold for all its workers at once.

    ``concurrency`` limits a ``concurrency_key`` and wins over what its jobs say; ``jobs`` and ``units``
    limit a ``rate_key``. In no window of ``per_seconds`` do more start than the limit allows.
    """

    def __init__(self, engine: Engine) -> None:
        """The limits of the engine's queue."""
        self._engine = engine

    async def set(
        self,
        key: str,
        *,
        concurrency: int | None = None,
        jobs: int | None = None,
        units: int | None = None,
        per_seconds: float = 60.0,
    ) -> None:
        """Set all limits of ``key`` anew; raises ``ConfigurationError`` for one that cannot be."""
        check_flow_key(key, "key")
        places, starts, most = (
            _checked(value, what)
            for value, what in ((concurrency, "concurrency"), (jobs, "jobs"), (units, "units"))
        )
        window_ms = round(check_duration(per_seconds, "per_seconds", allow_zero=False) * 1000)
        await self._engine.limit_key(key, places=places, jobs=starts, units=most, window_ms=window_ms)

    async def get(self, key: str) -> KeyLimits | None:
        """The limits set for ``key``, or ``None``."""
        with translated(self._engine.where):
            raw = await cast("Any", self._engine.client.hget(self._engine.keys.limits, key))
        return None if raw is None else _read(raw)

    async def list(self) -> dict[str, KeyLimits]:
        """Every key with limits."""
        with translated(self._engine.where):
            stored = await cast("Any", self._engine.client.hgetall(self._engine.keys.limits))
        return {key.decode(): _read(raw) for key, raw in stored.items()}

    async def remove(self, key: str) -> None:
        """Take the limits of ``key`` away; those that its jobs say count again."""
        await self._engine.limit_key(check_flow_key(key, "key"))

    async def pause(self, key: str, seconds: float) -> None:
        """Let no job with the rate key ``key`` start for ``seconds``; what runs goes on."""
        length_ms = round(check_duration(seconds, "seconds", allow_zero=False) * 1000)
        now_ms = self._engine.clock.script_time_ms()
        until_ms = (round(time.time() * 1000) if now_ms is None else now_ms) + length_ms
        await self._engine.pause_key(check_flow_key(key, "key"), until_ms)

    async def resume(self, key: str) -> None:
        """Lift the pause of ``key``."""
        await self._engine.pause_key(check_flow_key(key, "key"), 0)

    async def state(self, key: str) -> KeyState:
        """What ``key`` does now."""
        keys = self._engine.keys
        with translated(self._engine.where):
            pipe = cast("Any", self._engine.client.pipeline(transaction=False))
            pipe.scard(keys.holders + key)
            pipe.zscore(keys.pauses, key)
            for lane in HOME_LANES:
                pipe.zcard(f"{keys.flow_line}{lane}:{key}")
            running, paused, *waiting = await pipe.execute()
        return KeyState(running, sum(waiting), None if paused is None else paused / 1000)


def _checked(value: object, what: str) -> int:
    if value is None:
        return 0
    if type(value) is int and 1 <= value <= MOST:
        return value
    raise ConfigurationError(f"{what} must be an integer of 1 or more, or None for no limit, got {value!r}")


def _read(raw: bytes) -> KeyLimits:
    places, jobs, units, window_ms = (int(part) for part in raw.split())
    return KeyLimits(places or None, jobs or None, units or None, window_ms / 1000)
