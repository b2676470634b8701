"""What the shop sets: caps, quiet hours, windows, switches. Plain frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from re import fullmatch

from policy.durations import format_compact_duration
from policy.hours.jurisdictions import Jurisdiction
from policy.hours.windows import QuietHours
from policy.verdict import Channel


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
        faults = []
        if self.failures < 1:
            faults.append(f"failures: expected 1 or more, got {self.failures}; the default is 5")
        if not timedelta(0) < self.first <= self.longest:
            got = f"{format_compact_duration(self.first)} and {format_compact_duration(self.longest)}; the defaults are 30s and 10m"
            faults.append(f"first: expected more than no time and no more than longest, got {got}")
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True, slots=True)
class TemplateStopThresholds:
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


DEFAULT_SUPPRESSION_WINDOW = timedelta(days=365)
"""How long a purchase suppresses its item where the shop sets nothing else."""

DEFAULT_RESUME_SPREAD = timedelta(minutes=15)
"""How long the messages of a night take to go out in the morning."""


MAX_CAP_WINDOW = timedelta(days=366)
"""Of a cap: to refuse one, all messages of that long are read and counted."""


class CalendarPeriod(StrEnum):
    """A calendar period in the person's own zone."""

    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"


class CapReachedAction(StrEnum):
    """What becomes of a message that a cap or a more important one leaves no room for."""

    WITHHOLD = "withhold"
    """It is not sent, and the story goes on."""
    WAIT = "wait"
    """It waits for its turn, and is withheld as expired where that would come too late."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many marketing messages in a rolling window, or in a calendar period.

    Exactly one of ``window`` and ``per`` is given. ``channel``, ``journey`` and ``topic`` narrow it; all of
    those named have to match, both for a message to be counted and for one to be refused. Raises ValueError
    for a limit below 0, both or neither of ``window`` and ``per``, and a window that is not between 0 and
    ``LONGEST_WINDOW``.
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
    """A calendar period, in the person's zone; each begins with all of its slots free."""

    def __post_init__(self) -> None:
        """Refuse what no shop can mean."""
        faults = []
        if self.limit < 0:
            faults.append(
                f"limit: expected 0 messages or more, got {self.limit}; 0 stops what the cap matches"
            )
        if (self.window is None) == (self.per is None):
            got = (
                "neither"
                if self.window is None
                else f"window {format_compact_duration(self.window)} and per {self.per}"
            )
            faults.append(f"window: expected either a window or a calendar period (per), got {got}")
        if self.window is not None and not timedelta() < self.window <= MAX_CAP_WINDOW:
            longest, told = format_compact_duration(MAX_CAP_WINDOW), format_compact_duration(self.window)
            faults.append(f"window: expected more than no time and at most {longest}, got {told}")
        if self.per is not None and self.per not in tuple(CalendarPeriod):
            faults.append(f"per: expected one of {', '.join(CalendarPeriod)}, got {self.per!r}")
        if faults:
            raise ValueError("\n".join(faults))


class SuppressionScope(StrEnum):
    """How far a purchase reaches among the shop's products."""

    VARIANT = "variant"
    """This stock keeping unit alone."""
    PRODUCT = "product"
    """Any variant of the product."""
    GROUP = "group"
    """Any product of the group that it belongs to."""
    CATEGORY = "category"
    """Any product of its category."""


@dataclass(frozen=True, slots=True)
class SuppressionRule:
    """How long, and how far, buying something keeps it from being promoted.

    It is about the purchases that fit all of ``category``, ``product`` and ``group`` that are set; with none
    set, about every purchase. Upper and lower case count as equal. Raises ValueError for a window below zero
    and for a blank name.
    """

    window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
    """From the purchase's event time; zero: buying does not suppress; None: for good."""
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
    suppression_window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
    """How long a purchase suppresses its item, from the purchase's event time; None: for good."""
    suppression: tuple[SuppressionRule, ...] = ()
    """The first that fits a purchase says how long and how far it suppresses; where none does, it is
    ``suppression_window`` and the product."""
    holdout: float = 0.0
    """Percent of people who get no marketing at all, to be measured against."""
    duplicates_within: timedelta = timedelta(days=1)
    """For so long no other run says the same again: one template about the same items; zero: it may."""
    priorities: dict[str, int] = field(default_factory=dict)
    """Journey → how important its marketing is, 0 where nothing is said; the higher one gets the slot."""
    when_capped: dict[str, CapReachedAction] = field(default_factory=dict)
    """Journey → what becomes of a message that finds no slot; goes before what the journey itself says."""
    thresholds: TemplateStopThresholds = field(default_factory=TemplateStopThresholds)
    """When a template stops by itself."""
    budgets: dict[Channel, Budget] = field(default_factory=dict)
    """What a channel's provider gets in a minute; a channel without one: no limit."""
    breaker: BreakerRule = field(default_factory=BreakerRule)
    """When a provider that keeps failing is left alone."""
    jurisdictions: dict[str, Jurisdiction] = field(default_factory=dict)
    """ISO 3166 code ("FR", "US-FL") → hours that replace the entry in ``policy.hours.jurisdictions``."""
    jurisdiction_channels: tuple[Channel, ...] = (Channel.SMS, Channel.PUSH)
    """Where the hours of places count, for marketing; ads have no hours."""
    spread: dict[Channel, timedelta] = field(
        default_factory=lambda: dict.fromkeys(
            (Channel.EMAIL, Channel.SMS, Channel.PUSH), DEFAULT_RESUME_SPREAD
        )
    )
    """Over how long after an opening the messages that waited for it are spread, by channel."""

    def __post_init__(self) -> None:
        """Refuse what no shop can mean."""
        faults = []
        if self.suppression_window is not None and self.suppression_window <= timedelta():
            faults.append(
                "suppression_window: expected more than no time, or None for good, "
                f"got {format_compact_duration(self.suppression_window)}"
            )
        if not timedelta() <= self.duplicates_within <= MAX_CAP_WINDOW:
            longest, told = (
                format_compact_duration(MAX_CAP_WINDOW),
                format_compact_duration(self.duplicates_within),
            )
            faults.append(f"duplicates_within: expected from 0 to {longest}, got {told}")
        if not 0 <= self.holdout <= 100:
            faults.append(f"holdout: expected a percentage from 0 to 100, got {self.holdout:g}")
        unknown = {
            name: word for name, word in self.when_capped.items() if word not in tuple(CapReachedAction)
        }
        if unknown:
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
