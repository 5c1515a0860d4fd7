"""A year of slots, held against a plain reading of the rule: every minute of the year is looked at."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from penstock.core.errors import InvalidScheduleError
from penstock.core.slots import Slots, stamp

YEAR = 2026
START = int(datetime(YEAR, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
# Lord Howe Island shifts its clocks by half an hour.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]

Wanted = Callable[[datetime], bool]

# Expression and what it means, once in words of cron and once in words of Python.
FIXED: dict[str, Wanted] = {
    "30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
    "15 1 * * *": lambda t: (t.hour, t.minute) == (1, 15),
    "0 0 * * *": lambda t: (t.hour, t.minute) == (0, 0),
    "0,10,59 1-3 * * *": lambda t: t.hour in (1, 2, 3) and t.minute in (0, 10, 59),
    "45 1,2 * 4,10,11 SUN": lambda t: (
        t.hour in (1, 2) and t.minute == 45 and t.month in (4, 10, 11) and t.weekday() == 6
    ),
    "0 30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
    "20 9 1,15 * MON": lambda t: (t.hour, t.minute) == (9, 20) and (t.day in (1, 15) or t.weekday() == 0),
}
AT_INTERVALS: dict[str, Wanted] = {
    "* 2 * * *": lambda t: t.hour == 2,
    "*/15 * * * *": lambda t: t.minute % 15 == 0,
    "0 */2 * * *": lambda t: t.hour % 2 == 0 and t.minute == 0,
    "*/30 1-2 * * *": lambda t: t.hour in (1, 2) and t.minute % 30 == 0,
    "45 * * * *": lambda t: t.minute == 45,
    "* 1 * * SUN": lambda t: t.hour == 1 and t.weekday() == 6,
}


@cache
def minutes(zone: str) -> list[tuple[int, datetime]]:
    """Each minute of the year and two days more: its moment, and what the clocks there show."""
    place = ZoneInfo(zone)
    return [
        (moment, datetime.fromtimestamp(moment, place).replace(tzinfo=None, fold=0))
        for moment in range(START - 86_400, END + 86_400, 60)
    ]


def within(moments: set[int]) -> list[int]:
    return sorted(moment for moment in moments if START <= moment < END)


def whenever_shown(zone: str, wanted: Wanted) -> list[int]:
    """At intervals: each minute at which the clocks show a matching time."""
    return within({moment for moment, wall in minutes(zone) if wanted(wall)})


def once_for_each_time(zone: str, wanted: Wanted) -> list[int]:
    """At fixed times: each matching time once, when it is first shown or, if skipped, after the gap."""
    return within({moment for wall, moment in first_shown(zone).items() if wanted(wall)})


@cache
def first_shown(zone: str) -> dict[datetime, int]:
    """Each time that a clock can show, skipped ones included → when it counts."""
    counts: dict[datetime, int] = {}
    for moment, wall in minutes(zone):
        counts.setdefault(wall, moment)
    for (_, before), (moment, after) in pairwise(minutes(zone)):
        skipped = before + timedelta(minutes=1)
        while skipped < after:
            counts[skipped] = moment
            skipped += timedelta(minutes=1)
    return counts


def a_year_of(expression: str, zone: str) -> list[int]:
    return list(Slots(expression, zone).between(START, END - 1))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", FIXED)
def test_a_year_of_fixed_times_follows_the_rule(expression: str, zone: str) -> None:
    slots = a_year_of(expression, zone)
    assert slots == once_for_each_time(zone, FIXED[expression])
    assert len(slots) > 10


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", AT_INTERVALS)
def test_a_year_at_intervals_follows_the_rule(expression: str, zone: str) -> None:
    slots = a_year_of(expression, zone)
    assert slots == whenever_shown(zone, AT_INTERVALS[expression])
    assert len(slots) > 10


@cache
def changes(zone: str) -> list[int]:
    """When the clocks change: at a minute that is not one after the one before."""
    minute = timedelta(minutes=1)
    return [moment for (_, before), (moment, wall) in pairwise(minutes(zone)) if wall - before != minute]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["30 2 * * *", "45 1,2 * * *", "*/15 1-2 * * *", "0 */2 * * *"])
def test_whenever_one_asks_the_next_slot_is_the_same(expression: str, zone: str) -> None:
    slots, by_cron = a_year_of(expression, zone), Slots(expression, zone)
    asked = [moment for change in changes(zone) for moment in range(change - 7200, change + 7200, 300)]
    asked += range(START, slots[-1], 500_009)
    for moment in asked:
        assert by_cron.after(moment) == slots[bisect_right(slots, moment)], moment


def shown(expression: str, zone: str, day: datetime, days: int = 1) -> list[str]:
    """What the clocks show at the slots of some days, with their offset from UTC."""
    place = ZoneInfo(zone)
    first = int(day.replace(tzinfo=place).timestamp())
    last = int((day + timedelta(days=days)).replace(tzinfo=place).timestamp()) - 1
    moments = Slots(expression, zone).between(first, last)
    return [datetime.fromtimestamp(moment, place).strftime("%H:%M%z") for moment in moments]


def test_a_time_that_the_clocks_skip_comes_right_after_the_gap() -> None:
    spring = datetime(2026, 3, 29)
    assert shown("30 2 * * *", "Europe/Berlin", spring) == ["03:00+0200"]
    assert shown("0,30 2,3 * * *", "Europe/Berlin", spring) == ["03:00+0200", "03:30+0200"]
    assert shown("*/30 2 * * *", "Europe/Berlin", spring) == []
    assert shown("10 2 * * *", "Australia/Lord_Howe", datetime(2026, 10, 4)) == ["02:30+1100"]


def test_a_time_that_the_clocks_show_twice_comes_the_first_time() -> None:
    autumn = datetime(2026, 10, 25)
    assert shown("30 2 * * *", "Europe/Berlin", autumn) == ["02:30+0200"]
    assert shown("*/30 2 * * *", "Europe/Berlin", autumn) == [
        "02:00+0200",
        "02:30+0200",
        "02:00+0100",
        "02:30+0100",
    ]
    half_an_hour_back = datetime(2026, 4, 5)
    assert shown("45 1 * * *", "Australia/Lord_Howe", half_an_hour_back) == ["01:45+1100"]
    assert shown("*/15 1 * * *", "Australia/Lord_Howe", half_an_hour_back)[-2:] == [
        "01:30+1030",
        "01:45+1030",
    ]


def test_a_day_that_is_skipped_altogether() -> None:
    # Apia went from the 29th of December 2011 to the 31st.
    assert shown("0 9 * * *", "Pacific/Apia", datetime(2011, 12, 29), 3) == [
        "09:00-1000",
        "00:00+1400",
        "09:00+1400",
    ]


def test_seconds_are_the_first_of_six_fields() -> None:
    slots = list(Slots("*/20 59 23 31 12 *", "UTC").between(START, END - 1))
    assert [END - slot for slot in slots] == [60, 40, 20]
    assert list(Slots("* * * * * *").between(5, 9)) == [5, 6, 7, 8, 9]


def second_by_second(zone: str, first: datetime) -> Iterator[str]:
    place = ZoneInfo(zone)
    start = int(first.replace(tzinfo=place).timestamp())
    for moment in range(start, start + 4 * 3600):
        local = datetime.fromtimestamp(moment, place)
        if local.minute % 10 == 0 and local.second % 30 == 0:
            yield local.isoformat()


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29)),
        ("Europe/Berlin", datetime(2026, 10, 25)),
        ("Australia/Lord_Howe", datetime(2026, 4, 5)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4)),
    ],
)
def test_seconds_through_the_night_of_a_change(zone: str, night: datetime) -> None:
    place = ZoneInfo(zone)
    start = int(night.replace(tzinfo=place).timestamp())
    slots = Slots("*/30 */10 * * * *", zone).between(start, start + 4 * 3600 - 1)
    assert [datetime.fromtimestamp(slot, place).isoformat() for slot in slots] == list(
        second_by_second(zone, night)
    )


def test_the_newest_slots_are_found_from_the_end() -> None:
    every_second = Slots("* * * * * *")
    assert every_second.newest(START, END, 3) == [END - 2, END - 1, END]
    daily = Slots("0 0 * * *")
    assert daily.newest(START, END - 1, 1) == [END - 86_400]
    assert daily.newest(START, START + 86_400, 1000) == [START, START + 86_400]
    assert daily.newest(START + 1, START + 2, 5) == []


@pytest.mark.parametrize(
    ("alias", "meaning"),
    [("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"), ("@weekly", "0 0 * * 0"), ("@yearly", "0 0 1 1 *")],
)
def test_names_for_the_usual_expressions(alias: str, meaning: str) -> None:
    assert a_year_of(alias, "UTC") == a_year_of(meaning, "UTC")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("61 * * * *", r"the minute field '61' is wrong; expected 0-59"),
        ("* * * * * 9", r"the day-of-week field '9' is wrong; expected 0-7 or SUN-SAT"),
        ("x 0 0 * * *", r"the second field 'x' is wrong"),
        ("0 0 1 FOO *", r"the month field 'FOO' is wrong; expected 1-12 or JAN-DEC"),
        ("0 0 30 2 *", r"the day-of-month field '30' is wrong; expected 1-31, L or LW, in a month"),
        ("*/0 * * * *", r"the minute field '\*/0' is wrong"),
        ("* * *", r"has 3 fields: expected five \(minute hour day month weekday\), or six"),
        ("", "has 0 fields"),
        ("@often", "is not known: expected one of @yearly"),
        ("* * */20 * 1L", "never comes true"),
        ("1," * 200, "at most 256 characters"),
    ],
)
def test_a_wrong_expression_is_explained(expression: str, reason: str) -> None:
    with pytest.raises(InvalidScheduleError, match=reason):
        Slots(expression)


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("america/new york", "America/New_York"),
    ],
)
def test_an_unknown_zone_is_met_with_what_was_meant(zone: str, meant: str) -> None:
    with pytest.raises(InvalidScheduleError, match=f"no time zone '{zone}': did you mean '{meant}'?"):
        Slots("* * * * *", zone)


@pytest.mark.parametrize("zone", ["", "../etc/passwd", "Europe", "a\0b", "Nowhere/Qqqqqqqq"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidScheduleError, match="there is no time zone"):
        Slots("* * * * *", zone)


def test_a_slot_is_named_in_utc() -> None:
    assert stamp(int(datetime(2026, 11, 21, 20, tzinfo=UTC).timestamp())) == "20261121T200000Z"
