"""Values that only unverified events stated, so that no message repeats them. Deterministic, no I/O."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from activities.contracts import ProfileSnapshot
from profiles.events import Event

_ENVELOPE_FIELDS = frozenset(("id", "time", "at", "channel", "cart", "cart_id", "content_verified"))

_MIN_PART_LENGTH = 4
"""Shorter texts count only as a whole; within other texts they are found by chance."""


class UnverifiedValues:
    """Texts and amounts of the events that a run received, and of the traits that it read.

    Amounts are the events' own properties of the type ``float``, so that a number that an author
    wrote as an integer is never taken for one.
    """

    def __init__(self) -> None:
        self._unverified: dict[str | float, None] = {}
        self._verified: dict[str | float, None] = {}

    def add_event(self, event: Event) -> None:
        """Record what an event states, products included."""
        for name in type(event).model_fields:
            if name not in _ENVELOPE_FIELDS:
                self._add(getattr(event, name), verified=bool(event.content_verified))

    def add_traits(self, read: ProfileSnapshot) -> None:
        """Record the traits that a story has read and that no verified event stated."""
        for name in read.unverified_traits:
            self._add(read.traits.get(name), verified=False)

    def keys_in(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of ``context=`` whose values repeat, or contain, an unverified value."""
        left = [value for value in self._unverified if value not in self._verified]
        amounts = {value for value in left if isinstance(value, float)}
        texts = [value for value in left if isinstance(value, str)]
        return tuple(
            name
            for name, value in context.items()
            if any(_repeats(leaf, texts, amounts) for leaf in _leaves(value))
        )

    def _add(self, value: Any, *, verified: bool) -> None:
        if isinstance(value, BaseModel):
            marked = getattr(value, "content_verified", verified)
            for name in type(value).model_fields:
                if name not in _ENVELOPE_FIELDS and not isinstance(inner := getattr(value, name), float):
                    self._add(inner, verified=bool(marked))
            return
        known = self._verified if verified else self._unverified
        for leaf in _leaves(value):
            if isinstance(leaf, BaseModel):
                self._add(leaf, verified=verified)
            elif isinstance(leaf, str) and (text := leaf.strip().casefold()):
                known[text] = None
            elif isinstance(leaf, float):
                known[leaf] = None


def _leaves(value: Any) -> Iterator[Any]:
    """Return the values in lists and mappings, and the names in mappings."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(name)
            yield from _leaves(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _repeats(leaf: Any, texts: Iterable[str], amounts: Iterable[float]) -> bool:
    if isinstance(leaf, BaseModel):
        return any(_repeats(inner, texts, amounts) for inner in _leaves(leaf.model_dump()))
    if isinstance(leaf, float):
        return leaf in amounts
    if not isinstance(leaf, str):
        return False
    whole = leaf.strip().casefold()
    return any(text == whole or (len(text) >= _MIN_PART_LENGTH and text in whole) for text in texts)
