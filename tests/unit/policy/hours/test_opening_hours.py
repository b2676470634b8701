"""Quiet hours: when a channel is open in a zone, across every change of the clocks."""

import os
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from policy.hours.opening_hours import (
    closing_time,
    common_closing_time,
    is_open,
    next_common_opening,
    next_opening,
    open_spans,
)
from policy.hours.windows import QuietHours
from tests.support.builders.gate import DAY, HOUR, MINUTE, NOW
from tests.support.models.hours import changes, starts_around

BERLIN = "Europe/Berlin"

DAYTIME = QuietHours(time(8), time(21))

OVERNIGHT = QuietHours(time(22), time(6))

ROUND_THE_CLOCK = QuietHours(time(8), time(8))

INTO_THE_CHANGE = QuietHours(time(2, 30), time(4))

UNTIL_THE_CHANGE = QuietHours(time(22), time(1, 30))

ODD_ZONES = (
    "Africa/Cairo",  # changes at midnight
    "Africa/Casablanca",  # negative summer time around Ramadan
    "America/Havana",  # back from 1:00 to 0:00
    "America/New_York",
    "America/Nuuk",  # changes on the evening before
    "America/Santiago",  # back from 24:00 to 23:00, on another date
    "America/Scoresbysund",
    "Antarctica/Troll",  # two hours at once
    "Asia/Beirut",
    "Asia/Kathmandu",  # 5:45, no change
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Pacific/Chatham",  # 12:45 and 13:45
)


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "clock", "expected"),
    [
        (DAYTIME, "07:59:59.999999", False),
        (DAYTIME, "08:00:00", True),
        (DAYTIME, "20:59:59.999999", True),
        (DAYTIME, "21:00:00", False),
        (OVERNIGHT, "21:59:59", False),
        (OVERNIGHT, "22:00:00", True),
        (OVERNIGHT, "00:00:00", True),
        (OVERNIGHT, "06:00:00", False),
        (ROUND_THE_CLOCK, "03:00:00", True),
    ],
)
def test_a_window_includes_its_opening_and_excludes_its_closing(
    hours: QuietHours, clock: str, expected: bool
) -> None:
    at = local("Asia/Tokyo", f"2026-05-05 {clock}")

    assert expected == is_open(hours, "Asia/Tokyo", at)


@pytest.mark.parametrize(
    ("zone", "hours", "at", "expected"),
    [
        pytest.param(BERLIN, DAYTIME, "2026-05-05 12:00+02:00", "2026-05-05 12:00+02:00", id="open: now"),
        pytest.param(
            BERLIN, DAYTIME, "2026-05-05 23:00+02:00", "2026-05-06 08:00+02:00", id="the next morning"
        ),
        pytest.param(BERLIN, DAYTIME, "2026-03-28 22:00+01:00", "2026-03-29 08:00+02:00", id="a short night"),
        pytest.param(BERLIN, DAYTIME, "2026-10-24 22:00+02:00", "2026-10-25 08:00+01:00", id="a long night"),
        pytest.param(
            BERLIN,
            INTO_THE_CHANGE,
            "2026-03-29 00:00+01:00",
            "2026-03-29 03:00+02:00",
            id="skipped opening: the moment of the change",
        ),
        pytest.param(
            BERLIN,
            INTO_THE_CHANGE,
            "2026-10-25 00:00+02:00",
            "2026-10-25 02:30+02:00",
            id="opening that occurs twice: the first",
        ),
        pytest.param(
            BERLIN,
            INTO_THE_CHANGE,
            "2026-10-25 02:15+01:00",
            "2026-10-25 02:30+01:00",
            id="closed again in the repeated hour: the second",
        ),
        pytest.param(
            "America/New_York",
            UNTIL_THE_CHANGE,
            "2026-11-01 01:45-04:00",
            "2026-11-01 01:00-05:00",
            id="clocks go back into the window",
        ),
        pytest.param(
            BERLIN,
            QuietHours(time(2, 10), time(2, 50)),
            "2026-03-29 00:00+01:00",
            "2026-03-30 02:10+02:00",
            id="a window that is skipped whole: the next day's",
        ),
        pytest.param(
            "Pacific/Apia", DAYTIME, "2011-12-29 22:00-10:00", "2011-12-31 08:00+14:00", id="a skipped day"
        ),
    ],
)
def test_the_next_opening_is_found_across_changes(
    zone: str, hours: QuietHours, at: str, expected: str
) -> None:
    opening = next_opening(hours, zone, datetime.fromisoformat(at))

    assert datetime.fromisoformat(expected) == opening
    assert UTC is opening.tzinfo


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        pytest.param(DAYTIME, "2026-05-05 08:00+02:00", "2026-05-05 21:00+02:00", id="by day"),
        pytest.param(OVERNIGHT, "2026-03-28 23:00+01:00", "2026-03-29 06:00+02:00", id="over a short night"),
        pytest.param(OVERNIGHT, "2026-10-24 23:00+02:00", "2026-10-25 06:00+01:00", id="over a long night"),
        pytest.param(
            QuietHours(time(22), time(2, 30)),
            "2026-03-29 01:00+01:00",
            "2026-03-29 03:00+02:00",
            id="skipped closing: the moment of the change",
        ),
        pytest.param(
            QuietHours(time(22), time(2, 30)),
            "2026-10-25 01:00+02:00",
            "2026-10-25 02:30+02:00",
            id="closing that occurs twice: the first",
        ),
        pytest.param(ROUND_THE_CLOCK, "2026-05-05 08:00+02:00", None, id="never"),
    ],
)
def test_a_window_closes_at_its_end(hours: QuietHours, at: str, expected: str | None) -> None:
    end = closing_time(hours, BERLIN, datetime.fromisoformat(at))

    assert (datetime.fromisoformat(expected) if expected else None) == end


