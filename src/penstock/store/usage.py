"""``queue.usage``: what jobs said they used, summed over hours."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast, get_args

from penstock.core.errors import ConfigurationError
from penstock.store.connect import translated

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue

UsageField: TypeAlias = Literal["hour", "type", "key", "name"]

HOUR_SECONDS = 3600
# As long as the sums are kept, and a little more.
MOST_HOURS = 33 * 24
_SEPARATOR = "|"


class UsageSum(NamedTuple):
    """One sum: ``amount`` of ``name`` (say ``tokens``), for what it was asked by.

    What was not asked by is ``None``: ``hour`` (epoch seconds at its start), ``type`` of the jobs, their
    ``key`` (``concurrency_key``, else ``rate_key``, else empty).
    """

    name: str
    amount: float
    hour: int | None = None
    type: str | None = None
    key: str | None = None


class Usage:
    """The sums of what a queue's jobs report by ``ctx.report_usage``; kept for 32 days.

    Sums are kept an hour each, so a window counts with all hours that it touches.
    """

    def __init__(self, queue: RedisStreamsQueue) -> None:
        """Look at the sums of ``queue``."""
        self._queue = queue

    async def __call__(
        self,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        by: UsageField | Collection[UsageField] = "name",
    ) -> list[UsageSum]:
        """The sums of all hours from ``since`` (a day ago if ``None``) to ``until`` (now if ``None``).

        Times are aware datetimes or seconds since the epoch. Amounts of different names are never added
        up, so each sum says its ``name``; ``by`` adds ``hour``, ``type`` or ``key``. Raises
        ``ConfigurationError`` for anything else, or a window above 33 days.
        """
        fields = _checked_fields(by)
        hours = self._hours(since, until)
        sums: dict[tuple[Any, ...], float] = {}
        for hour, kind, key, name, amount in await self._load(hours):
            group = (
                name,
                hour if "hour" in fields else None,
                kind if "type" in fields else None,
                key if "key" in fields else None,
            )
            sums[group] = sums.get(group, 0.0) + amount
        rows = [UsageSum(name, amount, hour, kind, key) for (name, hour, kind, key), amount in sums.items()]
        return sorted(rows, key=lambda row: (row.hour or 0, row.type or "", row.key or "", row.name))

    def _hours(self, since: datetime | float | None, until: datetime | float | None) -> list[int]:
        clock = self._queue.clock
        now_ms = None if clock is None else clock.script_time_ms()
        now = time.time() if now_ms is None else now_ms / 1000
        end = now if until is None else _epoch(until, "until")
        start = end - 24 * HOUR_SECONDS if since is None else _epoch(since, "since")
        first = math.floor(start / HOUR_SECONDS) * HOUR_SECONDS
        if end - first > MOST_HOURS * HOUR_SECONDS:
            raise ConfigurationError(
                f"usage is kept for 32 days: expected at most 33, got {(end - start) / 86_400:.0f}"
            )
        return list(range(first, math.floor(end) + 1, HOUR_SECONDS))

    async def _load(self, hours: list[int]) -> list[tuple[int, str, str, str, float]]:
        engine = self._queue.engine
        with translated(engine.where):
            pipe = cast("Any", engine.client.pipeline(transaction=False))
            for hour in hours:
                pipe.hgetall(f"{engine.keys.usage}{hour}")
            stored = await pipe.execute()
        return [(hour, *row) for hour, fields in zip(hours, stored, strict=True) for row in _rows(fields)]


def _rows(fields: dict[bytes, bytes]) -> Iterator[tuple[str, str, str, float]]:
    for field, amount in fields.items():
        # Neither a type nor a key can hold the separator, so a name may.
        kind, key, name = field.decode().split(_SEPARATOR, 2)
        yield kind, key, name, float(amount)


def _checked_fields(by: Any) -> set[str]:
    fields = {by} if isinstance(by, str) else set(by)
    unknown = fields - set(get_args(UsageField))
    if unknown:
        raise ConfigurationError(
            f"usage cannot be summed by {sorted(map(str, unknown))[0]!r}: "
            f"expected some of {', '.join(get_args(UsageField))}"
        )
    return fields


def _epoch(moment: Any, what: str) -> float:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.timestamp()
    if isinstance(moment, int | float) and not isinstance(moment, bool) and math.isfinite(moment):
        return float(moment)
    raise ConfigurationError(f"{what} must be an aware datetime or seconds since the epoch, got {moment!r}")
