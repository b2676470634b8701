"""Public holidays of the places whose rules name them, against dates that authorities have published."""

from datetime import date

import pytest

from policy.hours.holidays import (
    CALENDAR_CODES,
    days_from_easter,
    easter_sunday,
    fixed_date,
    nth_weekday,
    public_holidays,
)

EASTERS = (
    "1818-03-22 1900-04-15 1943-04-25 1954-04-18 1961-04-02 1981-04-19 1989-03-26 1999-04-04 2000-04-23 "
    "2001-04-15 2002-03-31 2008-03-23 2011-04-24 2016-03-27 2019-04-21 2024-03-31 2025-04-20 2026-04-05 "
    "2027-03-28 2028-04-16 2038-04-25 2049-04-18 2076-04-19 2100-03-28 2285-03-22"
)
"""As published; the earliest and the latest there can be, and the years for which simpler rules fail."""


@pytest.mark.parametrize("expected", EASTERS.split())
def test_easter_is_when_it_is(expected: str) -> None:
    day = date.fromisoformat(expected)

    assert day == easter_sunday(day.year)


def test_the_federal_holidays_of_2027_are_those_that_were_published() -> None:
    published = "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"
    itself_on_a_weekend = "06-19 07-04 12-25"

    days = {f"{day:%m-%d}" for day in public_holidays("US", 2027)}

    assert days == {*published.split(), *itself_on_a_weekend.split()}


def test_the_french_holidays_of_2026_are_those_of_the_labour_code() -> None:
    expected = "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25"

    assert expected.split() == [f"{day:%m-%d}" for day in public_holidays("FR", 2026)]


@pytest.mark.parametrize(
    ("calendar", "day", "expected"),
    [
        ("US-LA", "2027-02-09", "Mardi Gras"),
        ("US-PA", "2026-04-03", "Good Friday"),
        ("US-PA", "2026-11-03", "Election Day"),
        ("US-PA", "2026-11-27", "Day after Thanksgiving"),
        ("US-UT", "2027-07-23", "Pioneer Day (observed)"),
        ("US-RI", "2026-08-10", "Victory Day"),
        ("US-MS", "2026-04-27", "Confederate Memorial Day"),
        ("US-AL", "2026-06-01", "Jefferson Davis's Birthday"),
        ("US", "2027-12-31", "New Year's Day (observed)"),
        ("RE", "2026-12-20", "Abolition of Slavery"),
    ],
)
def test_a_place_has_days_of_its_own(calendar: str, day: str, expected: str) -> None:
    when = date.fromisoformat(day)

    assert expected == public_holidays(calendar, when.year)[when]


@pytest.mark.parametrize("calendar", sorted(CALENDAR_CODES))
def test_every_calendar_names_days_of_its_year_alone(calendar: str) -> None:
    for year in range(2026, 2036):
        days = list(public_holidays(calendar, year))

        assert {year} == {day.year for day in days}
        assert len(days) >= 11
        assert sorted(days) == days


def test_a_calendar_nobody_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a calendar among .*, got 'DE'"):
        public_holidays("DE", 2026)


@pytest.mark.parametrize(
    ("month", "weekday", "number", "expected"),
    [
        (1, 0, 3, "2026-01-19"),
        (9, 0, 1, "2026-09-07"),
        (11, 3, 4, "2026-11-26"),
        (11, 0, 1, "2027-11-01"),
        (5, 0, -1, "2026-05-25"),
        (8, 0, -1, "2026-08-31"),
        (12, 4, -1, "2026-12-25"),
        (12, 3, -1, "2026-12-31"),
        (2, 0, -1, "2028-02-28"),
        (2, 1, -1, "2028-02-29"),
    ],
)
def test_the_nth_weekday_of_a_month_and_the_last_one(
    month: int, weekday: int, number: int, expected: str
) -> None:
    day = date.fromisoformat(expected)

    assert day == nth_weekday(month, weekday, number)(day.year)


def test_a_fixed_day_and_one_that_hangs_on_easter() -> None:
    assert fixed_date(7, 14)(2026) == date(2026, 7, 14)
    assert days_from_easter(-2)(2026) == date(2026, 4, 3)
    assert days_from_easter(39)(2026) == date(2026, 5, 14)
