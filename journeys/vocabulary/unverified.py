"""Values that only unverified events stated, so that no message repeats them. Deterministic, no I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from activities.contracts import ProfileSnapshot
from profiles.events import Event, Item

_ENVELOPE_FIELDS = ("id", "time", "at", "channel", "cart_id", "content_verified", "fulfilment")
"""Fields that Waypost sets, or reads as words of a closed list."""

_MIN_PART_LENGTH, _MIN_PLAIN_PART_LENGTH = 4, 10
"""Shorter texts, ids and single words count only as a whole: within other texts they occur by chance."""

_PLAIN = re.compile(r"[\w-]+", re.ASCII)
"""An id or a single word."""


class UnverifiedValues:
    """Texts and amounts of the events that a run received, and of the traits that it read.

    Amounts are the events' own properties of the type ``float``, so that a number that an author
    wrote as an integer is never taken for one. Prices of items count for items only.
    """

    def __init__(self) -> None:
        # Dictionaries, since the order of a set is not the same in a replay.
        self._unverified: dict[str | float, None] = {}
        self._verified: dict[str | float, None] = {}
        self._unverified_prices: dict[float, None] = {}

    def add_event(self, event: Event) -> None:
        """Record what an event states, products included."""
        for name in type(event).model_fields:
            if name not in _ENVELOPE_FIELDS:
                self._add(getattr(event, name), verified=bool(event.content_verified))

    def add_traits(self, read: ProfileSnapshot) -> None:
        """Record the traits that a story has read and that no verified event stated."""
        for name in read.unverified_traits:
            self._add(read.traits.get(name), verified=False)

    def add_items(self, items: Iterable[Item]) -> None:
        """Record items that Waypost returned to the story."""
        for item in items:
            self._add(item, verified=False)

    def mark_items(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Return the items, those marked as verified that the author's code has made.

        An item that repeats a text or a price of an unverified event is none of them.
        """
        left = [value for value in self._unverified if value not in self._verified]
        texts = [value for value in left if isinstance(value, str)]
        amounts = [*(value for value in left if isinstance(value, float)), *self._unverified_prices]
        return tuple(
            item
            if item.content_verified or _repeats(_stated(item), texts, amounts)
            else item.model_copy(update={"content_verified": True})
            for item in items
        )

    def keys_in(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names in ``context=`` of values that repeat, or contain, an unverified value."""
        left = [value for value in self._unverified if value not in self._verified]
        amounts = [value for value in left if isinstance(value, float)]
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
                inner = getattr(value, name)
                if isinstance(inner, float):
                    if not marked:
                        self._unverified_prices[inner] = None
                elif name not in _ENVELOPE_FIELDS:
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


def _stated(item: Item) -> list[Any]:
    """Return what an item states about itself; an id is part of it only if it may hold words."""
    stated = (
        item.name,
        item.variant,
        item.category,
        item.group,
        item.brand,
        item.price,
        item.url,
        item.image_url,
    )
    ids = (item.product_id or "", item.sku or "")
    return [*stated, *(text for text in ids if not _PLAIN.fullmatch(text))]


def _leaves(value: Any) -> Iterator[Any]:
    """Return the values in lists and mappings, and the names in mappings."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(name)
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _repeats(leaf: Any, texts: Iterable[str], amounts: Iterable[float]) -> bool:
    if isinstance(leaf, BaseModel):
        leaf = list(leaf.model_dump().values())
    if isinstance(leaf, list):
        return any(_repeats(inner, texts, amounts) for inner in _leaves(leaf))
    if isinstance(leaf, float):
        return leaf in amounts
    if not isinstance(leaf, str):
        return False
    whole = leaf.strip().casefold()
    return any(text == whole or (_is_distinctive(text) and text in whole) for text in texts)


def _is_distinctive(text: str) -> bool:
    """Return whether a text within another one is there because it was put there."""
    return len(text) >= (_MIN_PLAIN_PART_LENGTH if _PLAIN.fullmatch(text) else _MIN_PART_LENGTH)
