"""Time zones: the names that senders use, as names of the IANA database."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from policy.hours.time_zones import canonical_zone, resolve_zone
from profiles.reading.properties import read_context, read_traits
from profiles.reading.time_zones import RAILS_ZONES, UNREADABLE_ZONE, read_zone

ZONES: tuple[tuple[Any, str | None, str], ...] = (
    ("Europe/Berlin", "Europe/Berlin", "the IANA database"),
    ("europe/berlin", "Europe/Berlin", "a database in small letters"),
    ("America/New York", "America/New_York", "a blank in place of the underscore"),
    ("america-new-york", "America/New_York", "an address of a page"),
    ("New York", "America/New_York", "a city alone"),
    ("Eastern Time (US & Canada)", "America/New_York", "a Ruby framework"),
    ("(GMT-05:00) Eastern Time (US & Canada)", "America/New_York", "its list on a page"),
    ("Hawaii", "Pacific/Honolulu", "a Ruby framework"),
    ("Eastern Standard Time", "America/New_York", "Windows"),
    ("W. Europe Standard Time", "Europe/Berlin", "Windows"),
    ("Tokyo Standard Time", "Asia/Tokyo", "Windows"),
    ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome", "Europe/Amsterdam", "Windows' list"),
    ("-05:00", "Etc/GMT+5", "an offset of a time"),
    ("+0200", "Etc/GMT-2", "an offset of a mail"),
    ("GMT+2", "Etc/GMT-2", "a browser's text"),
    ("UTC-5", "Etc/GMT+5", "a till"),
    ("UTC+05:30", "Asia/Kolkata", "an offset with half an hour"),
    ("+05:45", "Asia/Kathmandu", "an offset with a quarter"),
    ("Etc/GMT+5", "Etc/GMT+5", "the IANA database, where the sign is POSIX's"),
    ("Z", "UTC", "an offset of a time"),
    ("PST", "America/Los_Angeles", "an abbreviation of one zone"),
    ({"name": "Europe/Paris", "offset": 60}, "Europe/Paris", "an object"),
    ("CST", None, "an abbreviation of Chicago and of Shanghai"),
    ("IST", None, "an abbreviation of three zones"),
    ("Mars/Olympus", None, "no zone"),
    ("+15:00", None, "no offset of any zone"),
    (-300, None, "a number: minutes or hours, and which sign"),
    ("", None, "an empty field"),
)


@pytest.mark.parametrize(
    ("sent", "zone"), [pytest.param(a, b, id=f"{where}: {a!r}") for a, b, where in ZONES]
)
def test_a_zone_is_read_by_its_name(sent: Any, zone: str | None) -> None:
    assert read_zone(sent) == zone
    assert zone is None or canonical_zone(zone) == zone


@pytest.mark.parametrize("name", RAILS_ZONES)
def test_every_zone_of_the_table_exists(name: str) -> None:
    assert canonical_zone(read_zone(name)) is not None


def test_a_zone_that_cannot_be_read_is_told_and_leaves_only_the_middle_of_the_day() -> None:
    problems: list[dict[str, str]] = []
    traits = read_traits({"timezone": "Mars/Olympus"}, problems)
    context = read_context({"timezone": -300}, problems)
    resolved = resolve_zone(traits["timezone"], None, "+4915112345678", "UTC")
    at_night_in_new_york = datetime(2026, 1, 20, 7, 30, tzinfo=UTC)
    hours = [at_night_in_new_york.astimezone(ZoneInfo(zone)).hour for zone in resolved.zones]

    assert (traits["timezone"], context["timezone"]) == (UNREADABLE_ZONE, UNREADABLE_ZONE)
    assert [each["code"] for each in problems] == ["unreadable_zone", "unreadable_zone"]
    assert (resolved.zone, resolved.source) == ("Europe/Berlin", "phone")
    assert min(hours) == 2
    assert resolve_zone(None, None, "+4915112345678", "UTC").zones == ("Europe/Berlin",)
    assert len(resolve_zone("Mars/Olympus", None, None, "UTC").zones) == 3
    assert resolve_zone("Mars/Olympus", "Europe/Paris", None, "UTC").zones == ("Europe/Paris",)
