"""What the shop sets: caps, quiet hours, windows, switches. Plain frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import time, timedelta

from policy.durations import short
from policy.verdict import Channel

DEFAULT_WINDOW = timedelta(days=365)
"""How long a purchase suppresses its item where the shop sets nothing else."""

LONGEST_CAP_WINDOW = timedelta(days=31)
"""The gate reads the messages of so much time back, so a longer window would count too few."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many marketing messages in a rolling window."""

    limit: int
    window: timedelta
    channel: Channel | None = None
    """None: over all channels."""

    def __post_init__(self) -> None:
        faults = []
        if self.limit < 0:
            faults.append(f"limit: expected 0 messages or more, got {self.limit}; 0 sends none")
        if not timedelta() < self.window <= LONGEST_CAP_WINDOW:
            longest, got = short(LONGEST_CAP_WINDOW), short(self.window)
            faults.append(f"window: expected more than no time and at most {longest}, got {got}")
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A channel is open from ``opens`` to ``closes`` local time, end excluded."""

    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Limits:
    """What the shop sets; the defaults are those of the HTTP contract."""

    caps: tuple[Cap, ...] = (
        Cap(1, timedelta(days=1), Channel.SMS),
        Cap(2, timedelta(days=1), Channel.EMAIL),
        Cap(5, timedelta(days=7)),
    )
    quiet_hours: dict[Channel, QuietHours] = field(
        default_factory=lambda: {
            Channel.SMS: QuietHours(time(8), time(21)),
            Channel.PUSH: QuietHours(time(8), time(21)),
        }
    )
    kill_switches: tuple[str, ...] = ()
    """Names of channels and journeys that may not claim, or "all"."""
    suppression_window: timedelta | None = DEFAULT_WINDOW
    """How long a purchase suppresses its item, from the purchase's event time; None: for good."""
    holdout: float = 0.0
    """Percent of people who get no marketing at all, to be measured against."""

    def __post_init__(self) -> None:
        if self.suppression_window is not None and self.suppression_window <= timedelta():
            raise ValueError(
                "suppression_window: expected more than no time, or None for good, "
                f"got {short(self.suppression_window)}"
            )
        if not 0 <= self.holdout <= 100:
            raise ValueError(f"holdout: expected a percentage from 0 to 100, got {self.holdout:g}")
