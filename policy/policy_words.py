"""Says the policy in force value by value, as the file would say it, and where each was set."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time, timedelta
from typing import Any, cast

from policy.codec import encode, hints_of, union_of
from policy.limits import Limits
from policy.policy_file import Policy
from policy.toml_lines import Place
from policy.typed_reading import FOR_GOOD, NONE, dotted


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force."""

    path: str
    value: str
    """As TOML."""
    set_by: str
    """A line of the file, a variable of the environment, or the default."""

    def __str__(self) -> str:
        return f"{self.path} = {self.value}"


def settings_of(policy: Policy) -> list[Setting]:
    """Every value in force, in the order in which ``Limits`` has them."""
    found = _values(policy.limits, Limits, ())
    return [
        Setting(dotted(place), in_toml(value, hint), policy.set_by(place)) for place, value, hint in found
    ]


def in_toml(value: Any, hint: Any = None) -> str:
    """A value as the file would say it."""
    match value:
        case None:
            return json.dumps(FOR_GOOD[0] if timedelta in union_of(hint) else NONE)
        case time():
            return json.dumps(value.isoformat("minutes" if not value.second else "seconds"))
        case date():
            return value.isoformat()
        case frozenset():
            return f"[{', '.join(sorted(in_toml(one) for one in value))}]"
        case tuple() | list():
            return f"[{', '.join(in_toml(one) for one in value)}]"
        case Mapping():
            return _inline({str(key): in_toml(one) for key, one in value.items()})
    if not is_dataclass(value):
        return json.dumps(encode(value), ensure_ascii=False)
    hints, given = (
        hints_of(cast(Any, type(value))),
        [(one, getattr(value, one.name)) for one in fields(value)],
    )
    stated = [(one.name, inner) for one, inner in given if (inner, one.default) != (None, None)]
    return _inline({name: in_toml(inner, hints[name]) for name, inner in stated})


def _values(value: Any, hint: Any, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    if is_dataclass(value):
        for name, inner in hints_of(cast(Any, type(value))).items():
            yield from _values(getattr(value, name), inner, (*place, name))
    elif isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _values(one, None, (*place, str(key)))
    else:
        yield place, value, hint


def _inline(pairs: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{dotted((key,))} = {one}' for key, one in pairs.items())} }}" if pairs else "{}"
