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

VERIFIED, UNVERIFIED = 2, 1

TIMEZONE, LOCALE = "context.timezone", "context.locale"
"""Names under which guesses from an event's context have their origin."""

_NO_TRAITS = frozenset(("consents", TIMEZONE, LOCALE))

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")

_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")

_LONGEST_TAG = 35
"""Characters of a language tag that RFC 5646, section 4.4.1, has everybody make room for."""

Weight = tuple[int, str, str, str]


class Register(TypedDict):
    """The origin of the word that stands."""

    time: str
    """When it was said: UTC, with microseconds, so that text sorts as time."""
    source: str
    event_id: str
    """The event's own id within its source."""
    rank: int


Values = dict[str, Any]

Origins = dict[str, Register]


def heard(
    traits: Values,
    origins: Origins,
    said: Mapping[str, Any],
    *,
    time: datetime,
    source: str,
    event_id: str,
    verified: bool,
) -> tuple[Values, Origins]:
    """Traits and origins after one event; the very objects given where it changes nothing.

    ``time``: the earlier of the event's own and of when it was taken in. ``event_id``: its id within its
    source, since the order of Waypost's own ids is the order of arrival. None says nothing, ``consents`` is
    no trait, and an object is one field: it is replaced as a whole.
    """
    words = {name: value for name, value in said.items() if name not in _NO_TRAITS}
    return _heard(traits, origins, words, _register(time, source, event_id, verified))


def context_heard(
    timezone: str | None,
    locale: str | None,
    origins: Origins,
    context: Mapping[str, Any],
    *,
    time: datetime,
    source: str,
    event_id: str,
    verified: bool,
) -> tuple[str | None, str | None, Origins]:
    """Zone, locale and origins after one event's context, by the rule of ``heard``."""
    known: Values = {TIMEZONE: timezone, LOCALE: locale}
    register = _register(time, source, event_id, verified)
    known, origins = _heard(known, origins, context_said(context), register)
    return known[TIMEZONE], known[LOCALE], origins


def context_said(context: Mapping[str, Any]) -> dict[str, str]:
    """What an event's context says of the person, by the names of their origins.

    A zone is text as of the IANA names, at most 64 characters; a locale a language tag (RFC 5646; "_" for
    "-" is forgiven) of at most 35. Anything else is left out.
    """
    said: dict[str, str] = {}
    for name, spelling, longest in ((TIMEZONE, _ZONE, 64), (LOCALE, _TAG, _LONGEST_TAG)):
        value = context.get(name.removeprefix("context."))
        text = value.strip() if isinstance(value, str) else ""
        if len(text) <= longest and spelling.fullmatch(text):
            said[name] = text
    return said


def _heard(
    values: Values, origins: Origins, said: Mapping[str, Any], register: Register
) -> tuple[Values, Origins]:
    news = {
        name: value
        for name, value in said.items()
        if _outweighs(value, register, values.get(name), origins.get(name))
    }
    if not news:
        return values, origins
    return {**values, **news}, {**origins, **dict.fromkeys(news, register)}


def _register(time: datetime, source: str, event_id: str, verified: bool) -> Register:
    instant = time.astimezone(UTC).isoformat(timespec="microseconds")
    return Register(time=instant, source=source, event_id=event_id, rank=VERIFIED if verified else UNVERIFIED)


def _outweighs(value: object, register: Register | None, than: object, other: Register | None) -> bool:
    if value is None or than is None:
        return than is None and value is not None
    mine, theirs = _weight(register), _weight(other)
    # Of one event there is one word; spelled out all the same, so that the order is total.
    return mine > theirs if mine != theirs else _spelled(value) > _spelled(than)


def _weight(register: Register | None) -> Weight:
    """Of a word whose origin is not known: the least."""
    if register is None:
        return 0, "", "", ""
    return register["rank"], register["time"], register["source"], register["event_id"]


def _spelled(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
