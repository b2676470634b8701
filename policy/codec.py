"""Values of a decision as JSON and back, without loss, by the types that their classes declare."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from policy.durations import length_of, short

T = TypeVar("T")

_AS_THEY_ARE = frozenset({str, int, bool, types.NoneType})


def encode(value: Any, *, full: bool = False) -> Any:
    """A value as JSON has it. Fields at their defaults are left out, unless ``full``.

    Sets are sorted, and a whole number is the same whether it was 10 or 10.0, so that equal values have one
    form. Raises TypeError for a type that no plan, fact or limit is made of.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is tuple or kind is list:
        return [encode(one, full=full) for one in value]
    if (defaults := _defaults(cast(Any, kind))) is not None:
        found = {}
        for name, default in defaults:
            one = getattr(value, name)
            if full or (one is not default and one != default):
                found[name] = one if type(one) in _AS_THEY_ARE else encode(one, full=full)
        return found
    match value:
        case Enum():
            return value.value
        case float():
            return int(value) if value.is_integer() else value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return short(value)
        case Mapping():
            return {str(encode(key)): encode(one, full=full) for key, one in value.items()}
        case frozenset():
            return sorted(encode(one, full=full) for one in value)
    raise TypeError(f"expected plain values and dataclasses of them, got {kind.__name__}")


def decode(kind: type[T], raw: Any) -> T:
    """The value that ``encode`` had, as ``kind``.

    What ``raw`` leaves out is at its default, and what ``kind`` no longer has is passed over, so that what
    was recorded by older code still decodes. Raises ValueError for what is no such value.
    """
    return cast(T, _decoded(kind, raw))


@lru_cache(maxsize=256)
def hints_of(kind: Any) -> dict[str, Any]:
    """The declared types of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


@lru_cache(maxsize=256)
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...] | None:
    """Field → default, where one without is equal to nothing; None for what is no dataclass."""
    if not is_dataclass(kind):
        return None
    found = []
    for field in fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found.append((field.name, default))
    return tuple(found)


def union_of(hint: Any) -> tuple[Any, ...]:
    """What a union is of; empty for anything else."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def _decoded(hint: Any, raw: Any) -> Any:
    if arms := union_of(hint):
        return _first(arms, raw)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return raw
    if origin is not None:
        return _collection(origin, inner, raw)
    return _dataclass(hint, raw) if is_dataclass(hint) else _plain(hint, raw)


def _dataclass(kind: Any, raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        raise ValueError(f"expected fields of {kind.__name__}, got {type(raw).__name__}")
    hints = hints_of(kind)
    given = {name: _decoded(hints[name], one) for name, one in raw.items() if name in hints}
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: expected every field without a default: {error}") from error


def _first(arms: tuple[Any, ...], raw: Any) -> Any:
    if raw is None and types.NoneType in arms:
        return None
    said: list[str] = []
    for arm in arms:
        if arm is not types.NoneType:
            try:
                return _decoded(arm, raw)
            except ValueError as error:
                said.append(str(error))
    raise ValueError("; ".join(said))


def _collection(origin: Any, inner: tuple[Any, ...], raw: Any) -> Any:
    if issubclass(origin, Mapping):
        if not isinstance(raw, Mapping):
            raise ValueError(f"expected a mapping, got {type(raw).__name__}")
        return {_key(inner[0], key): _decoded(inner[1], one) for key, one in raw.items()}
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise ValueError(f"expected a list, got {type(raw).__name__}")
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(raw) != len(inner):
            raise ValueError(f"expected {len(inner)} values, got {len(raw)}")
        return tuple(_decoded(hint, one) for hint, one in zip(inner, raw, strict=True))
    return origin(_decoded(inner[0], one) for one in raw)


def _key(hint: Any, key: str) -> Any:
    return int(key) if hint is int else _decoded(hint, key)


def _plain(hint: Any, raw: Any) -> Any:
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    if hint in (datetime, date, time) and isinstance(raw, str):
        return hint.fromisoformat(raw)
    if hint is timedelta and isinstance(raw, str):
        return length_of(raw)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(raw)
    if hint in (bool, int, str) and type(raw) is hint:
        return raw
    raise ValueError(f"expected {getattr(hint, '__name__', hint)}, got {raw!r}")