def test_a_closed_window_has_no_end() -> None:
    with pytest.raises(ValueError, match="expected an instant in a window of Europe/Berlin"):
        closing_time(DAYTIME, BERLIN, local(BERLIN, "2026-05-05 07:00"))


@pytest.mark.parametrize("question", [is_open, next_opening, closing_time])
def test_an_instant_without_an_offset_is_refused(question: object) -> None:
    assert callable(question)
    with pytest.raises(ValueError, match="expected an instant with an offset"):
        question(DAYTIME, BERLIN, datetime(2026, 5, 5, 12))  # noqa: DTZ001 - the fault under test


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an IANA zone such as \"Europe/Berlin\", got 'Mars/Base'"):
        next_opening(DAYTIME, "Mars/Base", datetime(2026, 5, 5, 12, tzinfo=UTC))


def check_zone(zone: str, windows: tuple[QuietHours, ...]) -> int:
    """Compare with the plainest model: look at the wall clock, minute by minute."""
    rules, compared = ZoneInfo(zone), 0

    def open_by_model(hours: QuietHours, at: datetime) -> bool:
        clock = at.astimezone(rules).time()
        after_opening, before_closing = clock >= hours.opens, clock < hours.closes
        return (
            after_opening and before_closing
            if hours.opens < hours.closes
            else after_opening or before_closing
        )

    for change in changes(zone) or (datetime(2027, 1, 1, tzinfo=UTC),):
        for hours in windows:
            for at in starts_around(change):
                opening = next_opening(hours, zone, at)
                assert open_by_model(hours, opening), (zone, hours, at, opening)
                assert opening >= at, (zone, hours, at, opening)
                grid = at if opening == at else at.replace(second=0, microsecond=0) + MINUTE
                while grid < opening:
                    assert not open_by_model(hours, grid), (zone, hours, at, opening, grid)
                    grid += MINUTE
                end = closing_time(hours, zone, opening)
                assert end is not None
                assert not open_by_model(hours, end), (zone, hours, opening, end)
                assert open_by_model(hours, end - timedelta(microseconds=1)), (zone, hours, opening, end)
                compared += 1
    return compared


def test_nothing_earlier_is_open_around_the_changes_of_odd_zones() -> None:
    compared = sum(check_zone(zone, (DAYTIME, INTO_THE_CHANGE)) for zone in ODD_ZONES)

    assert compared >= 1_000


@pytest.mark.proof
def test_nothing_earlier_is_open_around_any_change_of_any_zone() -> None:
    full = os.environ.get("WAYPOST_PROOF") == "full"
    every = sorted(available_timezones() - {"localtime", "Factory"})
    zones = every if full else every[::75]
    windows = (DAYTIME, OVERNIGHT, INTO_THE_CHANGE, UNTIL_THE_CHANGE) if full else (DAYTIME, UNTIL_THE_CHANGE)

    compared = sum(check_zone(zone, windows) for zone in zones)

    assert compared >= len(zones) * len(windows) * 10


def test_a_message_to_a_country_of_several_zones_waits_until_all_of_them_are_open() -> None:
    zones = ("America/New_York", "America/Los_Angeles")
    at = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)  # 08:30 in New York, 05:30 in Los Angeles
    far = at + timedelta(days=2)

    assert next_common_opening(DAYTIME, zones, at, before=far) == datetime(2026, 6, 1, 15, tzinfo=UTC)
    # New York closes three hours before Los Angeles does.
    assert common_closing_time(DAYTIME, zones, datetime(2026, 6, 1, 15, tzinfo=UTC)) == datetime(
        2026, 6, 2, 1, tzinfo=UTC
    )
    assert next_common_opening(DAYTIME, zones, at, before=at + timedelta(hours=1)) is None


def test_zones_that_never_agree_never_open() -> None:
    morning = QuietHours(time(8), time(9))
    at = datetime(2026, 6, 1, tzinfo=UTC)

    assert next_common_opening(morning, ("UTC", "Asia/Tokyo"), at, before=at + timedelta(days=30)) is None


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (QuietHours(time(8), time(8)), ((timedelta(), DAY),)),
        (QuietHours(time(22), time()), ((22 * HOUR, DAY),)),
        (QuietHours(time(22), time(6)), ((timedelta(), 6 * HOUR), (22 * HOUR, DAY))),
    ],
    ids=["round the clock", "until midnight", "over midnight"],
)
def test_hours_are_windows_of_a_day(hours: QuietHours, expected: tuple[object, ...]) -> None:
    assert expected == open_spans(hours, NOW.date())


def test_a_close_after_the_end_that_is_asked_for_is_none() -> None:
    assert common_closing_time(DAYTIME, ("UTC",), NOW, before=NOW + HOUR) is None
    assert common_closing_time(DAYTIME, ("UTC", "Europe/Paris"), NOW, before=NOW + DAY) == NOW + 8 * HOUR
