"""Decides which zone a person lives in, and when a local time comes round there."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number


class ResolvedZone(NamedTuple):
    """A zone, and what it was taken from."""

    zone: str
    """IANA name, as the time zone database spells it."""
    source: str
    """traits, context, phone or default."""
    zones: tuple[str, ...] = ()
    """All zones the person may live in, as far as is known; never empty from ``resolve_zone``."""


@cache
def _zone_names() -> dict[str, str]:
    # The list that comes with tzdata, not the machine's folder: that one holds "localtime" and the
    # "right/" zones, which count leap seconds.
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.casefold(): name for name in names if name != "Factory"}


@cache
def zones_by_country() -> dict[str, frozenset[str]]:
    """ISO 3166-1 code → the IANA zones of the country."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    zones: dict[str, set[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones.setdefault(country, set()).add(zone)
    return {country: frozenset(names) for country, names in zones.items()}


def canonical_zone(name: str | None) -> str | None:
    """The IANA name as the database spells it (case and blanks forgiven), or None for anything else."""
    return _zone_names().get(name.strip().casefold()) if name else None


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """The zone's rules. Raises ValueError for a name that is not in the IANA database."""
    known = canonical_zone(name)
    if known is None:
        raise ValueError(f'expected an IANA zone such as "Europe/Berlin", got {name!r}; see resolve_zone')
    return ZoneInfo(known)


def require_offset(at: datetime) -> datetime:
    """``at`` itself. Raises ValueError for an instant without an offset, which Python would read as
    the machine's own local time."""
    if at.utcoffset() is None:
        raise ValueError(f"expected an instant with an offset, got {at.isoformat()}; add its zone, or UTC")
    return at


def resolve_zone(
    traits_timezone: str | None, context_timezone: str | None, phone_e164: str | None, default: str
) -> ResolvedZone:
    """The person's zone: ``traits.timezone``, else ``context.timezone``, else the phone's region, else
    ``default`` (the order of the HTTP contract). What is no IANA zone is passed over.

    Many numbers, mobiles above all, belong to a country with several zones: ``zones`` then names all of
    the number's own country, and a message waits until its channel is open in every one of them. ``zone``
    is the default where that is among them, else the first by name. Send such people a ``timezone`` trait.

    Raises ValueError where ``default`` is no IANA zone.
    """
    for name, source in ((traits_timezone, "traits"), (context_timezone, "context")):
        if known := canonical_zone(name):
            return ResolvedZone(known, source, (known,))
    fallback = zone_info(default).key
    if phone_e164 and (plausible := _zones_of_phone(phone_e164)):
        return ResolvedZone(fallback if fallback in plausible else plausible[0], "phone", plausible)
    return ResolvedZone(fallback, "default", (fallback,))


@lru_cache(maxsize=4096)
def _zones_of_phone(phone_e164: str) -> tuple[str, ...]:
    try:
        number = phonenumbers.parse(phone_e164, None)
    except phonenumbers.NumberParseException:
        return ()
    # A number the metadata cannot place comes back as "Etc/Unknown", which is no IANA zone.
    zones = sorted(known for name in time_zones_for_number(number) if (known := canonical_zone(name)))
    country = phonenumbers.region_code_for_number(number) or ""
    at_home = zones_by_country().get(country, frozenset())
    return tuple(zone for zone in zones if zone in at_home) or tuple(zones)


def next_offset_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first instant in (after, until] at which the zone's offset from UTC changes, in UTC, or None.

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
    """The instant (UTC) of a local date and time.

    A local time that occurs twice, as clocks go back, is the first of the two; one that is skipped, as
    clocks go forward, is the moment of the change.
    """
    rules = zone_info(zone)
    local = datetime.combine(day, at_time.replace(tzinfo=None), rules)
    instant = local.astimezone(UTC)
    if instant.astimezone(rules).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap fold=1 reads the time with the later offset and so lands before the change, fold=0 after.
    change = next_offset_change(rules, local.replace(fold=1).astimezone(UTC), instant)
    return change or instant


def next_local_time(at: datetime, zone: str, at_time: time, weekday: int | None = None) -> datetime:
    """The next instant (UTC), strictly after ``at``, at which it is ``at_time`` in the zone.

    ``weekday`` counts from Monday = 0, as ``date.weekday()``; None is any day. Each date has the time
    once: see ``instant_of`` for the two clock changes. Strictly after, so that a loop over the result
    always moves on. Raises ValueError for an unknown zone or weekday and for ``at`` without an offset.
    """
    if weekday is not None and not 0 <= weekday <= 6:
        raise ValueError(f"expected a weekday from 0 (Monday) to 6 (Sunday), got {weekday}")
    today = require_offset(at).astimezone(zone_info(zone)).date()
    for ahead in range(9):
        day = today + timedelta(days=ahead)
        if weekday is None or day.weekday() == weekday:
            instant = local_to_utc(day, at_time, zone)
            if instant > at:
                return instant
    raise AssertionError("unreachable: nine days hold every weekday after today")
