"""How often a journey may be entered for one key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Again as soon as the last run has ended."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class Once:
    """Once for ever."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Only where there was no entry yet."""
        return not entries


@dataclass(frozen=True, slots=True)
class After:
    """Again when so much time has passed since the last entry."""

    period: timedelta

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Whether the last entry is at least ``period`` ago."""
        return all(at - entry >= self.period for entry in entries)


@dataclass(frozen=True, slots=True)
class AtMost:
    """So many times in all."""

    times: int

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Whether fewer than ``times`` runs have entered."""
        return len(entries) < self.times


Reentry = Unlimited | Once | After | AtMost
