"""Zones: which one a person lives in, and when a local time comes round there."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.hours.time_zones import (
    canonical_zone,
    next_local_time,
    next_offset_change,
    require_offset,
    resolve_zone,
    zone_info,
)
from tests.support.builders.gate import DAY, HOUR, MINUTE, NOW

BERLIN, CET = "+4915112345678", "Europe/Berlin"


@pytest.mark.parametrize(
    ("traits", "context", "phone", "expected"),
    [
        pytest.param("Asia/Tokyo", "Europe/Paris", BERLIN, ("Asia/Tokyo", "traits"), id="the trait wins"),
        pytest.param(None, "Europe/Paris", BERLIN, ("Europe/Paris", "context"), id="then the context"),
        pytest.param(None, None, BERLIN, ("Europe/Berlin", "phone"), id="then the phone"),
        pytest.param(None, None, None, ("America/Lima", "default"), id="then the default"),
        pytest.param("CEST+1", "", "", ("America/Lima", "default"), id="no IANA zone anywhere"),
        pytest.param(" europe/BERLIN ", None, None, ("Europe/Berlin", "traits"), id="case and blanks"),
        pytest.param("localtime", "right/UTC", None, ("America/Lima", "default"), id="zones of the machine"),
        pytest.param("../UTC", "Europe", None, ("America/Lima", "default"), id="paths and folders"),
        pytest.param(None, None, "015112345678", ("America/Lima", "default"), id="no country code"),
        pytest.param(None, None, "+88212345678", ("America/Lima", "default"), id="a number of no country"),
        pytest.param(None, None, "+12125550123", ("America/New_York", "phone"), id="an area code"),
        pytest.param(
            None,
            None,
            "+61412345678",
            ("Australia/Adelaide", "phone"),
            id="several: shown is the first by name",
        ),
        pytest.param(None, None, "+79161234567", ("Asia/Anadyr", "phone"), id="several: never a neighbour's"),
        pytest.param(None, None, "+919812345678", ("Asia/Calcutta", "phone"), id="an old name still counts"),
    ],
)
def test_the_first_source_with_a_real_zone_decides(
    traits: str | None, context: str | None, phone: str | None, expected: tuple[str, str]
) -> None:
    assert expected == resolve_zone(traits, context, phone, "America/Lima")[:2]


@settings(deadline=None)  # the first call reads the numbering plans
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=16) | st.from_regex(r"\+[0-9]{1,15}"))
def test_whatever_people_type_there_is_a_zone(traits: str, context: str, phone: str) -> None:
    zone = resolve_zone(traits, context, phone, "UTC").zone

    assert zone == zone_info(zone).key


def test_a_default_that_is_no_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an IANA zone such as .*, got 'Berlin'"):
        resolve_zone(None, None, None, "Berlin")


@pytest.mark.parametrize("name", [None, "", " ", "Factory", "localtime", "posix/UTC", "Mars/Base"])
def test_what_is_no_zone_is_not_known(name: str | None) -> None:
    assert canonical_zone(name) is None


@pytest.mark.parametrize(
    ("at", "zone", "clock", "weekday", "expected"),
    [
        pytest.param(
            "2026-05-05 08:00+02:00", CET, time(9), None, "2026-05-05 09:00+02:00", id="later today"
        ),
        pytest.param(
            "2026-05-05 09:00+02:00", CET, time(9), None, "2026-05-06 09:00+02:00", id="strictly after"
        ),
        pytest.param("2026-05-05 12:00+02:00", CET, time(9), 0, "2026-05-11 09:00+02:00", id="next Monday"),
        pytest.param("2026-05-05 12:00+02:00", CET, time(9), 1, "2026-05-12 09:00+02:00", id="a week on"),
        pytest.param(
            "2026-03-28 12:00+01:00", CET, time(9), None, "2026-03-29 09:00+02:00", id="short night"
        ),
        pytest.param(
            "2026-03-29 00:00+01:00", CET, time(2, 30), None, "2026-03-29 03:00+02:00", id="skipped"
        ),
        pytest.param(
            "2026-03-29 03:00+02:00", CET, time(2, 30), None, "2026-03-30 02:30+02:00", id="skipped and over"
        ),
        pytest.param(
            "2026-10-25 00:00+02:00", CET, time(2, 30), None, "2026-10-25 02:30+02:00", id="twice: first"
        ),
        pytest.param(
            "2026-10-25 02:40+02:00", CET, time(2, 30), None, "2026-10-26 02:30+01:00", id="not again"
        ),
        pytest.param(  # Python's fold is no part of a time of day
            "2026-03-29 00:30+01:00",
            CET,
            time(2, fold=1),
            None,
            "2026-03-29 03:00+02:00",
            id="skipped, with fold",
        ),
        pytest.param(  # 22:30 on Tuesday in UTC is 7:30 on Wednesday in Tokyo
            "2026-05-05 22:30+00:00", "Asia/Tokyo", time(8), 2, "2026-05-06 08:00+09:00", id="the date there"
        ),
    ],
)
def test_a_local_time_comes_round(
    at: str, zone: str, clock: time, weekday: int | None, expected: str
) -> None:
    found = next_local_time(datetime.fromisoformat(at), zone, clock, weekday)

    assert datetime.fromisoformat(expected) == found


@settings(deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(
        ["Europe/Berlin", "America/Havana", "America/Santiago", "Australia/Lord_Howe", "Africa/Cairo"]
    ),
    st.times(),
)
def test_a_local_time_comes_round_within_a_day_and_a_change(at: datetime, zone: str, clock: time) -> None:
    found = next_local_time(at, zone, clock)

    assert at < found <= at + timedelta(days=1, hours=2)
    assert clock == found.astimezone(zone_info(zone)).time() or _skipped(found, zone)


def _skipped(found: datetime, zone: str) -> bool:
    before = found - timedelta(seconds=1)
    return zone_info(zone).utcoffset(before.astimezone(zone_info(zone))) != zone_info(zone).utcoffset(
        found.astimezone(zone_info(zone))
    )


@pytest.mark.parametrize("weekday", [-1, 7])
def test_an_impossible_weekday_is_refused(weekday: int) -> None:
    with pytest.raises(ValueError, match=r"from 0 \(Monday\) to 6 \(Sunday\)"):
        next_local_time(datetime(2026, 5, 5, tzinfo=UTC), "UTC", time(9), weekday)


def test_a_number_of_a_country_with_several_zones_may_live_in_any_of_them() -> None:
    resolved = resolve_zone(None, None, "+79161234567", "UTC")

    assert {"Europe/Moscow", "Asia/Anadyr"} <= set(resolved.zones)
    assert resolve_zone(None, None, "+79161234567", "Europe/Moscow").zone == "Europe/Moscow"


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an instant with an offset, got 2026-11-21T12:00:00; add"):
        require_offset(NOW.replace(tzinfo=None))


def test_a_change_of_the_clocks_is_found_up_to_the_end_and_not_after_it() -> None:
    berlin, change = zone_info("Europe/Berlin"), datetime(2026, 10, 25, 1, tzinfo=UTC)

    assert next_offset_change(berlin, change - 40 * MINUTE, change - 10 * MINUTE) is None
    assert next_offset_change(berlin, change - 40 * MINUTE, change) == change
    assert next_offset_change(berlin, change - 40 * MINUTE, change + DAY) == change
    assert next_offset_change(berlin, change, change + DAY) is None


def test_a_sunday_is_a_weekday_that_can_be_waited_for() -> None:
    assert next_local_time(NOW, "UTC", time(9), weekday=6) == NOW + 21 * HOUR
    with pytest.raises(ValueError, match="expected a weekday from 0"):
        next_local_time(NOW, "UTC", time(9), weekday=7)
