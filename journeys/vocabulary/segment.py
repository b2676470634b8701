"""Segments: named queries over profiles; their new members enter journeys."""

import re
from dataclasses import dataclass
from datetime import timedelta

from profiles.events import SegmentEntered

_EXAMPLE_QUERY = "SELECT profile_id FROM person WHERE orders >= 3"
_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A named query over the view ``person``, which a sweep runs at intervals; new members enter.

    ``query`` is one SELECT with ``profile_id`` as its first column. ``existing``: whether members found
    by the first run of the query enter as well; else they are only recorded. A profile that leaves and
    returns is a new member. Raises ValueError for an invalid name, query or interval.
    """

    name: str
    query: str
    every: timedelta = timedelta(hours=1)
    existing: bool = False

    def __post_init__(self) -> None:
        if not _NAME_PATTERN.fullmatch(self.name):
            raise ValueError(
                f"a segment's name is lower-case letters, digits, - and _, got {self.name!r}; "
                "as in Segment('big-spenders', …)"
            )
        text = self.query.strip().rstrip(";").lower()
        if not text.startswith(("select", "with")) or ";" in text:
            raise ValueError(
                f"segment {self.name!r}: expected one query of profile_id, as in {_EXAMPLE_QUERY!r}; "
                f"got {self.query.strip()[:60]!r}"
            )
        if self.every < timedelta(minutes=1):
            raise ValueError(f"segment {self.name!r}: every={self.every}; expected at least a minute")

    def has(self, event: SegmentEntered) -> bool:
        """Whether the event is of this segment."""
        return event.segment == self.name
