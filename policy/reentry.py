"""Re-entry rules: how often a journey may be entered for one key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Allows a new entry as soon as the last run has ended."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class Once:
    """Allows one entry in all."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Return whether there is no entry yet."""
        return not entries


@dataclass(frozen=True, slots=True)
class After:
    """Allows a new entry after a period since the last entry."""

    period: timedelta

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Return whether the last entry is at least ``period`` ago."""
        return all(at - entry >= self.period for entry in entries)


@dataclass(frozen=True, slots=True)
class AtMost:
    """Allows a maximum number of entries in all."""

    times: int

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Return whether there are fewer than ``times`` entries."""
        return len(entries) < self.times


Reentry = Unlimited | Once | After | AtMost
