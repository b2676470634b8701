"""Merges declared traits, time zone and locale into a profile, with the origin of each value. Pure.

Each field is a last-write-wins register of its own. A value of a verified event takes precedence over an
unverified one, then the later value, then the greater (source, event id). This is a total order, so that the
result does not depend on the order of arrival, and a repeated value changes nothing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

import orjson

from profiles.state.bounds import MAX_TRAITS

VERIFIED_RANK, UNVERIFIED_RANK = 2, 1

TIMEZONE_ORIGIN, LOCALE_ORIGIN = "context.timezone", "context.locale"
"""Names of the origins of values that come from an event's context."""

STRUCTURED_TRAITS = ("address",)
"""Traits of which an object declares its fields one by one, since channels send a part of them."""

MAX_STRUCTURED_FIELDS = 30
"""Fields of such a trait. Those of the lowest precedence go."""

_RESERVED_NAMES = frozenset(("consents", TIMEZONE_ORIGIN, LOCALE_ORIGIN))

_TIMEZONE_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")

_LANGUAGE_TAG_PATTERN = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")

_MAX_LANGUAGE_TAG_LENGTH = 35
"""Characters of a language tag that every implementation must support (RFC 5646, section 4.4.1)."""

Precedence = tuple[int, str, str, str]
"""(rank, time, source, event id); the greater one takes precedence."""


class FieldOrigin(TypedDict):
    """The origin of a field's value."""

    time: str
    """When it was declared: UTC, with microseconds, so that text sorts as time."""
    source: str
    event_id: str
    """The event's own id within its source."""
    rank: int
    """``VERIFIED_RANK`` or ``UNVERIFIED_RANK``."""


TraitValues = dict[str, Any]

TraitOrigins = dict[str, FieldOrigin]


def field_origin(*, time: datetime, source: str, event_id: str, verified: bool) -> FieldOrigin:
    """Return the origin of an event's values.

    ``time``: the event's own time, at the latest the time of ingest. ``event_id``: its id within its source,
    since Waypost's own ids are in the order of arrival.
    """
    instant = time.astimezone(UTC).isoformat(timespec="microseconds")
    rank = VERIFIED_RANK if verified else UNVERIFIED_RANK
    return FieldOrigin(time=instant, source=source, event_id=event_id, rank=rank)


def is_verified(origin: FieldOrigin | None) -> bool:
    """Return whether a verified event stated a value; False where its origin is not known."""
    return origin is not None and origin["rank"] == VERIFIED_RANK


def merge_traits(
    traits: TraitValues,
    origins: TraitOrigins,
    new_traits: Mapping[str, Any],
    origin: FieldOrigin,
) -> tuple[TraitValues, TraitOrigins]:
    """Return traits and origins after one event; the given objects themselves if nothing changes.

    None declares nothing, ``consents`` is no trait, and an object is one field, which is replaced as a whole;
    but each field of an object of ``STRUCTURED_TRAITS`` is one of its own. A profile has at most
    ``MAX_TRAITS``: those of the lowest precedence go.
    """
    new_values = declared(new_traits)
    structured = [name for name in STRUCTURED_TRAITS if new_values.get(name) is not None]
    if structured:
        new_structured = {name: new_values.pop(name) for name in structured}
        merged, origins_after = _merge_fields(traits, origins, new_values, origin)
        for name, value in new_structured.items():
            merged, origins_after = _merge_structured(merged, origins_after, name, value, origin)
    else:
        merged, origins_after = _merge_fields(traits, origins, new_values, origin)
    if len(merged) <= MAX_TRAITS:
        return merged, origins_after
    # The strongest stay. Since a trait only gets stronger, the result does not depend on the order of events.
    ranked = sorted(merged, key=lambda name: (_precedence(origins_after.get(name)), name))
    weakest = frozenset(ranked[: len(merged) - MAX_TRAITS])
    kept = {name: value for name, value in merged.items() if name not in weakest}
    origins_kept = {
        name: value for name, value in origins_after.items() if name.partition("/")[0] not in weakest
    }
    if kept == traits and origins_kept == origins:
        return traits, origins
    return kept, origins_kept


