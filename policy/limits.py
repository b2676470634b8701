"""What the shop sets: caps, quiet hours, windows, switches. Plain frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import time, timedelta
from re import fullmatch

from policy.jurisdiction import Jurisdiction
from policy.verdict import Channel

DEFAULT_WINDOW = timedelta(days=365)
"""How long a purchase suppresses its item where the shop sets nothing else."""

DEFAULT_SPREAD = timedelta(minutes=15)
"""How long the messages of a night take to go out in the morning."""


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
    jurisdictions: dict[str, Jurisdiction] = field(default_factory=dict)
    """ISO 3166 code ("FR", "US-FL") → hours that take the place of the entry in ``policy.jurisdictions``."""
    jurisdiction_channels: tuple[Channel, ...] = (Channel.SMS, Channel.PUSH)
    """Where the hours of places count, for marketing; ads have no hours."""
    spread: dict[Channel, timedelta] = field(
        default_factory=lambda: dict.fromkeys((Channel.EMAIL, Channel.SMS, Channel.PUSH), DEFAULT_SPREAD)
    )
    """Over how long after an opening the messages that waited for it are spread, by channel."""

    def __post_init__(self) -> None:
        faults = [
            f"expected an ISO 3166 code such as FR or US-FL, got {code!r}"
            for code in self.jurisdictions
            if not fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", code)
        ]
        faults += [
            f"expected a spread of 0 or more on {channel.value}, got {spread}"
            for channel, spread in self.spread.items()
            if spread < timedelta()
        ]
        if faults:
            raise ValueError(f"limits: {'; '.join(faults)}")
