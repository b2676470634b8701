"""Finds the line of each key of a TOML text. The standard library reports the lines of syntax faults only."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str | int, ...]
"""A path of keys; places in a list count from 0."""


def lines_of(text: str) -> dict[Place, int]:
    """Line (from 1) of every key, table and list element of a text that ``tomllib`` has parsed.

    A statement ends on the first line with which it parses. A list that is written over several lines also
    parses with its bracket closed early, which shows what each line adds to it.
    """
    found: dict[Place, int] = {}
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
            found.setdefault(place, first)
        first, lines = 0, [] if statement else lines
    return found


def line_of(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of a place, or of the innermost table or list around it; None where it has none."""
    ends = range(len(place), 0, -1)
    return next((lines[place[:end]] for end in ends if place[:end] in lines), None)


def _opened(parsed: dict[str, Any], sizes: dict[Place, int]) -> Place:
    """The place of a header; one of a list of tables opens the next element."""
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
