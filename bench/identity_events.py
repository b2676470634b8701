"""Events by their identity evidence, in a fixed mix: most name a known profile, a few merge profiles."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bench.events import EventBody, EventGenerator
from bench.population import is_named, person_identifiers


class IdentityEventKind(StrEnum):
    """Kinds of identity evidence in an event."""

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
    """Generates the traffic of a population of ``count`` people and of new people."""

    def __init__(self, seed: int, count: int, name: str = "") -> None:
        self._random = random.Random(seed)
        self._traffic = EventGenerator(seed)
        self._count = count
        self._name = name
        self._event_count = 0
        self._begun = datetime.now(UTC) - timedelta(minutes=10)

    def mixed(self, count: int) -> list[EventBody]:
        """Return the next events; every five hundred have the same mix of kinds."""
        events: list[EventBody] = []
        while len(events) < count:
            events += self._mixed_block(min(500, count - len(events)))
        return events

    def of_kind(self, kind: IdentityEventKind, count: int) -> list[EventBody]:
        """Return the next events, all of one kind."""
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
        # Times increase with each event, so that no event is late, however they are split into requests.
        at = self._begun + timedelta(milliseconds=self._event_count)
        id_and_time = {"id": f"{self._name}{event['id']}", "time": at.isoformat()}
        return {**event, **id_and_time, "identifiers": self._identifiers(kind)}

    def _identifiers(self, kind: IdentityEventKind) -> dict[str, Any]:
        fresh = f"{self._name}{self._event_count}"
        match kind:
            case IdentityEventKind.KNOWN:
                return self._random_identifiers(named=True)
            case IdentityEventKind.SINGLE:
                return {"anonymous_id": person_identifiers(self._random_person())["anonymous_id"]}
            case IdentityEventKind.NEW:
                return {"email": f"newcomer{fresh}@example.com", "anonymous_id": f"browser-{fresh}"}
            case IdentityEventKind.DEVICE:
                return {
                    "email": self._random_identifiers(named=True)["email"],
                    "anonymous_id": f"device-{fresh}",
                }
            case _:
                return {
                    "email": self._random_identifiers(named=True)["email"],
                    **self._random_identifiers(named=False),
                }

    def _random_person(self) -> int:
        return self._random.randint(1, self._count)

    def _random_identifiers(self, *, named: bool) -> dict[str, str]:
        while is_named(number := self._random_person()) is not named:
            pass
        return person_identifiers(number)
