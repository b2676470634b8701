"""Encodes plans, facts and limits as JSON, and decodes them by the declared types of their fields."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator
from pydantic_core.core_schema import no_info_before_validator_function

from policy.durations import format_compact_duration, parse_duration

T = TypeVar("T")

Parsers = Mapping[str, Callable[[str], Any]]
"""Type of a schema node → parser of its values from text."""

_MAX_EXACT_FLOAT = 2.0**53

_JSON_SCALAR_TYPES = frozenset({str, int, bool, types.NoneType})

_SCALARS = frozenset({"bool", "int", "float", "str", "date", "datetime", "time", "timedelta"})

_FROM_JSON: Parsers = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": parse_duration,
}


def encode_value(value: Any, *, full: bool = False) -> Any:
    """Encode a value as plain JSON values. Fields at their defaults are omitted, unless ``full``.

    Equal values have one form: sets are sorted, and 10.0 is encoded as 10. Raises TypeError for a type that
    is not in plans, facts and limits.
    """
    kind = type(value)
    if kind in _JSON_SCALAR_TYPES:
        return value
    if kind is tuple or kind is list:
        return [encode_value(inner, full=full) for inner in value]
    if (defaults := _field_defaults(cast(Any, kind))) is not None:
        encoded = {}
        for name, default in defaults:
            inner = getattr(value, name)
            if full or (inner is not default and inner != default):
                encoded[name] = inner if type(inner) in _JSON_SCALAR_TYPES else encode_value(inner, full=full)
        return encoded
    match value:
        case Enum():
            return value.value
        case float():
            # A larger integer has no place in 64 bits, and a float of that size is written as one anyway.
            return int(value) if value.is_integer() and abs(value) < _MAX_EXACT_FLOAT else value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return format_compact_duration(value)
        case Mapping():
            return {str(encode_value(key)): encode_value(inner, full=full) for key, inner in value.items()}
        case frozenset():
            return sorted(encode_value(inner, full=full) for inner in value)
    raise TypeError(f"expected plain values and dataclasses of them, got {kind.__name__}")


def decode_value(kind: type[T], raw: Any) -> T:
    """Decode a value that ``encode_value`` encoded, as ``kind``.

    A field that is absent from ``raw`` gets its default. A field that ``kind`` no longer has is ignored, so
    that values recorded by older code can be decoded. Raises ValueError, with all faults, for anything else.
    """
    try:
        return cast(T, _decoder(cast(Any, kind)).validate_python(raw))
    except ValidationError as invalid:
        raise ValueError("; ".join(_in_words(kind, error) for error in invalid.errors())) from invalid


def field_types(kind: Any) -> dict[str, Any]:
    """Return the declared types of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def union_members(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union; empty for any other type."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def strict_validator(
    kind: Any, parsers: Parsers, adapt: Callable[[Any], Any] = lambda node: node
) -> SchemaValidator:
    """Build a validator that accepts scalars of the declared type only, or text for which there is a parser.

    Tables are converted to dataclasses, and lists to tuples and sets, as pydantic does by default. Keys of
    mappings are text, so they are converted. ``adapt`` may replace each node of the schema, inner ones first.
    """

    def strict(node: Any) -> Any:
        if isinstance(node, list):
            return [strict(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        node = {key: strict(inner) for key, inner in node.items()}
        name = node.get("type")
        if name == "dict":
            node["keys_schema"] = {**node["keys_schema"], "strict": False}
        elif name in _SCALARS:
            node["strict"] = True
        adapted = adapt(node)
        return _parsed_by(parsers[name], adapted) if name in parsers else adapted

    return SchemaValidator(strict(TypeAdapter(kind).core_schema))


def _parsed_by(parser: Callable[[str], Any], node: Any) -> Any:
    return no_info_before_validator_function(
        lambda raw: parser(raw) if isinstance(raw, str) else raw, schema=node
    )


def _in_words(kind: type, error: ErrorDetails) -> str:
    got = "" if error["type"] in ("missing", "value_error") else f", got {error['input']!r}"
    return f"{'.'.join(map(str, (kind.__name__, *error['loc'])))}: {error['msg']}{got}"


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> SchemaValidator:
    return strict_validator(kind, _FROM_JSON)


@lru_cache(maxsize=256)
def _field_defaults(kind: Any) -> tuple[tuple[str, Any], ...] | None:
    """Return each field with its default, ``MISSING`` where it has none; None for any other type."""
    if not is_dataclass(kind):
        return None
    defaults = []
    for field in fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        defaults.append((field.name, default))
    return tuple(defaults)
