"""Countries by what people call them and by their zones, from the tables that come with tzdata."""

from functools import cache, lru_cache
from importlib import resources

from policy.zones import zones_by_country

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
