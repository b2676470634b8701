"""Public holidays of the places with laws that close a channel on them, and of no other places.

Computed here, because the rules name three dozen days of a dozen places: a library of the world's
holidays would be larger than this package, and would restrict the version of another dependency.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache

_MON, _TUE, _THU = 0, 1, 3

HolidayRule = Callable[[int], date]
"""Year → the date of a holiday."""


def fixed_date(month: int, day: int) -> HolidayRule:
    """Return the rule of a holiday on the same date every year."""
    return lambda year: date(year, month, day)


def nth_weekday(month: int, weekday: int, number: int) -> HolidayRule:
    """Return the rule of a holiday on the n-th weekday (Monday = 0) of a month; -1: the last one."""

    def on(year: int) -> date:
        if number < 0:
            end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
            return end - timedelta(days=(end.weekday() - weekday) % 7)
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))

    return on


def days_from_easter(days: int) -> HolidayRule:
    """Return the rule of a holiday a number of days after Easter Sunday."""
    return lambda year: easter_sunday(year) + timedelta(days=days)


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (anonymous algorithm of Meeus, Jones and Butcher)."""
    a, (b, c) = year % 19, divmod(year, 100)
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _election_day(year: int) -> date:
    return nth_weekday(11, _MON, 1)(year) + timedelta(days=1)


_US_FEDERAL: Mapping[str, HolidayRule] = {
    "New Year's Day": fixed_date(1, 1),
    "Martin Luther King Jr. Day": nth_weekday(1, _MON, 3),
    "Washington's Birthday": nth_weekday(2, _MON, 3),
    "Memorial Day": nth_weekday(5, _MON, -1),
    "Juneteenth": fixed_date(6, 19),
    "Independence Day": fixed_date(7, 4),
    "Labor Day": nth_weekday(9, _MON, 1),
    "Columbus Day": nth_weekday(10, _MON, 2),
    "Veterans Day": fixed_date(11, 11),
    "Thanksgiving Day": nth_weekday(11, _THU, 4),
    "Christmas Day": fixed_date(12, 25),
}
"""The legal holidays of 5 U.S.C. 6103(a), without Inauguration Day."""

_FRANCE: Mapping[str, HolidayRule] = {
    "New Year's Day": fixed_date(1, 1),
    "Easter Monday": days_from_easter(1),
    "Labour Day": fixed_date(5, 1),
    "Victory Day": fixed_date(5, 8),
    "Ascension Day": days_from_easter(39),
    "Whit Monday": days_from_easter(50),
    "Bastille Day": fixed_date(7, 14),
    "Assumption Day": fixed_date(8, 15),
    "All Saints' Day": fixed_date(11, 1),
    "Armistice Day": fixed_date(11, 11),
    "Christmas Day": fixed_date(12, 25),
}
"""Code du travail, art. L. 3133-1."""

_CALENDARS: Mapping[str, Mapping[str, HolidayRule]] = {
    "US": _US_FEDERAL,
    "US-AL": {
        **_US_FEDERAL,
        "Mardi Gras": days_from_easter(-47),
        "Confederate Memorial Day": nth_weekday(4, _MON, 4),
        "Jefferson Davis's Birthday": nth_weekday(6, _MON, 1),
        "Rosa Parks Day": fixed_date(12, 1),
    },
    "US-LA": {
        **_US_FEDERAL,
        "Battle of New Orleans": fixed_date(1, 8),
        "Mardi Gras": days_from_easter(-47),
        "Good Friday": days_from_easter(-2),
        "All Saints' Day": fixed_date(11, 1),
        "Election Day": _election_day,
    },
    "US-MS": {**_US_FEDERAL, "Confederate Memorial Day": nth_weekday(4, _MON, -1)},
    "US-PA": {
        **_US_FEDERAL,
        "Good Friday": days_from_easter(-2),
        "Flag Day": fixed_date(6, 14),
        "Election Day": _election_day,
        "Day after Thanksgiving": lambda year: nth_weekday(11, _THU, 4)(year) + timedelta(days=1),
        "Bill of Rights Day": fixed_date(12, 15),
    },
    "US-RI": {
        **_US_FEDERAL,
        "Rhode Island Independence Day": fixed_date(5, 4),
        "Victory Day": nth_weekday(8, _MON, 2),
        "Election Day": _election_day,
    },
    "US-UT": {**_US_FEDERAL, "Pioneer Day": fixed_date(7, 24)},
    "FR": _FRANCE,
    "GF": {**_FRANCE, "Abolition of Slavery": fixed_date(6, 10)},
    "GP": {
        **_FRANCE,
        "Mid-Lent": days_from_easter(-24),
        "Good Friday": days_from_easter(-2),
        "Abolition of Slavery": fixed_date(5, 27),
        "Victor Schoelcher Day": fixed_date(7, 21),
    },
    "MQ": {**_FRANCE, "Abolition of Slavery": fixed_date(5, 22), "Victor Schoelcher Day": fixed_date(7, 21)},
    "RE": {**_FRANCE, "Abolition of Slavery": fixed_date(12, 20)},
    "YT": {**_FRANCE, "Abolition of Slavery": fixed_date(4, 27)},
}

CALENDAR_CODES = frozenset(_CALENDARS)
"""The available calendars, by ISO 3166 code."""


@lru_cache(maxsize=256)
def public_holidays(calendar: str, year: int) -> Mapping[date, str]:
    """Return the holidays of a year: date → English name.

    American holidays on a weekend are also observed on the Friday before or the Monday after (5 U.S.C.
    6103(b), and the states alike); both days count. Those of some counties or years only count in all.
    Raises ValueError for a calendar that is not among ``CALENDAR_CODES``.
    """
    rules = _CALENDARS.get(calendar)
    if rules is None:
        raise ValueError(
            f"expected a calendar among {', '.join(sorted(CALENDAR_CODES))}, got {calendar!r}; "
            "give the days themselves for any other place"
        )
    days = {}
    for name, rule in rules.items():
        # New Year's Day of the year after may be observed on the last day of this one.
        for day in (rule(year), rule(year + 1)):
            days[day] = name
            moved = {5: -1, 6: 1}.get(day.weekday(), 0) if calendar.startswith("US") else 0
            if moved:
                days.setdefault(day + timedelta(days=moved), f"{name} (observed)")
    return {day: name for day, name in sorted(days.items()) if day.year == year}
