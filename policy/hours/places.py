"""The places where a profile may be, for rules on hours, and the time zones that follow from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import phonenumbers

from policy.hours.time_zones import (
    EXPLICIT_ZONE_SOURCES,
    ResolvedZone,
    canonical_zone,
    zone_info,
    zones_by_country,
)
from policy.hours.us_states import US_STATES, parse_state, state_for_phone

_COUNTRY_ALIASES = {
    "usa": "US",
    "united states of america": "US",
    "uk": "GB",
    "united kingdom": "GB",
    "great britain": "GB",
}

SOURCE_ADDRESS, SOURCE_PHONE, SOURCE_ZONE = "the address", "the phone number", "the time zone"


@dataclass(frozen=True, slots=True)
class Place:
    """A place where the profile may be, for rules on hours."""

    country: str
    """ISO 3166-1, two letters."""
    region: str = ""
    """ISO 3166-2, such as US-FL; empty: any region of the country."""
    source: str = ""
    """The source of the place, in words."""


@lru_cache(maxsize=4096)
def parse_country(text: str) -> str | None:
    """Parse a country: an ISO 3166-1 code or an English name, in any case. Returns the code."""
    name = text.strip().casefold()
    codes = _country_codes_by_name()
    return name.upper() if name.upper() in codes.values() else _COUNTRY_ALIASES.get(name) or codes.get(name)


@cache
def country_for_zone(zone: str) -> str | None:
    """Return the ISO 3166-1 code of an IANA zone's country; None for UTC and other zones of no country."""
    countries = _countries_by_zone()
    return countries.get(zone) or countries.get(_canonical_zones_by_alias().get(zone, ""))


@cache
def _countries_by_zone() -> dict[str, str]:
    return {zone: country for country, zones in zones_by_country().items() for zone in zones}


@cache
def _canonical_zones_by_alias() -> dict[str, str]:
    """Return the map from old names of zones to the current names."""
    rows = (line.split() for line in _read_tzdata_table("tzdata.zi") if line.startswith("L "))
    return {alias: zone for _, zone, alias in rows}


@cache
def _country_codes_by_name() -> dict[str, str]:
    rows = (
        line.split("\t") for line in _read_tzdata_table("iso3166.tab") if line and not line.startswith("#")
    )
    return {name.casefold(): code for code, name in rows}


def _read_tzdata_table(name: str) -> list[str]:
    return resources.files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8").splitlines()


def resolve_places(
    traits: Mapping[str, Any], phone_e164: str | None, zone: ResolvedZone
) -> tuple[Place, ...]:
    """Return all places where the profile may be; empty where none is known. All their rules apply.

    The address is ``country`` and ``state`` or ``region`` in ``traits.address``, else in the traits. The
    phone number completes it (in the USA its area code implies a state), or is a place of its own in another
    country. So is the country of a zone in traits or context, where it differs from all of these.
    """
    address, phone = _place_from_traits(traits), _place_from_phone(phone_e164 or "")
    if address is None and phone is not None and phone.country == "US":
        address = _us_place_from_state(traits)
    if address and phone and address.country == phone.country:
        places = [phone if phone.region and not address.region else address]
    else:
        places = [place for place in (address, phone) if place]
    named = country_for_zone(zone.zone) if zone.source in EXPLICIT_ZONE_SOURCES else None
    if named and named not in {place.country for place in places}:
        places.append(Place(named, source=SOURCE_ZONE))
    return tuple(places)


def add_place_zones(places: Iterable[Place], zone: ResolvedZone) -> ResolvedZone:
    """Return the zone with the zones of every place that it does not cover.

    A zone from traits or context is returned unchanged. To a zone from the phone number, the zones of the
    address are added, where it is in another place. The default zone is replaced by the places' zones.
    """
    if zone.source in EXPLICIT_ZONE_SOURCES:
        return zone
    known = () if zone.source == "default" else zone.zones
    added = {
        clock for place in places if not zones_allow_place(place, known) for clock in _zones_of_place(place)
    }
    if not added:
        return zone
    zones = tuple(sorted({*known, *added}))
    source = f"{zone.source} and address" if known else "address"
    return ResolvedZone(zone.zone if zone.zone in zones else zones[0], source, zones)


def zones_allow_place(place: Place, zones: Iterable[str]) -> bool:
    """Return whether a profile with one of the zones may be in the place, by the place's own zones."""
    if not place.region.startswith("US-"):
        return any(country_for_zone(zone) == place.country for zone in zones)
    return any(_same_offsets(zone, own) for zone in zones for own in _zones_of_place(place))


def _place_from_traits(traits: Mapping[str, Any]) -> Place | None:
    for source in _address_mappings(traits):
        country = parse_country(_stripped_text(source.get("country")))
        if (
            country is None
            and (region := _read_region(source)).upper().startswith("US-")
            and parse_state(region)
        ):
            country = "US"
        if country:
            return Place(country, _region_code(_read_region(source), country), SOURCE_ADDRESS)
    return None


def _us_place_from_state(traits: Mapping[str, Any]) -> Place | None:
    states = (parse_state(_read_region(source)) for source in _address_mappings(traits))
    return next((Place("US", f"US-{state}", SOURCE_ADDRESS) for state in states if state), None)


def _address_mappings(traits: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    address = traits.get("address")
    return (address, traits) if isinstance(address, Mapping) else (traits,)


def _read_region(source: Mapping[str, Any]) -> str:
    return _stripped_text(source.get("state")) or _stripped_text(source.get("region"))


def _region_code(region: str, country: str) -> str:
    if country == "US":
        state = parse_state(region)
        return f"US-{state}" if state else ""
    return region.upper() if region.upper().startswith(f"{country}-") else ""


def country_for_phone(phone_e164: str) -> str | None:
    """Return the ISO 3166-1 code of a number's country; None for any other text."""
    place = _place_from_phone(phone_e164)
    return None if place is None else place.country


@lru_cache(maxsize=4096)
def _place_from_phone(phone_e164: str) -> Place | None:
    try:
        country = phonenumbers.region_code_for_number(phonenumbers.parse(phone_e164, None))
    except phonenumbers.NumberParseException:
        return None
    if country is None or len(country) != 2 or not country.isalpha():
        return None
    state = state_for_phone(phone_e164) if country == "US" else None
    return Place(country, f"US-{state}" if state else "", SOURCE_PHONE)


def _zones_of_place(place: Place) -> tuple[str, ...]:
    if place.region.startswith("US-"):
        return US_STATES[place.region.removeprefix("US-")].zones
    return tuple(
        known for zone in zones_by_country().get(place.country, ()) if (known := canonical_zone(zone))
    )


@lru_cache(maxsize=4096)
def _same_offsets(zone: str, other: str) -> bool:
    return _monthly_offsets(zone) == _monthly_offsets(other)


@lru_cache(maxsize=1024)
def _monthly_offsets(zone: str) -> tuple[object, ...]:
    rules = zone_info(zone)
    middles = (datetime(2027, month, 15, tzinfo=UTC) for month in range(1, 13))
    return tuple(middle.astimezone(rules).utcoffset() for middle in middles)


def _stripped_text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
