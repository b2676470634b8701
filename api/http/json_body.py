"""Parsing and repair of JSON bodies: strict first, then lenient, so that one bad value rejects no batch.

NaN, infinities, lone surrogates and NUL characters are not JSON, or cannot be stored in Postgres. They are
replaced in place and reported, because a broken product name must not lose a purchase.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import orjson

from api.http.problems import Problem, json_pointer

_ESCAPED_NUL = b"\\u0000"

_LONG_INTEGER = re.compile(rb"[:,\[]\s*-?[0-9]{19}")
"""What may be an integer beyond 64 bits, perhaps inside of a text."""

_BRACKET_RUN = re.compile(
    rb"""(?:[^"\[\]{}]++ | "[^"\\]*+(?:\\.[^"\\]*+)*+"? )*+ ([\[{]++ | [\]}]++ | \Z)""",
    re.DOTALL | re.VERBOSE,
)
"""Everything up to the next brackets, and these. It matches at every position and possessively, so that a
search never starts over; a string that is not closed lasts until the end. It takes linear time."""

_MAX_BRACKET_RUNS = 100_000
"""Runs of equal brackets in a body that is not strict JSON. 1,000 ordinary events have a tenth of them."""

_UNSTORABLE_CHARACTERS = re.compile("[\x00\ud800-\udfff]")

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

MAX_WARNINGS = 20
"""Warnings of one event that are written out."""

_MAX_PARSER_DEPTH = 200
"""Levels. Far more than an event may have, far fewer than Python's stack allows."""


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A parsed body."""

    value: Any
    is_clean: bool
    """Whether no value in it needs a repair."""


def parse_json_body(body: bytes) -> ParsedBody:
    """Parse a body. Raises ``Problem`` 400 with the position of the first error."""
    try:
        if not _LONG_INTEGER.search(body):
            return ParsedBody(orjson.loads(body), _ESCAPED_NUL not in body)
        # orjson turns an integer beyond 64 bits into a float, and an id would lose its last digits.
        strict = orjson.JSONDecodeError("an integer has too many digits", "", 0)
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        strict = error
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_json(f"byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise invalid_json("it is empty")
    try:
        return ParsedBody(json.loads(_cut_at_parser_depth(body, text), parse_int=_parse_int), is_clean=False)
    except (ValueError, RecursionError):
        raise invalid_json(str(strict)) from None


def _parse_int(digits: str) -> int | float:
    # Python does not parse thousands of digits as an int. As a float they are infinite, and repaired later.
    return int(digits) if len(digits) < 100 else float(digits)


def invalid_json(why: str) -> Problem:
    """Return the 400 for a body that is not JSON."""
    return Problem(400, f"the body cannot be read as JSON: {why}; send one JSON object or a list of them")


def _cut_at_parser_depth(body: bytes, text: str) -> str:
    """Return the text with every value nested deeper than ``_MAX_PARSER_DEPTH`` replaced by ``null``.

    Raises ``ValueError`` for more than ``_MAX_BRACKET_RUNS`` runs of brackets.
    """
    if body.count(b"[") + body.count(b"{") <= _MAX_PARSER_DEPTH:
        return text
    kept: list[bytes] = []
    depth, start = 0, 0
    for runs, found in enumerate(_BRACKET_RUN.finditer(body)):
        if runs > _MAX_BRACKET_RUNS:
            raise ValueError("too many objects and lists")
        begin, end = found.span(1)
        if body[begin : begin + 1] in (b"[", b"{"):
            if depth <= _MAX_PARSER_DEPTH < depth + end - begin:
                kept.append(body[start : begin + _MAX_PARSER_DEPTH - depth] + b"null")
            depth += end - begin
        else:
            if depth - (end - begin) <= _MAX_PARSER_DEPTH < depth:
                start = begin + depth - _MAX_PARSER_DEPTH
            depth -= end - begin
    kept.append(body[start:] if depth <= _MAX_PARSER_DEPTH else b"")
    return b"".join(kept).decode("utf-8-sig")


def json_size(value: Any) -> int:
    """Return the bytes of a value as compact JSON, also if it holds what only a repair makes storable."""
    try:
        return len(orjson.dumps(value))
    except (TypeError, RecursionError):
        # Deeper than orjson goes, a number beyond 64 bits, or half a surrogate pair.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return len(text.encode(errors="surrogatepass"))


def repair_json(value: Any) -> tuple[Any, list[dict[str, str]]]:
    """Replace what cannot be stored, in place. Return the value, and a warning for each replacement.

    Of more than ``MAX_WARNINGS`` replacements the others are counted in one warning. Recursive: call it only
    for values of limited depth (``api.http.bodies.exceeds_depth``).
    """
    warnings = _Warnings()
    repaired = _repair_value(value, None, warnings)
    return repaired, warnings.to_list()


_Place = tuple[Any, int | str] | None
"""A linked list: (place of the container, name or index in it); None for the value itself."""

_UNSTORABLE_TEXT = "had a NUL character or half a surrogate pair, kept as U+FFFD; send valid Unicode"


class _Warnings:
    """The first warnings of one value in full, and the number of the others."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []
        self._others = 0

    def add(self, code: str, place: _Place, detail: str) -> None:
        if len(self._found) >= MAX_WARNINGS:
            self._others += 1
            return
        parts: list[int | str] = []
        while place is not None:
            place, part = place
            parts.append(part if isinstance(part, int) else _UNSTORABLE_CHARACTERS.sub(_REPLACEMENT, part))
        where = json_pointer(parts[::-1])
        self._found.append({"code": code, "pointer": where, "detail": f"{where or 'the event'} {detail}"})

    def to_list(self) -> list[dict[str, str]]:
        if not self._others:
            return self._found
        detail = f"the event has {self._others} more values of this kind; send valid JSON"
        return [*self._found, {"code": "more_problems", "pointer": "", "detail": detail}]


def _repair_value(value: Any, place: _Place, warnings: _Warnings) -> Any:
    kind = type(value)
    if kind is str:
        if not _UNSTORABLE_CHARACTERS.search(value):
            return value
        warnings.add("bad_text", place, _UNSTORABLE_TEXT)
        return _UNSTORABLE_CHARACTERS.sub(_REPLACEMENT, value)
    if kind is float:
        if math.isfinite(value):
            return value
        detail = "was NaN or beyond double precision, kept as null; send a finite number"
        warnings.add("not_a_number", place, detail)
        return None
    if kind is int:
        if -(2**63) <= value < 2**64:
            return value
        detail = "is beyond 64 bits, kept as text; send long numbers as text"
        warnings.add("number_too_large", place, detail)
        return str(value)
    if kind is list:
        for index, child in enumerate(value):
            value[index] = _repair_value(child, (place, index), warnings)
        return value
    if kind is dict:
        return {
            _repair_value(name, (place, name), warnings): _repair_value(child, (place, name), warnings)
            for name, child in value.items()
        }
    return value
