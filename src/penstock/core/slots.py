"""When a cron expression is due: its slots in a time zone, by one stated rule for clock changes.

Expressions are those of Debian's cron: minute, hour, day of the month, month, day of the week; with
six fields, the first is the second. ``cronsim`` reads them and walks the calendar; what a clock change
does to a slot is decided here, after the rule of Debian's cron:

- **At a fixed time**: none of the second, minute and hour fields begins with ``*``. Each time named
  comes once a day. One that the clocks skip (a gap) comes at the first moment after the gap, and several
  skipped ones come there as one. One that the clocks show twice (a fold) comes the first time.
- **At intervals**: all others. They are due whenever the clocks show a matching time. What is skipped
  does not come, and what is shown twice comes twice.

A slot is a moment in whole seconds since the epoch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from penstock.core.errors import InvalidScheduleError

LONGEST_EXPRESSION: Final = 256
_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L or LW, in a month that has that day",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, also 5L or MON#1",
}
_FIVE, _SIX = 5, 6
_DAY_SECONDS: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1)
_SECOND: Final = timedelta(seconds=1)


class Slots:
    """The slots of ``expression`` in the IANA zone ``zone``.

    Raises ``InvalidScheduleError`` for an expression that cannot be read or never comes true, and for
    a zone that this machine does not know.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        """Read and check both."""
        self._zone = find_zone(zone)
        fields = _fields_of(expression)
        self._walk = _read(expression, fields)
        times = fields[:-3]
        self._is_fixed = not any(field.startswith("*") for field in times)
        if self._next_wall(_EPOCH) is None:
            raise InvalidScheduleError(
                f"cron expression {expression!r} never comes true: no day has that date and that weekday; "
                "change one of them"
            )

    def after(self, moment: int) -> int:
        """The first slot later than ``moment``."""
        return self._fixed_after(moment) if self._is_fixed else self._shown_after(moment)

    def between(self, first: int, last: int) -> Iterator[int]:
        """All slots from ``first`` to ``last``, both included."""
        slot = self.after(first - 1)
        while slot <= last:
            yield slot
            slot = self.after(slot)

    def newest(self, first: int, last: int, most: int) -> list[int]:
        """The newest ``most`` slots from ``first`` to ``last``, oldest first.

        It looks back from ``last`` in growing steps, so that a week of seconds need not be walked to
        find its last one.
        """
        span = 1
        while True:
            start = max(first, last - span + 1)
            found = list(self.between(start, last))
            if len(found) >= most or start == first:
                return found[-most:]
            span *= 2

    def _fixed_after(self, moment: int) -> int:
        wall = _wall(self._local(moment))
        while True:
            wall = self._match_after(wall)
            slot = self._moment_of(wall)
            if slot > moment:
                return slot

    def _moment_of(self, wall: datetime) -> int:
        """When the clocks first show ``wall``, or if they skip it, the first moment after the gap."""
        moment = int(wall.replace(tzinfo=self._zone).timestamp())
        if _wall(self._local(moment)) == wall:
            return moment
        before = int(wall.replace(tzinfo=self._zone, fold=1).timestamp())
        change = self._first_change(before, moment)
        return moment if change is None else change

    def _shown_after(self, moment: int) -> int:
        start = moment + 1
        while True:
            wall = self._match_after(_wall(self._local(start)) - _SECOND)
            slot = _seconds(wall) - self._offset(start)
            change = self._first_change(start, slot)
            if change is None:
                return slot
            # Until then nothing matched; from then on the clocks show other times.
            start = change

    def _first_change(self, first: int, last: int) -> int | None:
        """The first moment after ``first``, up to ``last``, with another offset from UTC."""
        known = self._offset(first)
        for low in range(first, last, _DAY_SECONDS):
            high = min(low + _DAY_SECONDS, last)
            if self._offset(high) != known:
                return self._change_between(low, high)
        return None

    def _change_between(self, low: int, high: int) -> int:
        known = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == known else (low, middle)
        return high

    def _match_after(self, wall: datetime) -> datetime:
        found = self._next_wall(wall)
        if found is None:
            raise InvalidScheduleError("the cron expression does not come true within the next 50 years")
        return found

    def _next_wall(self, wall: datetime) -> datetime | None:
        walk = copy(self._walk)
        walk.dt = wall
        return next(walk, None)

    def _local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment, self._zone)

    def _offset(self, moment: int) -> int:
        return _seconds(_wall(self._local(moment))) - moment


@lru_cache(maxsize=1024)
def slots_of(expression: str, zone: str) -> Slots:
    """The slots of an expression in a zone, read once."""
    return Slots(expression, zone)


def find_zone(name: str) -> ZoneInfo:
    """The IANA zone called ``name``; raise ``InvalidScheduleError`` with what was probably meant."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        pass
    known = sorted(available_timezones())
    if not known:
        raise InvalidScheduleError(
            f"time zone {name!r} cannot be looked up: this machine has no time zone data; "
            "install the package tzdata"
        )
    raise InvalidScheduleError(
        f"there is no time zone {name!r}{_meant(str(name), known)}; "
        "expected an IANA name such as Europe/Berlin"
    )


def stamp(slot: int) -> str:
    """A slot as it stands in job ids: ``20261121T200000Z``, always in UTC."""
    return datetime.fromtimestamp(slot, UTC).strftime("%Y%m%dT%H%M%SZ")


def _meant(wrong: str, known: list[str]) -> str:
    folded = {name.lower(): name for name in known}
    # A city alone, as in Berlin, is the most common way to be nearly right.
    cities = {name.rpartition("/")[2].lower(): name for name in known if "/" in name}
    asked = wrong.lower().replace(" ", "_")
    exact = folded.get(asked) or cities.get(asked)
    if exact:
        return f": did you mean {exact!r}?"
    close = difflib.get_close_matches(asked, [*folded, *cities], n=1)
    return f": did you mean {folded.get(close[0]) or cities[close[0]]!r}?" if close else ""


def _fields_of(expression: object) -> list[str]:
    if not isinstance(expression, str) or len(expression) > LONGEST_EXPRESSION:
        raise InvalidScheduleError(
            f"a cron expression is text of at most {LONGEST_EXPRESSION} characters, got {expression!r}"
        )
    meant = expression.strip()
    if meant.startswith("@") and meant.lower() not in _ALIASES:
        raise InvalidScheduleError(
            f"cron expression {expression!r} is not known: expected one of {', '.join(_ALIASES)}, "
            "or five or six fields"
        )
    fields = _ALIASES.get(meant.lower(), meant).split()
    if len(fields) not in (_FIVE, _SIX):
        raise InvalidScheduleError(
            f"cron expression {expression!r} has {len(fields)} fields: expected five (minute hour day month "
            "weekday), or six with the second in front"
        )
    return fields


def _read(expression: str, fields: list[str]) -> CronSim:
    try:
        return CronSim(" ".join(fields), _EPOCH)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        place = list(_FIELDS).index(name) - (_SIX - len(fields)) if name in _FIELDS else 0
        raise InvalidScheduleError(
            f"cron expression {expression!r}: the {name} field {fields[place]!r} is wrong; "
            f"expected {_FIELDS.get(name, 'a field of cron')}, lists (1,15), ranges (1-5), steps (*/10) or *"
        ) from None


def _wall(local: datetime) -> datetime:
    return local.replace(tzinfo=None, fold=0)


def _seconds(wall: datetime) -> int:
    return (wall - _EPOCH) // _SECOND
