"""What happened to one person, in the order it happened, for people to read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from workers.testing.calendar import day_of, stamp

SHOPPER = "shopper"
"""Who an entry is about, where it is no journey."""

_STAMP = re.compile(r"[A-Z][a-z]{2} \d{2} [A-Z][a-z]{2} \d{2}:\d{2} UTC")
_HALF_A_YEAR = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline."""

    at: datetime
    who: str
    """SHOPPER, or the journey."""
    kind: str
    """event, enters, waits, does, sent, unknown, withheld, deferred, ads, ends, now."""
    words: str
    until: datetime | None = None
    message_id: UUID | None = None
    order: int = 0
    """Which comes first of what happened at the same instant: causes before effects."""


@dataclass
class Timeline:
    """Entries in order; ``str`` writes them for a terminal, in the shopper's own time."""

    name: str
    zone: str
    start: datetime
    entries: list[Entry] = field(default_factory=list)
    standing: list[Entry] = field(default_factory=list)
    """What the live runs wait for now."""

    def __iter__(self) -> Iterator[Entry]:
        return iter([*self.entries, *self.standing])

    def __len__(self) -> int:
        return len(self.entries) + len(self.standing)

    def __str__(self) -> str:
        rows = [(self.when(each.at), each.who, self.sentence(each)) for each in self]
        day = max((len(when) for when, _, _ in rows), default=0)
        who = max((len(name) for _, name, _ in rows), default=0)
        lines = [f"{when:<{day}}  {name:<{who}}  {words}" for when, name, words in rows]
        return "\n".join([f"{self.name}, by the clock of {self.zone}", *lines])

    def when(self, at: datetime) -> str:
        """ "day 2 09:00"."""
        return stamp(at, self.start, self.zone)

    def sentence(self, entry: Entry) -> str:
        """An entry's words, with the end of a wait or deferral."""
        if entry.until is None:
            return entry.words
        until = f"{entry.until.astimezone(ZoneInfo(self.zone)):%H:%M}"
        same_day = self.day(entry.until) == self.day(entry.at)
        return f"{entry.words}, until {until if same_day else self.when(entry.until)}"

    def localised(self, words: str, near: datetime) -> str:
        """What a run says of itself in UTC, by the shopper's clock."""

        def local(found: re.Match[str]) -> str:
            at = datetime.strptime(f"{near.year} {found[0]}", "%Y %a %d %b %H:%M UTC").replace(tzinfo=UTC)
            # A run speaks of no year; what seems long past is in the next one.
            return self.when(at if at > near - _HALF_A_YEAR else at.replace(year=near.year + 1))

        return _STAMP.sub(local, words)

    def day(self, at: datetime) -> int:
        """The day of the story."""
        return day_of(at, self.start, self.zone)

    def as_json(self) -> list[dict[str, Any]]:
        """The entries as plain values."""
        return [
            {
                "day": self.day(each.at),
                "at": each.at.astimezone(ZoneInfo(self.zone)).isoformat(timespec="seconds"),
                "who": each.who,
                "kind": each.kind,
                "words": self.sentence(each),
                "message_id": str(each.message_id) if each.message_id else None,
            }
            for each in self
        ]

    def add(self, found: list[Entry]) -> None:
        """Append what is new since the last look: in the order of its instants, causes first."""
        self.entries += sorted(found, key=lambda each: (each.at, each.order))
