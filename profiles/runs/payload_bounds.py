"""Bounds of what is signalled to a run, whatever an event or a cart holds. Pure, in linear time.

A run gets at most ``MAX_SIGNALS_PER_RUN`` events, so that its history stays below Temporal's 50 MB.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson

from profiles.events import Item
from profiles.redaction import redact_addresses

MAX_CART_BYTES = 16_384
"""Bytes of a cart's lines as JSON. The oldest lines are left out."""

MAX_FIELDS_BYTES = 12_288
"""Bytes of an event's declared fields as JSON."""

MAX_LINES = 100
"""Lines of a cart or an order."""

_LINE_TEXT_LENGTHS = {"name": 200, "url": 500, "image_url": 500}
"""Field of a line → its most characters; a longer address is left out, another text is cut."""

_MAX_WORD_LENGTH = 255

MAX_CACHED_TEXT = 600
"""Characters of a line's name and links with which its encoded form is kept."""

_STEPS = ((500, 100), (100, 20), (40, 5))
"""Lengths of (texts, lists and objects) to which the fields of a large event are cut, one after the other."""


def bounded_cart(lines: Sequence[Item]) -> list[dict[str, Any]]:
    """Return the newest lines of a cart that fit, in their order, without addresses of people."""
    kept: list[dict[str, Any]] = []
    size = 0
    for item in reversed(lines[-MAX_LINES:]):
        is_long = sum(len(text) for text in (item.name, item.url, item.image_url) if text) > MAX_CACHED_TEXT
        line, line_size = (_encode_line if is_long else _encoded_line)(item)
        size += line_size
        if kept and size > MAX_CART_BYTES:
            break
        kept.append(line)
    return kept[::-1]


def _encode_line(item: Item) -> tuple[dict[str, Any], int]:
    line = _bounded_line(item.model_dump(mode="json", exclude_none=True))
    return line, len(orjson.dumps(line)) + 1


# A line is signalled with each event of its cart. Long ones are not kept, so that no sender fills the memory.
_encoded_line = lru_cache(maxsize=4096)(_encode_line)


def bounded_fields(declared: dict[str, Any]) -> dict[str, Any]:
    """Return an event's declared fields, cut where they are large together, without addresses of people."""
    if len(orjson.dumps(declared)) > MAX_FIELDS_BYTES:
        declared = _shortened(declared)
    return redact_addresses(declared)


def _shortened(declared: dict[str, Any]) -> dict[str, Any]:
    fields = dict(declared)
    if isinstance(products := fields.get("products"), list):
        fields["products"] = list(_fitting(products[:MAX_LINES]))
    for text_length, list_length in _STEPS:
        if len(orjson.dumps(fields)) <= MAX_FIELDS_BYTES:
            return fields
        fields = {
            name: value if name == "products" else _cut(value, text_length, list_length)
            for name, value in fields.items()
        }
    for name in sorted(fields, key=lambda name: len(orjson.dumps(fields[name])), reverse=True):
        if len(orjson.dumps(fields)) <= MAX_FIELDS_BYTES:
            break
        del fields[name]
    return fields


def _fitting(products: Iterable[Any]) -> Iterable[Any]:
    size = 0
    for line in products:
        bounded = _bounded_line(line) if isinstance(line, dict) else line
        size += len(orjson.dumps(bounded)) + 1
        if size > MAX_FIELDS_BYTES // 2:
            return
        yield bounded


def _bounded_line(line: dict[str, Any]) -> dict[str, Any]:
    bounded: dict[str, Any] = {}
    for name, value in line.items():
        length = _LINE_TEXT_LENGTHS.get(name, _MAX_WORD_LENGTH)
        if isinstance(value, str) and len(value) > length:
            if name.endswith("url"):
                continue
            value = value[:length]
        bounded[name] = value
    return redact_addresses(bounded)


def _cut(value: Any, text_length: int, list_length: int) -> Any:
    match value:
        case str():
            return value[:text_length]
        case list():
            return [_cut(each, text_length, list_length) for each in value[:list_length]]
        case dict():
            return {
                name[:text_length]: _cut(each, text_length, list_length)
                for name, each in list(value.items())[:list_length]
            }
        case _:
            return value
