"""Turn one folded event into outbox rows: signals to live runs, and starts of new ones. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_EVENT_AGE = timedelta(hours=72)

MAX_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StackClock:
    """How this stack relates event time to the clock."""

    now: datetime
    """Postgres's now()."""
    is_local: bool = False
    """A local stack: events may lie in the future, and runs share their calendar."""

    def may_start_run(self, time: datetime) -> bool:
        """Whether an event of that time may start a run."""
        if self.now - time > MAX_EVENT_AGE:
            return False
        return self.is_local or time - self.now <= MAX_CLOCK_SKEW

    def clock_offset_s(self, time: datetime) -> float:
        """What a run started by an event of that time adds to Temporal's clock, in seconds."""
        return max(0.0, (time - self.now).total_seconds()) if self.is_local else 0.0
