"""Events by what they say of who is who, in a fixed mix: most name somebody known, a few join people."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bench.population import has_name, identifiers_of
from bench.traffic import Event, Traffic


class Kind(StrEnum):
    """What an event says of who is who."""

    KNOWN = "known person, known link"
    SINGLE = "known person, a browser alone"
    NEW = "new person"
    DEVICE = "known person, new device"
    MERGE = "two become one"


_PER_THOUSAND = {Kind.KNOWN: 700, Kind.SINGLE: 150, Kind.NEW: 100, Kind.DEVICE: 48, Kind.MERGE: 2}


class Visitors:
    """A shop's traffic by people of a population of ``count``, and by new ones."""

    def __init__(self, seed: int, count: int, name: str = "") -> None:
        self._random = random.Random(seed)
        self._traffic = Traffic(seed)
        self._count = count
        self._name = name
        self._made = 0
        self._begun = datetime.now(UTC) - timedelta(minutes=10)

    def mixed(self, count: int) -> list[Event]:
        """The next events, with as many of each kind in every five hundred as in all."""
        events: list[Event] = []
        while len(events) < count:
            events += self._block(min(500, count - len(events)))
        return events

    def of_kind(self, kind: Kind, count: int) -> list[Event]:
        """The next events, all of one kind."""
        return self._named([kind] * count)

    def _block(self, count: int) -> list[Event]:
        kinds = [kind for kind in list(Kind)[1:] for _ in range(round(count * _PER_THOUSAND[kind] / 1000))]
        kinds += [Kind.KNOWN] * (count - len(kinds))
        self._random.shuffle(kinds)
        return self._named(kinds)

    def _named(self, kinds: Sequence[Kind]) -> list[Event]:
        events = self._traffic.events(len(kinds))
        return [self._as(kind, event) for kind, event in zip(kinds, events, strict=True)]

    def _as(self, kind: Kind, event: Event) -> Event:
        self._made += 1
        # One after the other, however they are cut into requests: what comes late is not the matter here.
        when = self._begun + timedelta(milliseconds=self._made)
        said = {"id": f"{self._name}{event['id']}", "time": when.isoformat()}
        return {**event, **said, "identifiers": self._identifiers(kind)}

    def _identifiers(self, kind: Kind) -> dict[str, Any]:
        fresh = f"{self._name}{self._made}"
        match kind:
            case Kind.KNOWN:
                return self._named_one()
            case Kind.SINGLE:
                return {"anonymous_id": identifiers_of(self._somebody())["anonymous_id"]}
            case Kind.NEW:
                return {"email": f"newcomer{fresh}@example.com", "anonymous_id": f"browser-{fresh}"}
            case Kind.DEVICE:
                return {"email": self._named_one()["email"], "anonymous_id": f"device-{fresh}"}
            case _:
                return {"email": self._named_one()["email"], **identifiers_of(self._nameless())}

    def _somebody(self) -> int:
        return self._random.randint(1, self._count)

    def _named_one(self) -> dict[str, str]:
        while not has_name(number := self._somebody()):
            pass
        return identifiers_of(number)

    def _nameless(self) -> int:
        while has_name(number := self._somebody()):
            pass
        return number
