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
class Budget:
    """At most so many messages a minute to one channel's provider."""

    per_minute: int

    def __post_init__(self) -> None:
        if self.per_minute < 1:
            raise ValueError(
                f"expected a budget of 1 message a minute or more, got {self.per_minute}; "
                "leave the budget out for no limit, or stop the channel"
            )


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a provider that keeps failing is left alone, and for how long."""

    failures: int = 5
    """So many in a row, in one process."""
    first: timedelta = timedelta(seconds=30)
    """The first rest; each failed probe after it doubles the next."""
    longest: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if self.failures < 1 or not timedelta(0) < self.first <= self.longest:
            raise ValueError(
                "expected 1 or more failures, and a first rest above 0 and no longer than the longest, got "
                f"failures={self.failures}, first={self.first}, longest={self.longest}; the defaults are 5, "
                "30 seconds and 10 minutes"
            )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a template stops by itself: percent of what was sent in the window. None: never.

    Gmail and Yahoo ask bulk senders to stay below 0.1 % of complaints and never to reach 0.3 %
    (support.google.com/a/answer/81126, senders.yahooinc.com/best-practices).
    """

    complaints: float | None = 0.1
    bounces: float | None = 5.0
    window: timedelta = timedelta(hours=24)
    at_least: int = 100
    """Sent in the window; fewer say nothing."""
    least_reports: int = 2
    """Complaints, or bounces: a single one is no rate."""

    def __post_init__(self) -> None:
        faults = [
            f"expected {name} above 0 and up to 100 percent, or none for never, got {percent:g}"
            for name, percent in (("complaints", self.complaints), ("bounces", self.bounces))
            if percent is not None and not 0 < percent <= 100
        ]
        if self.window <= timedelta(0):
            faults.append(f"expected a window longer than 0, got {self.window}: the default is a day")
        if self.at_least < 1 or self.least_reports < 1:
            got = f"{self.at_least} and {self.least_reports}"
            faults.append(f"expected at_least and least_reports of 1 or more, got {got}")
        if faults:
            raise ValueError("; ".join(faults))


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
    """Names of channels, journeys and templates that may not claim, or "all": withheld, and never sent later.
    For a while, use a kill switch of the database."""
    suppression_window: timedelta | None = DEFAULT_WINDOW
    """How long a purchase suppresses its item, from the purchase's event time; None: for good."""
    holdout: float = 0.0
    """Percent of people who get no marketing at all, to be measured against."""
    thresholds: Thresholds = Thresholds()
    """When a template stops by itself."""
    budgets: dict[Channel, Budget] = field(default_factory=dict)
    """What a channel's provider gets in a minute; a channel without one: no limit."""
    breaker: BreakerRule = BreakerRule()
    """When a provider that keeps failing is left alone."""
