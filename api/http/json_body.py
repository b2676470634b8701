"""JSON as clients really send it: strict first, then forgiving, so that one bad value costs no batch.

NaN, infinities, lone surrogates and NUL characters are no JSON or nothing Postgres can keep. They are
mended where they stand and reported, because dropping a purchase over a broken product name would be worse.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import orjson

from api.http.problems import Problem, pointer

_NUL = b"\\u0000"

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)

_UNSAFE = re.compile("[\x00\ud800-\udfff]")

_PARSER_DEPTH = 200
"""Far deeper than any event may be, far shallower than Python's stack."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as Python values."""

    value: Any
    clean: bool
    """Nothing in it needs mending."""


def parse(body: bytes) -> Parsed:
    """Read a body. Raises ``Problem`` 400 saying where it stops being JSON."""
    try:
        return Parsed(orjson.loads(body), _NUL not in body)
    except orjson.JSONDecodeError as error:
        strict = error
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(f"byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise unreadable("it is empty")
    try:
        return Parsed(json.loads(_shallow(body, text), parse_int=_whole), clean=False)
    except (ValueError, RecursionError):
        raise unreadable(str(strict)) from None


def _whole(digits: str) -> int | float:
    # Python refuses to read thousands of digits as an int; as a float they are infinite, and mended.
    return int(digits) if len(digits) < 100 else float(digits)


def unreadable(why: str) -> Problem:
    """400 for a body that is not JSON."""
    return Problem(
        400, "Bad Request", f"the body cannot be read as JSON: {why}; send one JSON object or a list of them"
    )


def _shallow(body: bytes, text: str) -> str:
    """The text with everything nested deeper than ``_PARSER_DEPTH`` replaced by one number that says so."""
    if body.count(b"[") + body.count(b"{") <= _PARSER_DEPTH:
        return text
    kept: list[bytes] = []
    depth, start = 0, 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == _PARSER_DEPTH + 1:
                kept.append(body[start : token.start()] + b"null")
        elif mark in (b"]", b"}"):
            if depth == _PARSER_DEPTH + 1:
                start = token.end()
            depth -= 1
    kept.append(body[start:] if depth <= _PARSER_DEPTH else b"")
    return b"".join(kept).decode("utf-8-sig")


def mended(value: Any) -> tuple[Any, list[dict[str, str]]]:
    """The value with everything replaced that cannot be kept, and what that was. Refuses nothing.

    Only for values that are not nested too deep (``limits.is_deep``).
    """
    problems: list[dict[str, str]] = []
    return _mend(value, (), problems), problems


def _mend(value: Any, place: tuple[int | str, ...], problems: list[dict[str, str]]) -> Any:
    if isinstance(value, str):
        return _mend_text(value, place, problems)
    if isinstance(value, float) and not math.isfinite(value):
        _note(
            problems,
            "not_a_number",
            place,
            "was NaN or beyond double precision, kept as null; send a finite number",
        )
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        _note(
            problems, "number_too_large", place, "is beyond 64 bits, kept as text; send long numbers as text"
        )
        return str(value)
    if isinstance(value, list):
        return [_mend(child, (*place, index), problems) for index, child in enumerate(value)]
    if isinstance(value, dict):
        return {
            _mend_text(name, (*place, name), problems): _mend(child, (*place, name), problems)
            for name, child in value.items()
        }
    return value


def _mend_text(text: str, place: tuple[int | str, ...], problems: list[dict[str, str]]) -> str:
    if not _UNSAFE.search(text):
        return text
    _note(
        problems,
        "bad_text",
        place,
        "had a NUL character or half a surrogate pair, kept as U+FFFD; send valid Unicode",
    )
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def _note(problems: list[dict[str, str]], code: str, place: tuple[int | str, ...], detail: str) -> None:
    where = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", pointer(place))
    problems.append({"code": code, "pointer": where, "detail": f"{where or 'the event'} {detail}"})
