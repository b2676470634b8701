"""The shop's policy: caps, quiet hours, suppression, priorities, budgets, thresholds. No I/O."""

from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from re import fullmatch

from policy.durations import format_compact_duration
from policy.hours.jurisdictions import Jurisdiction
from policy.hours.windows import QuietHours
from policy.verdict import Channel

DEFAULT_SUPPRESSION_WINDOW = timedelta(days=365)
"""How long a purchase suppresses its item by default."""

DEFAULT_RESUME_SPREAD = timedelta(minutes=15)
"""Over how long after an opening the deferred messages of a channel are spread by default."""

MAX_SOFT_BOUNCES = 50
"""Largest number of soft bounces that can be set to close an address."""

MAX_BOUNCE_PERIOD = timedelta(days=45)
"""Longest window of soft bounces, and longest pause. The gate reads 90 days of them."""

MAX_CAP_WINDOW = timedelta(days=366)
"""Longest window of a cap. Each decision reads and counts all messages in it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The maximum number of messages per minute to one channel's provider."""

    per_minute: int

    def __post_init__(self) -> None:
        if self.per_minute < 1:
            raise ValueError(
                f"expected a budget of 1 message a minute or more, got {self.per_minute}; "
                "leave the budget out for no limit, or stop the channel"
            )


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When the circuit breaker of a provider opens, and for how long."""

    failures: int = 5
    """Consecutive failures in one process that open the breaker."""
    first: timedelta = timedelta(seconds=30)
    """The first backoff. Each failed probe doubles it."""
    longest: timedelta = timedelta(minutes=10)
    """The maximum backoff."""

    def __post_init__(self) -> None:
        faults = []
        if self.failures < 1:
            faults.append(f"failures: expected 1 or more, got {self.failures}; the default is 5")
        if not timedelta(0) < self.first <= self.longest:
            got = f"{format_compact_duration(self.first)} and {format_compact_duration(self.longest)}"
            faults.append(
                f"first: expected more than no time and no more than longest, got {got}; "
                "the defaults are 30s and 10m"
            )
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True, slots=True)
class SoftBounceRule:
    """How many soft bounces close an address for marketing, and for how long."""

    soft: int = 3
    """Messages with a soft bounce in ``window`` that close the address."""
    window: timedelta = timedelta(days=7)
    pause: timedelta = timedelta(days=14)
    """How long it is closed, from the last of them."""

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.soft <= MAX_SOFT_BOUNCES:
            faults.append(f"soft: expected 1 to {MAX_SOFT_BOUNCES}, got {self.soft}; the default is 3")
        faults += [
            f"{name}: expected more than no time and at most {format_compact_duration(MAX_BOUNCE_PERIOD)}, "
            f"got {format_compact_duration(period)}"
            for name, period in (("window", self.window), ("pause", self.pause))
            if not timedelta(0) < period <= MAX_BOUNCE_PERIOD
        ]
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True, slots=True)
class TemplateStopThresholds:
    """Rates at which a template is stopped automatically: percent of its messages in the window. None: never.

    Gmail and Yahoo ask bulk senders to stay below 0.1 % of complaints and never to reach 0.3 %
    (support.google.com/a/answer/81126, senders.yahooinc.com/best-practices).
    """

    complaints: float | None = 0.1
    bounces: float | None = 5.0
    window: timedelta = timedelta(hours=24)
    at_least: int = 100
    """Least number of messages in the window. Below it the rates are not evaluated."""
    least_reports: int = 2
    """Least number of complaints, or of bounces, that counts as a rate."""

    def __post_init__(self) -> None:
        faults = [
            f"{name}: expected above 0 and up to 100 percent, or none for never, got {percent:g}"
            for name, percent in (("complaints", self.complaints), ("bounces", self.bounces))
            if percent is not None and not 0 < percent <= 100
        ]
        if self.window <= timedelta(0):
            faults.append(f"window: expected more than no time, got {self.window}: the default is a day")
        faults += [
            f"{name}: expected 1 or more, got {number}"
            for name, number in (("at_least", self.at_least), ("least_reports", self.least_reports))
            if number < 1
        ]
        if faults:
            raise ValueError("\n".join(faults))


class CalendarPeriod(StrEnum):
    """A calendar period in the profile's zone."""

    DAY = "day"
    WEEK = "week"
    """Starts on Monday."""
    MONTH = "month"


class CapReachedAction(StrEnum):
    """The action where a cap, or a message of higher priority, leaves no slot."""

    WITHHOLD = "withhold"
    """The message is not sent, and the story continues."""
    WAIT = "wait"
    """The message is deferred to the next slot. It is withheld as expired where that is after its expiry."""


@dataclass(frozen=True, slots=True)
class Cap:
    """The maximum number of marketing messages in a rolling window, or in a calendar period.

    Exactly one of ``window`` (at most ``MAX_CAP_WINDOW``) and ``per`` is given. A message has to match
    ``channel``, ``journey`` and ``topic`` where given, both to be counted and to be refused. Raises
    ValueError.
    """

    limit: int
    window: timedelta | None = None
    channel: Channel | None = None
    """None: over all channels."""
    journey: str | None = None
    """None: over all journeys."""
    topic: str | None = None
    """None: over all topics."""
    per: CalendarPeriod | None = None
    """A calendar period in the profile's zone. All slots are free at its start."""

    def __post_init__(self) -> None:
        """Validate the values."""
        faults = []
        if self.limit < 0:
            faults.append(
                f"limit: expected 0 messages or more, got {self.limit}; 0 stops what the cap matches"
            )
        if (self.window is None) == (self.per is None):
            got = "neither"
            if self.window is not None:
                got = f"window {format_compact_duration(self.window)} and per {self.per}"
            faults.append(f"window: expected either a window or a calendar period (per), got {got}")
        if self.window is not None and not timedelta() < self.window <= MAX_CAP_WINDOW:
            longest, actual = format_compact_duration(MAX_CAP_WINDOW), format_compact_duration(self.window)
            faults.append(f"window: expected more than no time and at most {longest}, got {actual}")
        if self.per is not None and self.per not in tuple(CalendarPeriod):
            faults.append(f"per: expected one of {', '.join(CalendarPeriod)}, got {self.per!r}")
        if faults:
            raise ValueError("\n".join(faults))


