"""Names of time zones that senders use, as names of the IANA database. Pure.

Read are IANA names in any spelling, those of Windows (CLDR's table) and of Rails, unambiguous abbreviations,
cities, and offsets from UTC. An offset becomes a zone that has it.
"""

import re
from functools import cache, lru_cache
from importlib import resources
from typing import Any

UNREADABLE_ZONE = "Etc/Unknown"
"""CLDR's name of a zone that is not known. No IANA name: the strictest plausible hours apply."""

RAILS_ZONES = {
    "International Date Line West": "Etc/GMT+12",
    "Midway Island": "Pacific/Midway",
    "American Samoa": "Pacific/Pago_Pago",
    "Hawaii": "Pacific/Honolulu",
    "Alaska": "America/Juneau",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Pacific Time": "America/Los_Angeles",
    "Tijuana": "America/Tijuana",
    "Mountain Time (US & Canada)": "America/Denver",
    "Mountain Time": "America/Denver",
    "Arizona": "America/Phoenix",
    "Chihuahua": "America/Chihuahua",
    "Mazatlan": "America/Mazatlan",
    "Central Time (US & Canada)": "America/Chicago",
    "Central Time": "America/Chicago",
    "Saskatchewan": "America/Regina",
    "Guadalajara": "America/Mexico_City",
    "Mexico City": "America/Mexico_City",
    "Monterrey": "America/Monterrey",
    "Central America": "America/Guatemala",
    "Eastern Time (US & Canada)": "America/New_York",
    "Eastern Time": "America/New_York",
    "Indiana (East)": "America/Indiana/Indianapolis",
    "Bogota": "America/Bogota",
    "Lima": "America/Lima",
    "Quito": "America/Lima",
    "Atlantic Time (Canada)": "America/Halifax",
    "Caracas": "America/Caracas",
    "La Paz": "America/La_Paz",
    "Santiago": "America/Santiago",
    "Newfoundland": "America/St_Johns",
    "Brasilia": "America/Sao_Paulo",
    "Buenos Aires": "America/Argentina/Buenos_Aires",
    "Montevideo": "America/Montevideo",
    "Georgetown": "America/Guyana",
    "Puerto Rico": "America/Puerto_Rico",
    "Greenland": "America/Nuuk",
    "Mid-Atlantic": "Atlantic/South_Georgia",
    "Azores": "Atlantic/Azores",
    "Cape Verde Is.": "Atlantic/Cape_Verde",
    "Edinburgh": "Europe/London",
    "Bern": "Europe/Zurich",
    "West Central Africa": "Africa/Algiers",
    "Kyiv": "Europe/Kiev",
    "St. Petersburg": "Europe/Moscow",
    "Pretoria": "Africa/Johannesburg",
    "Harare": "Africa/Harare",
    "Kuwait": "Asia/Riyadh",
    "Abu Dhabi": "Asia/Muscat",
    "Ekaterinburg": "Asia/Yekaterinburg",
    "Islamabad": "Asia/Karachi",
    "Chennai": "Asia/Kolkata",
    "Mumbai": "Asia/Kolkata",
    "New Delhi": "Asia/Kolkata",
    "Sri Jayawardenepura": "Asia/Colombo",
    "Astana": "Asia/Dhaka",
    "Hanoi": "Asia/Bangkok",
    "Beijing": "Asia/Shanghai",
    "Ulaan Bataar": "Asia/Ulaanbaatar",
    "Osaka": "Asia/Tokyo",
    "Sapporo": "Asia/Tokyo",
    "Canberra": "Australia/Melbourne",
    "Solomon Is.": "Pacific/Guadalcanal",
    "New Caledonia": "Pacific/Noumea",
    "Marshall Is.": "Pacific/Majuro",
    "Wellington": "Pacific/Auckland",
    "Nuku'alofa": "Pacific/Tongatapu",
    "Tokelau Is.": "Pacific/Fakaofo",
    "Chatham Is.": "Pacific/Chatham",
    "Samoa": "Pacific/Apia",
}
"""Names of ActiveSupport that are no city of an IANA name."""

ABBREVIATIONS = {
    **dict.fromkeys(("et", "est", "edt", "eastern", "us eastern"), "America/New_York"),
    **dict.fromkeys(("mt", "mdt", "mountain", "us mountain"), "America/Denver"),
    **dict.fromkeys(("pt", "pst", "pdt", "pacific", "us pacific"), "America/Los_Angeles"),
    **dict.fromkeys(("cdt", "us central"), "America/Chicago"),
    **dict.fromkeys(("akst", "akdt"), "America/Anchorage"),
    **dict.fromkeys(("cest", "mez", "mesz"), "Europe/Berlin"),
    **dict.fromkeys(("eest", "oez"), "Europe/Helsinki"),
    **dict.fromkeys(("jst",), "Asia/Tokyo"),
    **dict.fromkeys(("aest",), "Australia/Brisbane"),
    **dict.fromkeys(("aedt",), "Australia/Sydney"),
    **dict.fromkeys(("acdt",), "Australia/Adelaide"),
    **dict.fromkeys(("awst",), "Australia/Perth"),
    **dict.fromkeys(("nzst", "nzdt"), "Pacific/Auckland"),
    **dict.fromkeys(("brt",), "America/Sao_Paulo"),
    **dict.fromkeys(("msk",), "Europe/Moscow"),
}
"""Abbreviations of one zone, in small letters. CST, IST, BST and AST are of several, and are not read."""

