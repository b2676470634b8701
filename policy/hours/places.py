"""Decides in which places a person may be, as far as rules on hours go, and which clocks they may live by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import phonenumbers

from policy.hours.time_zones import ResolvedZone, known_zone, zone_info, zones_by_country
from policy.hours.us_states import STATES, state_named, state_of_number

_ALSO = {
    "usa": "US",
    "united states of america": "US",
    "uk": "GB",
    "united kingdom": "GB",
    "great britain": "GB",
}


@lru_cache(maxsize=4096)
def country_named(text: str) -> str | None:
    """The ISO 3166-1 code of what somebody calls a country: a code or an English name, in any case."""
    said = text.strip().casefold()
    codes = _codes()
    return said.upper() if said.upper() in codes.values() else _ALSO.get(said) or codes.get(said)


@cache
def country_of_zone(zone: str) -> str | None:
    """The ISO 3166-1 code of an IANA zone's country; None for UTC and other zones of no country."""
    countries = _by_zone()
    return countries.get(zone) or countries.get(_links().get(zone, ""))


@cache
def _by_zone() -> dict[str, str]:
    return {zone: country for country, zones in zones_by_country().items() for zone in zones}


@cache
def _links() -> dict[str, str]:
    """Old name of a zone → the one it goes by today."""
    rows = (line.split() for line in _table("tzdata.zi") if line.startswith("L "))
    return {alias: zone for _, zone, alias in rows}


@cache
def _codes() -> dict[str, str]:
    rows = (line.split("\t") for line in _table("iso3166.tab") if line and not line.startswith("#"))
    return {name.casefold(): code for code, name in rows}


def _table(name: str) -> list[str]:
    return resources.files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True, slots=True)
class Place:
    """A place the person may be in, as far as rules on hours go."""

    country: str
    """ISO 3166-1, two letters."""
    region: str = ""
    """ISO 3166-2, such as US-FL; empty: any region of the country."""
    source: str = ""
    """What it was taken from, in words."""


ADDRESS, PHONE, ZONE = "the address", "the phone number", "the time zone"

_SAID = ("traits", "context")
"""Where a zone comes from that somebody named, rather than one that was guessed."""


def places_of(traits: Mapping[str, Any], phone_e164: str | None, zone: ResolvedZone) -> tuple[Place, ...]:
    """Everywhere the person may be; empty where nothing is known. The rules of all these places hold.

    First the address: ``country`` and ``state`` or ``region`` in ``traits.address``, else in the traits
    themselves. The phone number fills in what is missing (in the USA its area code names a state), and
    counts as well where it is of another country. So does the country of a zone that traits or context
    name, if it is yet another: where they contradict each other, the stricter rule holds.
    """
    address, phone = _of_traits(traits), _of_phone(phone_e164 or "")
    if address is None and phone is not None and phone.country == "US":
        address = _state_alone(traits)
    if address and phone and address.country == phone.country:
        places = [phone if phone.region and not address.region else address]
    else:
        places = [place for place in (address, phone) if place]
    named = country_of_zone(zone.zone) if zone.source in _SAID else None
    if named and named not in {place.country for place in places}:
        places.append(Place(named, source=ZONE))
    return tuple(places)


def zones_there(places: Iterable[Place], zone: ResolvedZone) -> ResolvedZone:
    """The zone, with the clocks of every place that it says nothing of.

    A zone that traits or context name stands as it is. A phone number's is that number's alone: where the
    address is elsewhere, the clocks there count too. The default gives way to what is known.
    """
    if zone.source in _SAID:
        return zone
    known = () if zone.source == "default" else zone.zones
    added = {clock for place in places if not may_be_in(place, known) for clock in _clocks(place)}
    if not added:
        return zone
    zones = tuple(sorted({*known, *added}))
    source = f"{zone.source} and address" if known else "address"
    return ResolvedZone(zone.zone if zone.zone in zones else zones[0], source, zones)


def may_be_in(place: Place, zones: Iterable[str]) -> bool:
    """Whether somebody who lives by one of the zones may be in the place, as far as its clocks tell."""
    if not place.region.startswith("US-"):
        return any(country_of_zone(zone) == place.country for zone in zones)
    return any(_same_clock(zone, own) for zone in zones for own in _clocks(place))


def _of_traits(traits: Mapping[str, Any]) -> Place | None:
    for source in _sources(traits):
        country = country_named(_text(source.get("country")))
        if country is None and (region := _region(source)).upper().startswith("US-") and state_named(region):
            country = "US"
        if country:
            return Place(country, _region_code(_region(source), country), ADDRESS)
    return None


def _state_alone(traits: Mapping[str, Any]) -> Place | None:
    states = (state_named(_region(source)) for source in _sources(traits))
    return next((Place("US", f"US-{state}", ADDRESS) for state in states if state), None)


def _sources(traits: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    address = traits.get("address")
    return (address, traits) if isinstance(address, Mapping) else (traits,)


def _region(source: Mapping[str, Any]) -> str:
    return _text(source.get("state")) or _text(source.get("region"))


def _region_code(region: str, country: str) -> str:
    if country == "US":
        state = state_named(region)
        return f"US-{state}" if state else ""
    return region.upper() if region.upper().startswith(f"{country}-") else ""


@lru_cache(maxsize=4096)
def _of_phone(phone_e164: str) -> Place | None:
    try:
        country = phonenumbers.region_code_for_number(phonenumbers.parse(phone_e164, None))
    except phonenumbers.NumberParseException:
        return None
    if country is None or len(country) != 2 or not country.isalpha():
        return None
    state = state_of_number(phone_e164) if country == "US" else None
    return Place(country, f"US-{state}" if state else "", PHONE)


def _clocks(place: Place) -> tuple[str, ...]:
    if place.region.startswith("US-"):
        return STATES[place.region.removeprefix("US-")].zones
    return tuple(known for zone in zones_by_country().get(place.country, ()) if (known := known_zone(zone)))


@lru_cache(maxsize=4096)
def _same_clock(zone: str, other: str) -> bool:
    return _offsets(zone) == _offsets(other)


@lru_cache(maxsize=1024)
def _offsets(zone: str) -> tuple[object, ...]:
    rules = zone_info(zone)
    middles = (datetime(2027, month, 15, tzinfo=UTC) for month in range(1, 13))
    return tuple(middle.astimezone(rules).utcoffset() for middle in middles)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
