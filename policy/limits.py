"""What the shop sets: caps, quiet hours, windows, switches. Plain frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import time, timedelta

from policy.verdict import Channel

DEFAULT_WINDOW = timedelta(days=365)
"""How long a purchase suppresses its item where the shop sets nothing else."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many marketing messages in a rolling window."""

    limit: int
    window: timedelta
    channel: Channel | None = None
    """None: over all channels."""


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