class SuppressionScope(StrEnum):
    """Which products a purchase suppresses."""

    VARIANT = "variant"
    """Only this stock keeping unit."""
    PRODUCT = "product"
    """Every variant of the product."""
    GROUP = "group"
    """Every product of its group."""
    CATEGORY = "category"
    """Every product of its category."""


@dataclass(frozen=True, slots=True)
class SuppressionRule:
    """For how long a purchase suppresses which products.

    Applies to purchases that match all of ``category``, ``product`` and ``group`` that are set, ignoring
    case. Raises ValueError for a window below zero and for a blank name.
    """

    window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
    """From the purchase's event time; zero: a purchase does not suppress; None: no end."""
    scope: SuppressionScope = SuppressionScope.PRODUCT
    category: str | None = None
    product: str | None = None
    """A product id, else a stock keeping unit."""
    group: str | None = None

    def __post_init__(self) -> None:
        faults = [
            f"{name}: expected a name, got {value!r}; leave it out where the rule is about any"
            for name in ("category", "product", "group")
            if (value := getattr(self, name)) is not None and not value.strip()
        ]
        if self.window is not None and self.window < timedelta():
            faults.append(
                f"window: expected zero or more, got {self.window}; zero never suppresses, None for good"
            )
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Limits:
    """The shop's policy; docs/reference/policy.md describes the values and their defaults."""

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
    """Names of channels, journeys and templates, or "all". Their messages are withheld and never sent later.
    To stop temporarily, use a kill switch of the database."""
    suppression_window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
    """How long a purchase suppresses its item, from the purchase's event time; None: no end."""
    suppression: tuple[SuppressionRule, ...] = ()
    """The first rule that matches a purchase applies; where none does, ``suppression_window`` and the
    product."""
    holdout: float = 0.0
    """Percent of profiles that get no marketing, as a control group."""
    duplicates_within: timedelta = timedelta(days=1)
    """How long no other run may repeat a message (the same template with the same items); zero: no limit."""
    priorities: dict[str, int] = field(default_factory=dict)
    """Journey → priority of its marketing, 0 by default. The higher one gets the slot."""
    when_capped: dict[str, CapReachedAction] = field(default_factory=dict)
    """Journey → action where a cap has no slot; overrides the journey's own."""
    thresholds: TemplateStopThresholds = field(default_factory=TemplateStopThresholds)
    budgets: dict[Channel, Budget] = field(default_factory=dict)
    """Channel → messages per minute to its provider; absent: no limit."""
    breaker: BreakerRule = field(default_factory=BreakerRule)
    bounces: SoftBounceRule = field(default_factory=SoftBounceRule)
    """When soft bounces close an address for marketing."""
    jurisdictions: dict[str, Jurisdiction] = field(default_factory=dict)
    """ISO 3166 code ("FR", "US-FL") → hours that replace the entry of ``policy.hours.jurisdictions``."""
    jurisdiction_channels: tuple[Channel, ...] = (Channel.SMS, Channel.PUSH)
    """Channels on which the hours of places apply to marketing; ads have no hours."""
    spread: dict[Channel, timedelta] = field(
        default_factory=lambda: dict.fromkeys(
            (Channel.EMAIL, Channel.SMS, Channel.PUSH), DEFAULT_RESUME_SPREAD
        )
    )
    """Channel → over how long after an opening its deferred messages are spread."""

    def __post_init__(self) -> None:
        """Validate the values."""
        faults = []
        if self.suppression_window is not None and self.suppression_window <= timedelta():
            faults.append(
                "suppression_window: expected more than no time, or None for good, "
                f"got {format_compact_duration(self.suppression_window)}"
            )
        if not timedelta() <= self.duplicates_within <= MAX_CAP_WINDOW:
            longest, got = map(format_compact_duration, (MAX_CAP_WINDOW, self.duplicates_within))
            faults.append(f"duplicates_within: expected from 0 to {longest}, got {got}")
        if not 0 <= self.holdout <= 100:
            faults.append(f"holdout: expected a percentage from 0 to 100, got {self.holdout:g}")
        actions = tuple(CapReachedAction)
        if unknown := {name: word for name, word in self.when_capped.items() if word not in actions}:
            faults.append(f"when_capped: expected one of {', '.join(CapReachedAction)}, got {unknown}")
        faults += [
            f"jurisdictions: expected an ISO 3166 code such as FR or US-FL, got {code!r}"
            for code in self.jurisdictions
            if not fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", code)
        ]
        faults += [
            f"spread: expected 0 or more on {channel.value}, got {format_compact_duration(spread)}"
            for channel, spread in self.spread.items()
            if spread < timedelta()
        ]
        if faults:
            raise ValueError("\n".join(faults))
