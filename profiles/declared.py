"""Read an event's properties as the class that declares them, whatever a channel put into single fields."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from profiles.events import Event

_OURS: dict[str, Any] = {"id": "", "time": None, "at": None, "channel": None, "cart": None, "cart_id": None}
"""The envelope's fields are Waypost's to set, whatever a channel put under the same names."""

_LONGEST = 500


def typed(name: str, properties: Mapping[str, Any]) -> tuple[Event | None, str | None]:
    """The event as its declared class, and what was wrong with its properties.

    Values that do not fit are left out and named: a purchase with a price nobody can read is still a
    purchase. (None, None): nobody declared the name. (None, fault): what is left does not fit either.
    Never raises, whatever an author's own validators raise.
    """
    event_class = Event.by_name.get(name)
    if event_class is None:
        return None, None
    said = {**properties, **_OURS}
    try:
        try:
            return event_class.model_validate(said), None
        except ValidationError as error:
            wrong = [(fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]
        event = event_class.model_validate(_without(said, [loc for loc, _ in wrong]))
    except Exception as error:
        return None, f"properties do not fit {name}: {error}"[:_LONGEST]
    listed = "; ".join(f"{'.'.join(map(str, loc))}: {why}" for loc, why in wrong)
    return event, f"left out, as it does not fit {name}: {listed}"[:_LONGEST]


def _without(properties: dict[str, Any], paths: list[tuple[int | str, ...]]) -> dict[str, Any]:
    left = copy.deepcopy(properties)
    # From the back, so that a list's earlier places keep their numbers.
    for path in sorted(set(paths), key=lambda path: [(isinstance(p, str), p) for p in path], reverse=True):
        place: Any = left
        try:
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    return left
