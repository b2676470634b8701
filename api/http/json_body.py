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

_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)

_UNSTORABLE_CHARACTERS = re.compile("[\x00\ud800-\udfff]")

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
        return ParsedBody(orjson.loads(body), _ESCAPED_NUL not in body)
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
    """Return the text with every value nested deeper than ``_MAX_PARSER_DEPTH`` replaced by ``null``."""
    if body.count(b"[") + body.count(b"{") <= _MAX_PARSER_DEPTH:
        return text
    kept: list[bytes] = []
    depth, start = 0, 0
    for token in _JSON_TOKEN.finditer(body):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == _MAX_PARSER_DEPTH + 1:
                kept.append(body[start : token.start()] + b"null")
        elif mark in (b"]", b"}"):
            if depth == _MAX_PARSER_DEPTH + 1:
                start = token.end()
            depth -= 1
    kept.append(body[start:] if depth <= _MAX_PARSER_DEPTH else b"")
    return b"".join(kept).decode("utf-8-sig")


def repair_json(value: Any) -> tuple[Any, list[dict[str, str]]]:
    """Replace what cannot be stored. Return the value, and a warning for each replacement.

    Recursive: call it only for values of limited depth (``api.http.bodies.exceeds_depth``).
    """
    problems: list[dict[str, str]] = []
    return _repair_value(value, (), problems), problems


def _repair_value(value: Any, place: tuple[int | str, ...], problems: list[dict[str, str]]) -> Any:
    if isinstance(value, str):
        return _repair_text(value, place, problems)
    if isinstance(value, float) and not math.isfinite(value):
        detail = "was NaN or beyond double precision, kept as null; send a finite number"
        _add_warning(problems, "not_a_number", place, detail)
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        detail = "is beyond 64 bits, kept as text; send long numbers as text"
        _add_warning(problems, "number_too_large", place, detail)
        return str(value)
    if isinstance(value, list):
        return [_repair_value(child, (*place, index), problems) for index, child in enumerate(value)]
    if isinstance(value, dict):
        return {
            _repair_text(name, (*place, name), problems): _repair_value(child, (*place, name), problems)
            for name, child in value.items()
        }
    return value


def _repair_text(text: str, place: tuple[int | str, ...], problems: list[dict[str, str]]) -> str:
    if not _UNSTORABLE_CHARACTERS.search(text):
        return text
    detail = "had a NUL character or half a surrogate pair, kept as U+FFFD; send valid Unicode"
    _add_warning(problems, "bad_text", place, detail)
    return _UNSTORABLE_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text)


def _add_warning(
    problems: list[dict[str, str]], code: str, place: tuple[int | str, ...], detail: str
) -> None:
    where = _UNSTORABLE_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", json_pointer(place))
    problems.append({"code": code, "pointer": where, "detail": f"{where or 'the event'} {detail}"})
