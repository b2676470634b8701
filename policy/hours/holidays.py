"""Which days are public holidays: of the places whose law closes a channel on them, and of no others.

Computed here, because the rules name three dozen days of a dozen places: a library of the world's
holidays would be larger than this room, and would tie the version of another dependency.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache

_MON, _TUE, _THU = 0, 1, 3

Rule = Callable[[int], date]
"""The day of a holiday in a year."""


def fixed(month: int, day: int) -> Rule:
    """The same date every year."""
    return lambda year: date(year, month, day)


def nth(month: int, weekday: int, number: int) -> Rule:
    """The so-many-th weekday (Monday = 0) of a month; -1: the last one."""

    def on(year: int) -> date:
        if number < 0:
            end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
            return end - timedelta(days=(end.weekday() - weekday) % 7)
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))

    return on


def from_easter(days: int) -> Rule:
    """So many days after Easter Sunday."""
    return lambda year: easter(year) + timedelta(days=days)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of Meeus, Jones and Butcher)."""
    a, (b, c) = year % 19, divmod(year, 100)
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _election_day(year: int) -> date:
    return nth(11, _MON, 1)(year) + timedelta(days=1)


_US: Mapping[str, Rule] = {
    "New Year's Day": fixed(1, 1),
    "Martin Luther King Jr. Day": nth(1, _MON, 3),
    "Washington's Birthday": nth(2, _MON, 3),
    "Memorial Day": nth(5, _MON, -1),
    "Juneteenth": fixed(6, 19),
    "Independence Day": fixed(7, 4),
    "Labor Day": nth(9, _MON, 1),
    "Columbus Day": nth(10, _MON, 2),
    "Veterans Day": fixed(11, 11),
    "Thanksgiving Day": nth(11, _THU, 4),
    "Christmas Day": fixed(12, 25),
}
"""The legal holidays of 5 U.S.C. 6103(a), without Inauguration Day."""

_FR: Mapping[str, Rule] = {
    "New Year's Day": fixed(1, 1),
    "Easter Monday": from_easter(1),
    "Labour Day": fixed(5, 1),
    "Victory Day": fixed(5, 8),
    "Ascension Day": from_easter(39),
    "Whit Monday": from_easter(50),
    "Bastille Day": fixed(7, 14),
    "Assumption Day": fixed(8, 15),
    "All Saints' Day": fixed(11, 1),
    "Armistice Day": fixed(11, 11),
    "Christmas Day": fixed(12, 25),
}
"""Code du travail, art. L. 3133-1."""

_CALENDARS: Mapping[str, Mapping[str, Rule]] = {
    "US": _US,
    "US-AL": {
        **_US,
        "Mardi Gras": from_easter(-47),
        "Confederate Memorial Day": nth(4, _MON, 4),
        "Jefferson Davis's Birthday": nth(6, _MON, 1),
        "Rosa Parks Day": fixed(12, 1),
    },
    "US-LA": {
        **_US,
        "Battle of New Orleans": fixed(1, 8),
        "Mardi Gras": from_easter(-47),
        "Good Friday": from_easter(-2),
        "All Saints' Day": fixed(11, 1),
        "Election Day": _election_day,
    },
    "US-MS": {**_US, "Confederate Memorial Day": nth(4, _MON, -1)},
    "US-PA": {
        **_US,
        "Good Friday": from_easter(-2),
        "Flag Day": fixed(6, 14),
        "Election Day": _election_day,
        "Day after Thanksgiving": lambda year: nth(11, _THU, 4)(year) + timedelta(days=1),
        "Bill of Rights Day": fixed(12, 15),
    },
    "US-RI": {
        **_US,
        "Rhode Island Independence Day": fixed(5, 4),
        "Victory Day": nth(8, _MON, 2),
        "Election Day": _election_day,
    },
    "US-UT": {**_US, "Pioneer Day": fixed(7, 24)},
    "FR": _FR,
    "GF": {**_FR, "Abolition of Slavery": fixed(6, 10)},
    "GP": {
        **_FR,
        "Mid-Lent": from_easter(-24),
        "Good Friday": from_easter(-2),
        "Abolition of Slavery": fixed(5, 27),
        "Victor Schoelcher Day": fixed(7, 21),
    },
    "MQ": {**_FR, "Abolition of Slavery": fixed(5, 22), "Victor Schoelcher Day": fixed(7, 21)},
    "RE": {**_FR, "Abolition of Slavery": fixed(12, 20)},
    "YT": {**_FR, "Abolition of Slavery": fixed(4, 27)},
}

CALENDARS = frozenset(_CALENDARS)
"""The calendars there are, by ISO 3166 code."""


@lru_cache(maxsize=256)
def public_holidays(calendar: str, year: int) -> Mapping[date, str]:
    """The holidays of a year, by date, with their English names.

    American holidays on a Saturday are also observed on the Friday before, those on a Sunday on the
    Monday after (5 U.S.C. 6103(b), and the states alike): both days count, which is the stricter reading.
    Where a state calls a day a holiday in some counties or years only, it counts everywhere and always.
    Raises ValueError for a calendar that is not among ``CALENDARS``.
    """
    rules = _CALENDARS.get(calendar)
    if rules is None:
        raise ValueError(
            f"expected a calendar among {', '.join(sorted(CALENDARS))}, got {calendar!r}; "
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
