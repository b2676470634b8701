"""Where each key of a TOML text stands, which the standard library tells of syntax faults only."""

import tomllib
from typing import Any

Place = tuple[str | int, ...]
"""A path of keys; places in a list count from 0."""


def lines_of(text: str) -> dict[Place, int]:
    """Line (from 1) of every key, table and list element of a text that ``tomllib`` has parsed.

    Statements are found by parsing: lines are gathered until they parse by themselves, which the first lines
    of a statement never do.
    """
    found: dict[Place, int] = {}
    sizes: dict[Place, int] = {}
    table: Place = ()
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        parsed = _parsed("\n".join(lines))
        if parsed is None:
            continue
        first = number - len(lines) + 1
        if lines[0].lstrip().startswith("["):
            table = _opened(parsed, sizes)
            for end in range(1, len(table) + 1):
                found.setdefault(table[:end], first)
        else:
            _keep(parsed, table, first, found, _element_lines(lines, first))
        lines = []
    return found


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


def _keep(value: Any, place: Place, line: int, found: dict[Place, int], elements: list[int]) -> None:
    if place:
        found.setdefault(place, line)
    if isinstance(value, dict):
        for key, inner in value.items():
            _keep(inner, (*place, key), line, found, elements)
    elif isinstance(value, list):
        own = elements if len(elements) == len(value) else [line] * len(value)
        for index, inner in enumerate(value):
            _keep(inner, (*place, index), own[index], found, [])


def _element_lines(lines: list[str], first: int) -> list[int]:
    """Lines of the elements of a list that is written over several lines."""
    found: list[int] = []
    for end in range(1, len(lines) + 1):
        last = end == len(lines)
        parsed: Any = _parsed("\n".join(lines[:end]) + ("" if last else "\n]"))
        while isinstance(parsed, dict) and len(parsed) == 1:
            [parsed] = parsed.values()
        if isinstance(parsed, list):
            found += [first + end - 1] * (len(parsed) - len(found))
    return found


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
