"""Reads parsed TOML as values of declared types, strictly, and keeps every fault with its line."""

import json
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

from policy.codec import hints_of, union_of
from policy.plain_values import listed, one_of, plain, shown, spelling, values_of
from policy.toml_lines import Place

FOR_GOOD = ("for good", "never")
"""Words for a length of time without an end."""
NONE = "none"
"""The word for no value, and for an entry of a table that is to be taken out."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BAD: Any = object()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a policy."""

    line: int
    path: str
    expected: str
    came: str
    words: str
    """All of it but the line, as a sentence."""
    advice: str = ""
    """What was perhaps meant."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.words}"


@dataclass(slots=True)
class Reading:
    """One text being read. ``faults`` is complete when ``read`` returns."""

    lines: Mapping[Place, int]
    faults: list[Fault] = field(default_factory=list)
    set_by_text: list[Place] = field(default_factory=list)
    """Values and lists that the text sets."""

    def line(self, place: Place) -> int:
        """Of a place, or of what it is a part of."""
        ends = range(len(place), 0, -1)
        return next((self.lines[place[:end]] for end in ends if place[:end] in self.lines), 1)

    def read(self, hint: Any, raw: Any, place: Place, default: Any = MISSING) -> Any:
        """The value of a declared type. What it means after a fault is undefined."""
        if arms := union_of(hint):
            return self._union(arms, raw, place, default)
        origin, inner = get_origin(hint), get_args(hint)
        if is_dataclass(hint):
            return self._dataclass(hint, raw, place, default)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._table(inner[0], inner[1], raw, place, default)
        self.set_by_text.append(place)
        if origin is Literal:
            return (
                raw if raw in inner else self._fault(place, one_of(inner), raw, advice=spelling(raw, inner))
            )
        if origin is not None:
            return self._list(origin, inner, raw, place)
        try:
            return plain(hint, raw)
        except ValueError as expected:
            return self._fault(place, str(expected), raw, advice=spelling(raw, values_of(hint)))

    def _union(self, arms: tuple[Any, ...], raw: Any, place: Place, default: Any) -> Any:
        wanted = [arm for arm in arms if arm is not types.NoneType]
        nothing = () if len(wanted) == len(arms) else ((NONE, *FOR_GOOD) if timedelta in wanted else (NONE,))
        if isinstance(raw, str) and raw.strip().lower() in nothing:
            self.set_by_text.append(place)
            return None
        tried = [Reading(self.lines) for _ in wanted]
        for arm, one in zip(wanted, tried, strict=True):
            value = one.read(arm, raw, place, MISSING if default is None else default)
            if not one.faults:
                self.set_by_text += one.set_by_text
                return value
        if len(wanted) == 1 and is_dataclass(wanted[0]):
            self.faults += tried[0].faults
            return _BAD
        also = f', or "{nothing[-1] if len(nothing) == 1 else FOR_GOOD[0]}"' if nothing else ""
        first = [one.faults[0] for one in tried]
        expected = " or ".join(fault.expected for fault in first) + also
        return self._fault(place, expected, raw, advice=first[0].advice)

    def _dataclass(self, kind: Any, raw: Any, place: Place, default: Any) -> Any:
        if not isinstance(raw, dict):
            return self._fault(place, f"a table with {listed(hints_of(kind))}", raw)
        hints = hints_of(kind)
        defaults = {one.name: _default_of(one, default) for one in fields(kind)}
        for key in raw:
            if key not in hints:
                self._unknown(key, (*place, key), hints)
        given = {
            key: self.read(hints[key], one, (*place, key), defaults[key])
            for key, one in raw.items()
            if key in hints
        }
        missing = [key for key in hints if key not in raw and defaults[key] is MISSING]
        for key in missing:
            self._fault((*place, key), f"a value for {key}", None)
        sound = {key: one for key, one in given.items() if one is not _BAD}
        if missing or (len(sound) < len(given) and default is MISSING):
            return _BAD
        try:
            return kind(**sound) if default is MISSING else replace(default, **sound)
        except ValueError as error:
            return self._refused(error, sound, raw, place, default)

    def _refused(
        self, error: ValueError, given: dict[str, Any], raw: dict[str, Any], place: Place, default: Any
    ) -> Any:
        """A value that its own class refuses. Which it is, is found by setting them one at a time."""
        alone: dict[str, str] = {}
        for key, value in given.items() if default is not MISSING else ():
            try:
                replace(default, **{key: value})
            except ValueError as refusal:
                alone[key] = str(refusal)
        for line in str(error).splitlines() if not alone else ():
            named = [key for key in re.findall(r"\w+", line) if key in given]
            if not named:
                return self._fault(place, str(error), raw, whole=True)
            alone.setdefault(named[0], line)
        for key, refused in alone.items():
            self._fault((*place, key), refused.removeprefix(f"{key}: "), raw[key], whole=True)
        return _BAD

    def _table(self, key_hint: Any, hint: Any, raw: Any, place: Place, default: Any) -> Any:
        if not isinstance(raw, dict):
            return self._fault(place, "a table", raw)
        result = {} if default is MISSING else dict(default)
        bad = False
        for key, one in raw.items():
            at = (*place, key)
            try:
                name = int(key) if key_hint is int else plain(key_hint, key)
            except ValueError:
                bad = self._unknown(key, at, values_of(key_hint) or ["whole numbers"]) is _BAD
                continue
            if one == NONE and hint is not str:
                result.pop(name, None)
                self.set_by_text.append(at)
                continue
            value = self.read(hint, one, at, result.get(name, MISSING))
            bad = bad or value is _BAD
            result[name] = value
        return _BAD if bad else result

    def _list(self, origin: Any, inner: tuple[Any, ...], raw: Any, place: Place) -> Any:
        if not isinstance(raw, list):
            table = is_dataclass(inner[0]) and isinstance(raw, dict)
            return self._fault(place, f"[[{dotted(place)}]] for each one" if table else "a list", raw)
        if origin is tuple and inner[-1] is not Ellipsis:
            if len(raw) != len(inner):
                return self._fault(place, f"{len(inner)} values", raw)
            hints: Iterable[Any] = inner
        else:
            hints = [inner[0]] * len(raw)
        found = [
            self.read(hint, one, (*place, index))
            for index, (hint, one) in enumerate(zip(hints, raw, strict=True))
        ]
        return _BAD if any(one is _BAD for one in found) else origin(found)

    def _unknown(self, key: str, place: Place, known: Iterable[str]) -> Any:
        known = list(known)
        advice, path = spelling(key, known), dotted(place)
        words = f"unknown key {path!r}; known: {listed(known)}" + (f"; {advice}" if advice else "")
        self.faults.append(Fault(self.line(place), path, one_of(known), f"the key {key!r}", words, advice))
        return _BAD

    def _fault(self, place: Place, expected: str, raw: Any, *, advice: str = "", whole: bool = False) -> Any:
        path, came, then = dotted(place), shown(raw), f"; {advice}" if advice else ""
        sentence = expected if whole else f"expected {expected}, got {came}{then}"
        words = f"{path}: {sentence}" if path else sentence
        self.faults.append(Fault(self.line(place), path, expected, came, words, advice))
        return _BAD


def dotted(place: Place) -> str:
    """A place as an operator writes it; list elements count from 1: ``caps[1].limit``."""
    words = ""
    for part in place:
        if isinstance(part, int):
            words += f"[{part + 1}]"
        else:
            words += ("." if words else "") + (part if _BARE_KEY.fullmatch(part) else json.dumps(part))
    return words


def _default_of(one: Any, whole: Any) -> Any:
    if whole is not MISSING:
        return getattr(whole, one.name)
    return one.default if one.default_factory is MISSING else one.default_factory()
