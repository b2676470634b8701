"""Age limits of events that may start runs, and the clock offset of runs on a local stack. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_EVENT_AGE = timedelta(hours=72)
"""An older event starts no run."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""An event that lies further in the future starts no run, except on a local stack."""


@dataclass(frozen=True, slots=True)
class StackClock:
    """The stack's clock, and its relation to the time of events."""

    now: datetime
    """Postgres's now()."""
    is_local: bool = False
    """Whether this is a local stack: events may lie in the future, and their runs start at that time."""

    def may_start_run(self, time: datetime) -> bool:
        """Return whether an event of that time may start a run."""
        if self.now - time > MAX_EVENT_AGE:
            return False
        return self.is_local or time - self.now <= MAX_CLOCK_SKEW

    def clock_offset_s(self, time: datetime) -> float:
        """Return the seconds that a run started by an event of that time adds to Temporal's clock."""
        return max(0.0, (time - self.now).total_seconds()) if self.is_local else 0.0
