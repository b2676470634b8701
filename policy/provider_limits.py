"""What the shop sets about its providers: how much they get, and what stops by itself. Plain values."""

from dataclasses import dataclass
from datetime import timedelta

from policy.durations import short


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
            got = f"{short(self.first)} and {short(self.longest)}; the defaults are 30s and 10m"
            faults.append(f"first: expected more than no time and no more than longest, got {got}")
        if faults:
            raise ValueError("\n".join(faults))


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
