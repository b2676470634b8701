"""The words of a scenario are the testing kit's own verbs, read off ``Shopper``: nothing to keep in step."""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from workers.testing.shopper import Shopper
from workers.travel import TravelError, duration

_NOT_SAID = frozenset({"look", "profile_id"})
_EXAMPLES = {"timedelta": "2h", "datetime": "09:00", "quantity": "2", "channel": "sms", "order": "order-1"}


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing a shopper can do, and what may be said with it."""

    name: str
    first: tuple[str, ...]
    """Parameters that its value may fill, in order; a scenario fills the first."""
    names: tuple[str, ...]
    """All that may be said by name."""
    required: frozenset[str]
    kinds: Mapping[str, Any]
    takes_many: bool
    """A list as its value is several things."""
    takes_names: bool
    """A mapping as its value is names and values."""

    def place(self, number: int) -> str:
        """The parameter that the value at this place fills."""
        return self.first[min(number, len(self.first) - 1)] if self.first else ""

    @property
    def example(self) -> str:
        """A line as one would write it."""
        first = self.first[0] if self.first else ""
        kind = str(self.kinds.get(first, ""))
        value = next((said for name, said in _EXAMPLES.items() if name in kind or name == first), "lamp")
        return f"- {self.name}: {value}" if first else f"- {self.name}"


def converted(text: str, kind: Any) -> Any:
    """A word of the file as the value a verb takes. Raises ValueError saying what was expected."""
    kinds = typing.get_args(kind) or (kind,)
    if typing.get_origin(kind) is typing.Literal:
        if text not in kinds:
            raise ValueError(f"expected one of {', '.join(map(str, kinds))}; got {text!r}")
        return text
    if timedelta in kinds:
        try:
            return duration(text)
        except TravelError as error:
            raise ValueError(str(error)) from None
    if time in kinds or datetime in kinds:
        return _instant(text)
    if int in kinds:
        if not text.isdecimal():
            raise ValueError(f"expected a whole number; got {text!r}")
        return int(text)
    return text


def _instant(text: str) -> datetime | time:
    for read in (time.fromisoformat, datetime.fromisoformat):
        try:
            found: datetime | time = read(text)
        except ValueError:
            continue
        if isinstance(found, datetime) and found.utcoffset() is None:
            break
        return found
    raise ValueError(
        f"expected a time such as 09:00, or an instant such as 2030-06-03T09:00+02:00; got {text!r}"
    )


def _verb(name: str, method: Any) -> Verb:
    hints = typing.get_type_hints(method)
    parameters = [each for each in inspect.signature(method).parameters.values() if each.name != "self"]
    many = [each for each in parameters if each.kind is each.VAR_POSITIONAL]
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    first = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    return Verb(
        name=name,
        first=tuple(each.name for each in (many or first[:1])),
        names=tuple(each.name for each in named),
        required=frozenset(each.name for each in first if each.default is each.empty),
        kinds={each.name: hints.get(each.name, Any) for each in parameters},
        takes_many=bool(many),
        takes_names=any(each.kind is each.VAR_KEYWORD for each in parameters),
    )


VERBS: dict[str, Verb] = {
    name: _verb(name, method)
    for kind in reversed(Shopper.__mro__)
    for name, method in vars(kind).items()
    if inspect.iscoroutinefunction(method) and not name.startswith("_") and name not in _NOT_SAID
}
"""Everything a shopper can do, by name."""
