"""Encodes plans, facts and limits as JSON, and decodes them by the types that their classes declare."""

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
"""Type of a node → how a value of it is read from text."""

_JSON_SCALAR_TYPES = frozenset({str, int, bool, types.NoneType})

_SCALARS = frozenset({"bool", "int", "float", "str", "date", "datetime", "time", "timedelta"})

_FROM_JSON: Parsers = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": parse_duration,
}


def encode_value(value: Any, *, full: bool = False) -> Any:
    """A value as JSON has it. Fields at their defaults are left out, unless ``full``.

    Sets are sorted, and a whole number is the same whether it was 10 or 10.0, so that equal values have one
    form. Raises TypeError for a type that no plan, fact or limit is made of.
    """
    kind = type(value)
    if kind in _JSON_SCALAR_TYPES:
        return value
    if kind is tuple or kind is list:
        return [encode_value(one, full=full) for one in value]
    if (defaults := _field_defaults(cast(Any, kind))) is not None:
        found = {}
        for name, default in defaults:
            one = getattr(value, name)
            if full or (one is not default and one != default):
                found[name] = one if type(one) in _JSON_SCALAR_TYPES else encode_value(one, full=full)
        return found
    match value:
        case Enum():
            return value.value
        case float():
            return int(value) if value.is_integer() else value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return format_compact_duration(value)
        case Mapping():
            return {str(encode_value(key)): encode_value(one, full=full) for key, one in value.items()}
        case frozenset():
            return sorted(encode_value(one, full=full) for one in value)
    raise TypeError(f"expected plain values and dataclasses of them, got {kind.__name__}")


def decode_value(kind: type[T], raw: Any) -> T:
    """The value that ``encode`` had, as ``kind``.

    A field that ``raw`` leaves out is at its default; a field that ``kind`` no longer has is ignored, so that
    values recorded by older code still decode. Raises ValueError, with every fault, where ``raw`` is none.
    """
    try:
        return cast(T, _decoder(cast(Any, kind)).validate_python(raw))
    except ValidationError as invalid:
        raise ValueError("; ".join(_in_words(kind, error) for error in invalid.errors())) from invalid


def field_types(kind: Any) -> dict[str, Any]:
    """The declared types of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def union_members(hint: Any) -> tuple[Any, ...]:
    """The types of a union; empty for anything else."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def strict_validator(
    kind: Any, parsers: Parsers, adapt: Callable[[Any], Any] = lambda node: node
) -> SchemaValidator:
    """A validator that takes scalars of the declared type only, or text that a parser reads as one.

    Tables become dataclasses and lists become tuples and sets, as pydantic does by default. Keys of mappings
    are text, so they are converted. ``adapt`` may replace each node of the schema, the inner ones first.
    """

    def strict(node: Any) -> Any:
        if isinstance(node, list):
            return [strict(one) for one in node]
        if not isinstance(node, dict):
            return node
        node = {key: strict(one) for key, one in node.items()}
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
    came = "" if error["type"] in ("missing", "value_error") else f", got {error['input']!r}"
    return f"{'.'.join(map(str, (kind.__name__, *error['loc'])))}: {error['msg']}{came}"


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> SchemaValidator:
    return strict_validator(kind, _FROM_JSON)


@lru_cache(maxsize=256)
def _field_defaults(kind: Any) -> tuple[tuple[str, Any], ...] | None:
    """Field → default, where one without is equal to nothing; None for what is no dataclass."""
    if not is_dataclass(kind):
        return None
    found = []
    for field in fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found.append((field.name, default))
    return tuple(found)