def declared(new_traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event declares as traits."""
    return {name: value for name, value in new_traits.items() if name not in _RESERVED_NAMES}


def merge_context(
    timezone: str | None,
    locale: str | None,
    origins: TraitOrigins,
    context: Mapping[str, Any],
    origin: FieldOrigin,
) -> tuple[str | None, str | None, TraitOrigins]:
    """Return time zone, locale and origins after one event's context, by the rules of ``merge_traits``."""
    values: TraitValues = {TIMEZONE_ORIGIN: timezone, LOCALE_ORIGIN: locale}
    values, origins = _merge_fields(values, origins, parse_context(context), origin)
    return values[TIMEZONE_ORIGIN], values[LOCALE_ORIGIN], origins


def parse_context(context: Mapping[str, Any]) -> dict[str, str]:
    """Return time zone and locale of an event's context, by the names of their origins.

    A time zone has the form of an IANA name, with at most 64 characters. A locale is a language tag (RFC
    5646; "_" is accepted for "-") of at most 35 characters. Anything else is left out.
    """
    values: dict[str, str] = {}
    for name, pattern, max_length in (
        (TIMEZONE_ORIGIN, _TIMEZONE_PATTERN, 64),
        (LOCALE_ORIGIN, _LANGUAGE_TAG_PATTERN, _MAX_LANGUAGE_TAG_LENGTH),
    ):
        value = context.get(name.removeprefix("context."))
        text = value.strip() if isinstance(value, str) else ""
        if len(text) <= max_length and pattern.fullmatch(text):
            values[name] = text
    return values


def _merge_fields(
    values: TraitValues, origins: TraitOrigins, new_values: Mapping[str, Any], origin: FieldOrigin
) -> tuple[TraitValues, TraitOrigins]:
    changed = {
        name: value
        for name, value in new_values.items()
        if _takes_precedence(value, origin, values.get(name), origins.get(name))
    }
    if not changed:
        return values, origins
    return {**values, **changed}, {**origins, **dict.fromkeys(changed, origin)}


def _merge_structured(
    traits: TraitValues, origins: TraitOrigins, name: str, value: object, origin: FieldOrigin
) -> tuple[TraitValues, TraitOrigins]:
    """Return traits and origins with one structured trait merged, field by field.

    The origin of a field is kept under ``name/field``, and the latest value that was no object under
    ``name/``: fields that were declared before it are gone. That of the trait itself is the one of its
    weakest field.
    """
    prefix, old = f"{name}/", traits.get(name)
    fields = dict(old) if isinstance(old, dict) else {}
    origin_of = {
        field: origins.get(prefix + field) or origins.get(name) for field in fields
    }  # Of an object that an older version stored, all fields have the origin of the whole.
    reset = origins.get(prefix) or (
        origins.get(name) if old is not None and not isinstance(old, dict) else None
    )
    if isinstance(value, dict):
        for field, new in value.items():
            is_newer = reset is None or _precedence(origin) > _precedence(reset)
            if is_newer and _takes_precedence(new, origin, fields.get(field), origin_of.get(field)):
                fields[field], origin_of[field] = new, origin
    elif reset is None or _takes_precedence(value, origin, None if isinstance(old, dict) else old, reset):
        reset = origin
        left = {field for field, of in origin_of.items() if _precedence(of) > _precedence(origin)}
        fields = {field: each for field, each in fields.items() if field in left}
    ranked = sorted(fields, key=lambda field: (_precedence(origin_of[field]), field), reverse=True)
    kept = sorted(ranked[:MAX_STRUCTURED_FIELDS])
    others = {key: each for key, each in origins.items() if key != name and not key.startswith(prefix)}
    new_origins = {prefix + field: each for field in kept if (each := origin_of[field]) is not None}
    if reset is not None:
        new_origins[prefix] = reset
    if kept:
        weakest = min((origin_of[field] for field in kept), key=_precedence)
        merged: object = {field: fields[field] for field in kept}
    else:
        weakest, merged = reset, old if isinstance(value, dict) or reset is not origin else value
    if weakest is not None:
        new_origins[name] = weakest
    if merged == old and others | new_origins == origins:
        return traits, origins
    return {**traits, name: merged}, others | new_origins


def _takes_precedence(
    value: object, origin: FieldOrigin | None, old_value: object, old_origin: FieldOrigin | None
) -> bool:
    if value is None or old_value is None:
        return old_value is None and value is not None
    new, old = _precedence(origin), _precedence(old_origin)
    # One event declares one value for a field. The values are compared only to make the order total.
    return new > old if new != old else _canonical_json(value) > _canonical_json(old_value)


def _precedence(origin: FieldOrigin | None) -> Precedence:
    """Return the precedence of an origin; the lowest one if the origin is not known."""
    if origin is None:
        return 0, "", "", ""
    return origin["rank"], origin["time"], origin["source"], origin["event_id"]


def _canonical_json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