_AMBIGUOUS = frozenset(("cst", "ist", "bst", "ast", "sst", "gst", "act", "wst"))

_ZONE_BY_ODD_OFFSET = {
    -570: "Pacific/Marquesas",
    -210: "America/St_Johns",
    210: "Asia/Tehran",
    270: "Asia/Kabul",
    330: "Asia/Kolkata",
    345: "Asia/Kathmandu",
    390: "Asia/Yangon",
    525: "Australia/Eucla",
    570: "Australia/Darwin",
    630: "Australia/Lord_Howe",
    765: "Pacific/Chatham",
}
"""Minutes east of UTC → a zone with it, where it is no whole hour."""

_OFFSET = re.compile(
    r"\(?\s*(?:utc|gmt|z)?\s*(?P<sign>[+\-\u2212\u2013])\s*(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?(?::00)?\s*\)?",
    re.IGNORECASE,
)

_OFFSET_BEFORE_A_NAME = re.compile(r"\((?P<offset>(?:UTC|GMT)[^)]{0,12})\)\s*(?P<name>.+)", re.IGNORECASE)

_NOT_A_LETTER = re.compile(r"[\W_]+")

_MAX_LENGTH = 100

_FIELDS_OF_OBJECTS = ("iana", "id", "name", "timezone", "time_zone", "zone", "value")


@cache
def _iana_names() -> frozenset[str]:
    # The list of the tzdata package, as ``policy.hours.time_zones`` has it.
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(name for name in names if name != "Factory")


@cache
def _zones_by_fold() -> dict[str, str]:
    from babel.core import get_global

    names = _iana_names()
    zones: dict[str, str] = {}
    cities: dict[str, set[str]] = {}
    for name in sorted(names):
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/", "Canada/", "Mexico/", "Brazil/")):
            cities.setdefault(_fold(name.rpartition("/")[2]), set()).add(name)
    # Several names of one city are aliases of one zone; the shortest is a name that all tables have.
    zones |= {city: min(named, key=len) for city, named in cities.items()}
    zones |= {_fold(windows): zone for windows, zone in get_global("windows_zone_mapping").items()}
    zones |= {_fold(rails): zone for rails, zone in RAILS_ZONES.items()}
    zones |= {_fold(short): zone for short, zone in ABBREVIATIONS.items()}
    zones |= {_fold(name): name for name in names if not re.search(r"[+-]?\d$", name)}
    zones |= {_fold(f"Etc/{name}"): "UTC" for name in ("UTC", "Zulu", "UCT")} | {"z": "UTC"}
    return {fold: zone for fold, zone in zones.items() if zone in names and fold not in _AMBIGUOUS}


def _fold(name: str) -> str:
    return _NOT_A_LETTER.sub("", name).casefold()


def is_iana_zone(value: Any) -> bool:
    """Return whether a value is a name of the IANA database, as it is spelled there."""
    return type(value) is str and value in _iana_names()


def read_zone(value: Any) -> str | None:
    """Return the IANA name that a value names; None for what cannot be read.

    A name of the database is returned as it is spelled there. A number is not read: it may be hours
    or minutes, and senders disagree about its sign.
    """
    if isinstance(value, dict):
        value = next((value[name] for name in _FIELDS_OF_OBJECTS if isinstance(value.get(name), str)), None)
    return _read_text(value.strip()) if isinstance(value, str) and len(value) <= _MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _read_text(text: str) -> str | None:
    if text in _iana_names():
        return text
    if "/" in text and (exact := {name.casefold(): name for name in _iana_names()}.get(text.casefold())):
        return exact
    if match := _OFFSET.fullmatch(text):
        return _zone_of_offset(match)
    prefix = _OFFSET_BEFORE_A_NAME.fullmatch(text)
    named = _zones_by_fold().get(_fold(prefix["name"] if prefix else text))
    if named or prefix is None:
        return named
    # The names of several cities, as Windows shows them.
    offset = _OFFSET.fullmatch(prefix["offset"])
    first = _zones_by_fold().get(_fold(prefix["name"].partition(",")[0]))
    return first or (_zone_of_offset(offset) if offset else None)


def _zone_of_offset(match: re.Match[str]) -> str | None:
    minutes = int(match["hours"]) * 60 + int(match["minutes"] or 0)
    minutes = minutes if match["sign"] == "+" else -minutes
    if not -12 * 60 <= minutes <= 14 * 60 or int(match["minutes"] or 0) > 59:
        return None
    if minutes % 60:
        return _ZONE_BY_ODD_OFFSET.get(minutes)
    # The signs of these names are those of POSIX: west is positive.
    return f"Etc/GMT{-minutes // 60:+d}" if minutes else "UTC"
