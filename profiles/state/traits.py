"""Decides which of several words on a field of the profile stands, and keeps who said it and when. Pure.

Every field is a register of its own. The word of a verified event outweighs an unverified one, then the later
word stands, then the greater (source, event id). That is a total order, so a record depends on what was said
and never on the order in which it was heard, and hearing a word twice changes nothing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

import orjson

VERIFIED_RANK, UNVERIFIED_RANK = 2, 1

TIMEZONE_ORIGIN, LOCALE_ORIGIN = "context.timezone", "context.locale"
"""Names under which guesses from an event's context have their origin."""

_RESERVED_NAMES = frozenset(("consents", TIMEZONE_ORIGIN, LOCALE_ORIGIN))

_TIMEZONE_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")

_LANGUAGE_TAG_PATTERN = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")

_MAX_LANGUAGE_TAG_LENGTH = 35
"""Characters of a language tag that RFC 5646, section 4.4.1, has everybody make room for."""

Precedence = tuple[int, str, str, str]


class FieldOrigin(TypedDict):
    """The origin of the word that stands."""

    time: str
    """When it was said: UTC, with microseconds, so that text sorts as time."""
    source: str
    event_id: str
    """The event's own id within its source."""
    rank: int


TraitValues = dict[str, Any]

TraitOrigins = dict[str, FieldOrigin]


def merge_traits(
    traits: TraitValues,
    origins: TraitOrigins,
    new_traits: Mapping[str, Any],
    *,
    time: datetime,
    source: str,
    event_id: str,
    verified: bool,
) -> tuple[TraitValues, TraitOrigins]:
    """Traits and origins after one event; the very objects given where it changes nothing.

    ``time``: the earlier of the event's own and of when it was taken in. ``event_id``: its id within its
    source, since the order of Waypost's own ids is the order of arrival. None says nothing, ``consents`` is
    no trait, and an object is one field: it is replaced as a whole.
    """
    words = {name: value for name, value in new_traits.items() if name not in _RESERVED_NAMES}
    return _merge_fields(traits, origins, words, _to_origin(time, source, event_id, verified))


def merge_context(
    timezone: str | None,
    locale: str | None,
    origins: TraitOrigins,
    context: Mapping[str, Any],
    *,
    time: datetime,
    source: str,
    event_id: str,
    verified: bool,
) -> tuple[str | None, str | None, TraitOrigins]:
    """Zone, locale and origins after one event's context, by the rule of ``heard``."""
    known: TraitValues = {TIMEZONE_ORIGIN: timezone, LOCALE_ORIGIN: locale}
    register = _to_origin(time, source, event_id, verified)
    known, origins = _merge_fields(known, origins, parse_context(context), register)
    return known[TIMEZONE_ORIGIN], known[LOCALE_ORIGIN], origins


def parse_context(context: Mapping[str, Any]) -> dict[str, str]:
    """What an event's context says of the person, by the names of their origins.

    A zone is text as of the IANA names, at most 64 characters; a locale a language tag (RFC 5646; "_" for
    "-" is forgiven) of at most 35. Anything else is left out.
    """
    said: dict[str, str] = {}
    for name, spelling, longest in (
        (TIMEZONE_ORIGIN, _TIMEZONE_PATTERN, 64),
        (LOCALE_ORIGIN, _LANGUAGE_TAG_PATTERN, _MAX_LANGUAGE_TAG_LENGTH),
    ):
        value = context.get(name.removeprefix("context."))
        text = value.strip() if isinstance(value, str) else ""
        if len(text) <= longest and spelling.fullmatch(text):
            said[name] = text
    return said


def _merge_fields(
    values: TraitValues, origins: TraitOrigins, new_values: Mapping[str, Any], register: FieldOrigin
) -> tuple[TraitValues, TraitOrigins]:
    news = {
        name: value
        for name, value in new_values.items()
        if _takes_precedence(value, register, values.get(name), origins.get(name))
    }
    if not news:
        return values, origins
    return {**values, **news}, {**origins, **dict.fromkeys(news, register)}


def _to_origin(time: datetime, source: str, event_id: str, verified: bool) -> FieldOrigin:
    instant = time.astimezone(UTC).isoformat(timespec="microseconds")
    return FieldOrigin(
        time=instant, source=source, event_id=event_id, rank=VERIFIED_RANK if verified else UNVERIFIED_RANK
    )


def _takes_precedence(
    value: object, register: FieldOrigin | None, than: object, other: FieldOrigin | None
) -> bool:
    if value is None or than is None:
        return than is None and value is not None
    mine, theirs = _precedence(register), _precedence(other)
    # Of one event there is one word; spelled out all the same, so that the order is total.
    return mine > theirs if mine != theirs else _canonical_json(value) > _canonical_json(than)


def _precedence(register: FieldOrigin | None) -> Precedence:
    """Of a word whose origin is not known: the least."""
    if register is None:
        return 0, "", "", ""
    return register["rank"], register["time"], register["source"], register["event_id"]


def _canonical_json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
