"""Decodes parsed TOML into dataclasses with pydantic, and reports every fault with its line."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache, reduce
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator
from pydantic_core.core_schema import no_info_after_validator_function, no_info_wrap_validator_function

from policy.config.codec import field_types, strict_validator, union_members
from policy.durations import parse_duration

Place = tuple[str | int, ...]
"""A path of keys and list indexes, which count from 0."""

T = TypeVar("T")

FOR_GOOD = ("for good", "never")
"""Values for a duration without an end."""

NONE = "none"
"""The value for None, and for an entry of a table that is to be removed."""

_REMOVED = object()

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")

_EXPECTED: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    time: 'a time of day from "00:00" to "24:00", such as "08:00"',
    timedelta: 'a length of time with its unit, such as "25d", "12h", "90m" or "2w"',
    date: "a date such as 2026-11-27",
    datetime: "a time with its offset such as 2026-11-27T08:00:00+01:00",
}


def lines_of(text: str) -> dict[Place, int]:
    """Return the line (from 1) of every key, table and list element of valid TOML.

    A statement ends on the first line with which it parses. A list over several lines is also parsed with its
    bracket closed early, which gives the elements that each line adds.
    """
    line_by_place: dict[Place, int] = {}
    sizes: dict[Place, int] = {}
    table: Place = ()
    lines: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        first = first or number
        statement = _parsed("\n".join(lines))
        parsed = statement or _parsed("\n".join([*lines, "]"]))
        if parsed is None:
            continue
        if lines[0].lstrip().startswith("["):
            table = _opened(parsed, sizes)
            places = [table[:end] for end in range(1, len(table) + 1)]
        else:
            places = [(*table, *place) for place in _places(parsed)]
        for place in places:
            line_by_place.setdefault(place, first)
        first, lines = 0, [] if statement else lines
    return line_by_place


def line_of(lines: Mapping[Place, int], place: Place) -> int | None:
    """Return the line of a place, or of the innermost table or list around it; None where there is none."""
    ends = range(len(place), 0, -1)
    return next((lines[place[:end]] for end in ends if place[:end] in lines), None)


def _opened(parsed: dict[str, Any], sizes: dict[Place, int]) -> Place:
    """Return the place of a table header; the header of a list of tables opens its next element."""
    place: Place = ()
    inner: Any = parsed
    while isinstance(inner, dict) and inner:
        [(key, inner)] = inner.items()
        place = (*place, key)
        if isinstance(inner, list):
            sizes[place] = sizes.get(place, 0) + 1
        if place in sizes:
            place = (*place, sizes[place] - 1)
    return place


def _places(value: Any) -> Iterator[Place]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (key,)
        yield from ((key, *place) for place in _places(inner))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class ConfigError:
    """A fault of a policy."""

    line: int
    path: str
    expected: str
    came: str
    words: str
    """The whole fault without the line, as a sentence."""
    advice: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {self.words}"


def decode_toml(
    default: T, raw: Mapping[str, Any], lines: Mapping[Place, int]
) -> tuple[T, list[ConfigError]]:
    """Return ``default`` with the values of ``raw`` set, and all faults in the order of their lines.

    A table sets the keys that it names and leaves the others at their defaults; a list replaces the default
    list. Where there are faults, the first result is undefined.
    """
    kind: Any = type(default)
    value, left = default, deepcopy(dict(raw))
    faults: dict[ConfigError, None] = {}
    removed: set[Place] = set()
    while left:
        try:
            value = _validator(kind).validate_python(_merged(default, left))
            break
        except ValidationError as invalid:
            errors = invalid.errors()
        # A class checks its values only when each of them has its type. So faulty entries are removed and the
        # rest is validated again. A removed value that is missing then is not a new fault. A table or list
        # with a faulty element or a missing value is removed last, after its other faults are found.
        places: set[Place] = set()
        for error in errors:
            new_faults = [
                new_fault
                for new_fault in _faults(error, kind, raw, lines)
                if not _within(new_fault[0], places)
            ]
            faults |= {fault: None for place, fault in new_faults if place not in removed}
            places |= {place for place, _ in new_faults}
        while places and not (removed_now := {place for place in places if _remove(left, place)}):
            places = {place[:-1] for place in places if place}
        removed |= removed_now
        left = left if removed_now else {}
    return value, sorted(faults, key=lambda fault: (fault.line, fault.path))


def _within(place: Place, places: set[Place]) -> bool:
    return any(place[:end] in places for end in range(len(place) + 1))


@lru_cache(maxsize=16)
def _validator(kind: Any) -> SchemaValidator:
    return strict_validator(kind, {"time": _clock, "timedelta": parse_duration}, _as_in_toml)


def _as_in_toml(node: Any) -> Any:
    match node:
        case {"type": "float"}:
            return {**node, "allow_inf_nan": False}
        case {"type": "str"}:
            return {**node, "pattern": r"\s*\S", "regex_engine": "python-re"}
        case {"type": "dataclass-args"}:
            return {**node, "extra_behavior": "forbid"}
        case {"type": "nullable", "schema": inner}:
            words = (NONE, *FOR_GOOD) if inner.get("schema", {}).get("type") == "timedelta" else (NONE,)
            return no_info_wrap_validator_function(
                lambda raw, read: None if str(raw).strip().lower() in words else read(raw), schema=node
            )
        case {"type": "dict", "values_schema": values} if values["type"] != "str":
            entry = no_info_wrap_validator_function(
                lambda raw, read: _REMOVED if raw == NONE else read(raw), schema=values
            )
            return no_info_after_validator_function(
                lambda table: {key: value for key, value in table.items() if value is not _REMOVED},
                schema={**node, "values_schema": entry},
            )
    return node


def _clock(words: str) -> time:
    """A time of day; "24:00" is midnight. Raises ValueError."""
    if not (match := _CLOCK.fullmatch(words.strip())):
        raise ValueError(words)
    hour, minute, second = (int(part or 0) for part in match.groups())
    return time(0) if (hour, minute, second) == (24, 0, 0) else time(hour, minute, second)


def _merged(default: Any, raw: Any) -> Any:
    """Merge the tables of ``raw`` into those of ``default``; any other value replaces its default."""
    if not isinstance(raw, dict) or not (is_dataclass(default) or isinstance(default, Mapping)):
        return raw
    if isinstance(default, Mapping):
        values = {str(key): value for key, value in default.items()}
    else:
        values = {name: getattr(default, name) for name in field_types(type(default))}
    return values | {key: _merged(values.get(key), value) for key, value in raw.items()}


def _remove(raw: dict[str, Any], place: Place) -> bool:
    """Remove an entry of a table. Returns False where there is none at the place."""
    table = value_at(raw, place[:-1])
    return bool(place) and isinstance(table, dict) and table.pop(place[-1], None) is not None


def _faults(
    error: ErrorDetails, kind: Any, raw: Mapping[str, Any], lines: Mapping[Place, int]
) -> Iterator[tuple[Place, ConfigError]]:
    """Convert a pydantic error to faults in the terms of the file, each with its place."""

    def fault(
        place: Place, wanted: str, words: str, advice: str = "", came: str = ""
    ) -> tuple[Place, ConfigError]:
        came, words = came or shown(value_at(raw, place)), f"{words}; {advice}" if advice else words
        return place, ConfigError(line_of(lines, place) or 1, dotted(place), wanted, came, words, advice)

    def unknown(place: Place, known: list[str]) -> tuple[Place, ConfigError]:
        advice, listed = spelling(place[-1], known), ", ".join(known)
        words = f"unknown key {dotted(place)!r}; known: {listed}"
        return fault(place, f"one of {listed}", words, advice, f"the key {place[-1]!r}")

    place, problem = error["loc"], error["type"]
    if problem == "unexpected_keyword_argument":
        yield unknown(place, list(field_types(_present(_declared(kind, place[:-1])))))
        return
    if place[-1:] == ("[key]",) and not is_dataclass(table := _present(_declared(kind, place[:-2]))):
        key, _ = get_args(table)
        yield unknown(place[:-1], values_of(key) or [expected(key)])
        return
    hint, came, path = _declared(kind, place), value_at(raw, place), dotted(place)
    if problem == "value_error" and is_dataclass(_present(hint)):
        # A class reports one fault per line, about a field that it names: preferably one set in the file.
        for sentence in str(error["ctx"]["error"]).splitlines():
            named = [word for word in re.findall(r"\w+", sentence) if word in field_types(_present(hint))]
            at = (*place, *sorted(named, key=lambda name: name not in came)[:1])
            wanted = sentence.removeprefix(f"{at[-1]}: ") if at else sentence
            yield fault(at, wanted, f"{dotted(at)}: {wanted}" if at else wanted)
        return
    wanted = f"a value for {dotted(place[-1:])}" if problem == "missing" else expected(hint)
    if isinstance(came, dict) and any(map(is_dataclass, get_args(_present(hint))[:1])):
        wanted = wanted.replace("a list", f"[[{path}]] for each one")
    words = f"{path}: expected {wanted}, got {shown(came)}"
    yield fault(place, wanted, words, spelling(came, values_of(hint)))


def _declared(kind: Any, place: Place) -> Any:
    """Return the declared type of a place."""
    hint = kind
    for part in place:
        hint = _present(hint)
        if is_dataclass(hint):
            hint = field_types(hint)[str(part)]
        else:
            inner = [argument for argument in get_args(hint) if argument is not Ellipsis]
            hint = inner[min(part, len(inner) - 1)] if isinstance(part, int) else inner[-1]
    return hint


def _present(hint: Any) -> Any:
    """Return the first type of an optional type that is not None; any other type unchanged."""
    return next((member for member in union_members(hint) if member is not NoneType), hint)


def expected(hint: Any) -> str:
    """Describe the form in TOML of a value of a declared type."""
    hint, types = _present(hint), union_members(hint)
    origin, values = get_origin(hint), values_of(hint)
    if values:
        words = f"one of {', '.join(values)}"
    elif is_dataclass(hint):
        words = f"a table with {', '.join(field_types(hint))}"
    elif origin is not None:
        words = "a table" if issubclass(origin, Mapping) else "a list"
    else:
        words = _EXPECTED[hint]
    return f'{words}, or "{FOR_GOOD[0] if hint is timedelta else NONE}"' if NoneType in types else words


def values_of(hint: Any) -> list[str]:
    """Return the values of an enum or literal type; empty for any other type."""
    hint = _present(hint)
    if get_origin(hint) is Literal:
        return list(map(str, get_args(hint)))
    return [str(member.value) for member in hint] if isinstance(hint, type) and issubclass(hint, Enum) else []


def spelling(raw: Any, known: list[str]) -> str:
    """Return a suggestion for a misspelled value, as a question; empty where none is close."""
    close = get_close_matches(raw, known, n=1) if isinstance(raw, str) else []
    return f"did you mean {close[0]!r}?" if close else ""


def shown(raw: Any) -> str:
    """Format a value for an error message."""
    if isinstance(raw, str | bool):
        return json.dumps(raw, ensure_ascii=False)
    if isinstance(raw, list):
        return f"a list of {len(raw)}"
    return "a table" if isinstance(raw, dict) else "nothing" if raw is None else str(raw)


def value_at(raw: Any, place: Place) -> Any:
    """Return the value at a place; None where there is none."""
    try:
        return reduce(lambda inner, part: inner[part], place, raw)
    except (KeyError, IndexError, TypeError):
        return None


def dotted(place: Place) -> str:
    """Format a place as a path; list elements count from 1: ``caps[1].limit``."""
    words = ""
    for part in place:
        if isinstance(part, int):
            words += f"[{part + 1}]"
        else:
            words += ("." if words else "") + (part if _BARE_KEY.fullmatch(part) else json.dumps(part))
    return words
