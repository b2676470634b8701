"""Time zones: the IANA database, the zone of a profile, and conversions between local time and UTC."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

EXPLICIT_ZONE_SOURCES = ("traits", "context")
"""Sources of a zone that is declared, as opposed to inferred."""


UNKNOWN_ZONE_HOURS = 6
"""How far to the west and to the east a profile with an unreadable zone may live."""

_ANY_WINTER_DAY = datetime(2026, 1, 15)  # noqa: DTZ001 - local to the zone that is asked


class ResolvedZone(NamedTuple):
    """A zone and its source."""

    zone: str
    """IANA name, spelled as in the time zone database."""
    source: str
    """"traits", "context", "phone" or "default"; from ``policy.hours.places`` also "address"."""
    zones: tuple[str, ...] = ()
    """All zones in which the profile may live; never empty from ``resolve_zone``."""


@cache
def _zone_names() -> dict[str, str]:
    # The list of the tzdata package. The machine's folder also has "localtime" and the "right/" zones, which
    # count leap seconds.
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.casefold(): name for name in names if name != "Factory"}


@cache
def zones_by_country() -> dict[str, frozenset[str]]:
    """Return the IANA zones of each country, by ISO 3166-1 code."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    zones: dict[str, set[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones.setdefault(country, set()).add(zone)
    return {country: frozenset(names) for country, names in zones.items()}


def canonical_zone(name: str | None) -> str | None:
    """Return the IANA name as spelled in the database, ignoring case and outer blanks; None if unknown."""
    return _zone_names().get(name.strip().casefold()) if name else None


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """Return the zone's rules. Raises ValueError for a name that is not in the IANA database."""
    known = canonical_zone(name)
    if known is None:
        raise ValueError(f'expected an IANA zone such as "Europe/Berlin", got {name!r}; see resolve_zone')
    return ZoneInfo(known)


def require_offset(at: datetime) -> datetime:
    """Return ``at``. Raises ValueError without an offset: Python would read the machine's local time."""
    if at.utcoffset() is None:
        raise ValueError(f"expected an instant with an offset, got {at.isoformat()}; add its zone, or UTC")
    return at


def resolve_zone(
    traits_timezone: str | None, context_timezone: str | None, phone_e164: str | None, default: str
) -> ResolvedZone:
    """Return the profile's zone, from the first source that names one.

    The sources are ``traits.timezone``, ``context.timezone``, the phone number's region and ``default``, in
    this order, as in docs/reference/events.md. Where traits or context declare a zone and none of them is an
    IANA zone, the profile may live elsewhere than its number: zones ``UNKNOWN_ZONE_HOURS`` to the west and
    to the east are plausible too, so that only the middle of the day is open.

    Many numbers belong to a country with several zones. Then ``zones`` has all of them, and a message waits
    until its channel is open in every one; ``zone`` is the default where it is among them, else the first.
    Raises ValueError where ``default`` is not an IANA zone.
    """
    for name, source in ((traits_timezone, "traits"), (context_timezone, "context")):
        if known := canonical_zone(name):
            return ResolvedZone(known, source, (known,))
    is_unreadable = bool(traits_timezone or context_timezone)
    fallback = zone_info(default).key
    if phone_e164 and (plausible := _zones_of_phone(phone_e164)):
        zone = fallback if fallback in plausible else plausible[0]
        return ResolvedZone(zone, "phone", _with_neighbours(plausible) if is_unreadable else plausible)
    zones = (fallback,)
    return ResolvedZone(fallback, "default", _with_neighbours(zones) if is_unreadable else zones)


def _with_neighbours(zones: tuple[str, ...]) -> tuple[str, ...]:
    """Return zones with those ``UNKNOWN_ZONE_HOURS`` away. Those of a wide country are wide enough."""
    offsets = {ZoneInfo(zone).utcoffset(_ANY_WINTER_DAY) or timedelta() for zone in zones}
    if len(offsets) > 1:
        return zones
    hours = round(offsets.pop() / timedelta(hours=1))
    around = (max(hours - UNKNOWN_ZONE_HOURS, -12), min(hours + UNKNOWN_ZONE_HOURS, 14))
    # The signs of these names are those of POSIX: west is positive.
    return tuple(dict.fromkeys((*zones, *(f"Etc/GMT{-each:+d}" if each else "Etc/GMT" for each in around))))


@lru_cache(maxsize=4096)
def _zones_of_phone(phone_e164: str) -> tuple[str, ...]:
    try:
        number = phonenumbers.parse(phone_e164, None)
    except phonenumbers.NumberParseException:
        return ()
    # For an unknown number the library returns "Etc/Unknown", which is not an IANA zone.
    zones = sorted(known for name in time_zones_for_number(number) if (known := canonical_zone(name)))
    country = phonenumbers.region_code_for_number(number) or ""
    at_home = zones_by_country().get(country, frozenset())
    return tuple(zone for zone in zones if zone in at_home) or tuple(zones)


def next_offset_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """Return the first instant (UTC) in (after, until] at which the zone's offset changes, or None.

    Two changes within one hour that cancel out would be missed; no zone has such a pair.
    """
    low, end = int(after.timestamp() // 1), int(until.timestamp() // 1)
    before = _utc_offset(zone, low)
    while low < end:
        high = min(low + 3600, end)
        if _utc_offset(zone, high) != before:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _utc_offset(zone, middle) == before else (low, middle)
            return datetime.fromtimestamp(high, UTC)
        low = high
    return None


def _utc_offset(zone: ZoneInfo, epoch: int) -> timedelta | None:
    return datetime.fromtimestamp(epoch, zone).utcoffset()


def local_to_utc(day: date, at_time: time, zone: str) -> datetime:
    """Return the instant (UTC) of a local date and time.

    For a local time that occurs twice, as clocks go back, it is the first of the two. For one that is
    skipped, as clocks go forward, it is the moment of the change.
    """
    rules = zone_info(zone)
    local = datetime.combine(day, at_time.replace(tzinfo=None, fold=0), rules)
    instant = local.astimezone(UTC)
    if instant.astimezone(rules).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap, fold=1 uses the later offset, which gives an instant before the change; fold=0 one after it.
    change = next_offset_change(rules, local.replace(fold=1).astimezone(UTC), instant)
    return change or instant


def next_local_time(at: datetime, zone: str, at_time: time, weekday: int | None = None) -> datetime:
    """Return the next instant (UTC), strictly after ``at``, at which it is ``at_time`` in the zone.

    ``weekday`` counts from Monday = 0; None is any day. Each date has the time once, see ``local_to_utc``.
    Raises ValueError for an unknown zone or weekday and for ``at`` without an offset.
    """
    if weekday is not None and not 0 <= weekday <= 6:
        raise ValueError(f"expected a weekday from 0 (Monday) to 6 (Sunday), got {weekday}")
    today = require_offset(at).astimezone(zone_info(zone)).date()
    for ahead in range(9):  # pragma: no mutate: a tenth day is never needed
        day = today + timedelta(days=ahead)
        if weekday is None or day.weekday() == weekday:
            instant = local_to_utc(day, at_time, zone)
            if instant > at:
                return instant
    raise AssertionError("unreachable: nine days hold every weekday after today")
