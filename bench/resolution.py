"""Events by what they say of who is who, in a fixed mix: most name somebody known, a few join people."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bench.population import is_named, person_identifiers
from bench.traffic import EventBody, EventGenerator


class IdentityEventKind(StrEnum):
    """What an event says of who is who."""

    KNOWN = "known person, known link"
    SINGLE = "known person, a browser alone"
    NEW = "new person"
    DEVICE = "known person, new device"
    MERGE = "two become one"


_PER_THOUSAND = {
    IdentityEventKind.KNOWN: 700,
    IdentityEventKind.SINGLE: 150,
    IdentityEventKind.NEW: 100,
    IdentityEventKind.DEVICE: 48,
    IdentityEventKind.MERGE: 2,
}


class IdentityEventGenerator:
    """A shop's traffic by people of a population of ``count``, and by new ones."""

    def __init__(self, seed: int, count: int, name: str = "") -> None:
        self._random = random.Random(seed)
        self._traffic = EventGenerator(seed)
        self._count = count
        self._name = name
        self._event_count = 0
        self._begun = datetime.now(UTC) - timedelta(minutes=10)

    def mixed(self, count: int) -> list[EventBody]:
        """The next events, with as many of each kind in every five hundred as in all."""
        events: list[EventBody] = []
        while len(events) < count:
            events += self._mixed_block(min(500, count - len(events)))
        return events

    def of_kind(self, kind: IdentityEventKind, count: int) -> list[EventBody]:
        """The next events, all of one kind."""
        return self._events_of_kinds([kind] * count)

    def _mixed_block(self, count: int) -> list[EventBody]:
        kinds = [
            kind
            for kind in list(IdentityEventKind)[1:]
            for _ in range(round(count * _PER_THOUSAND[kind] / 1000))
        ]
        kinds += [IdentityEventKind.KNOWN] * (count - len(kinds))
        self._random.shuffle(kinds)
        return self._events_of_kinds(kinds)

    def _events_of_kinds(self, kinds: Sequence[IdentityEventKind]) -> list[EventBody]:
        events = self._traffic.events(len(kinds))
        return [self._with_identifiers(kind, event) for kind, event in zip(kinds, events, strict=True)]

    def _with_identifiers(self, kind: IdentityEventKind, event: EventBody) -> EventBody:
        self._event_count += 1
        # One after the other, however they are cut into requests: what comes late is not the matter here.
        when = self._begun + timedelta(milliseconds=self._event_count)
        said = {"id": f"{self._name}{event['id']}", "time": when.isoformat()}
        return {**event, **said, "identifiers": self._identifiers(kind)}

    def _identifiers(self, kind: IdentityEventKind) -> dict[str, Any]:
        fresh = f"{self._name}{self._event_count}"
        match kind:
            case IdentityEventKind.KNOWN:
                return self._random_named_identifiers()
            case IdentityEventKind.SINGLE:
                return {"anonymous_id": person_identifiers(self._random_person())["anonymous_id"]}
            case IdentityEventKind.NEW:
                return {"email": f"newcomer{fresh}@example.com", "anonymous_id": f"browser-{fresh}"}
            case IdentityEventKind.DEVICE:
                return {"email": self._random_named_identifiers()["email"], "anonymous_id": f"device-{fresh}"}
            case _:
                return {
                    "email": self._random_named_identifiers()["email"],
                    **person_identifiers(self._random_unnamed_person()),
                }

    def _random_person(self) -> int:
        return self._random.randint(1, self._count)

    def _random_named_identifiers(self) -> dict[str, str]:
        while not is_named(number := self._random_person()):
            pass
        return person_identifiers(number)

    def _random_unnamed_person(self) -> int:
        while is_named(number := self._random_person()):
            pass
        return number
