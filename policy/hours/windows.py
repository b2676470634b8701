"""Windows of the local day in which a channel is open, and their intersections."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, timedelta

FULL_DAY = timedelta(days=1)

Span = tuple[timedelta, timedelta]
"""Start and end (excluded), as time since local midnight by the wall clock."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window from ``opens`` to ``closes`` (excluded), local time, within one day; 00:00 closes at its end.

    Raises ValueError for a window that ends before it begins. Such a window is written as two.
    """

    opens: time
    closes: time

    def __post_init__(self) -> None:
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError(f"expected local times without an offset, got {self.opens} and {self.closes}")
        if self.closes != time() and self.closes <= self.opens:
            raise ValueError(
                f"expected a window that ends after it begins, got {self.opens} to {self.closes}; "
                "write one that crosses midnight as two: until 00:00, and from 00:00"
            )

    @property
    def span(self) -> Span:
        """The window as time since midnight."""
        return since_midnight(self.opens), since_midnight(self.closes) or FULL_DAY


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The shop's hours of a channel: open from ``opens`` to ``closes`` (excluded), local time."""

    opens: time
    closes: time


def since_midnight(clock: time) -> timedelta:
    """Convert a wall clock time to the time since midnight."""
    return timedelta(
        hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond
    )


def intersect_spans(days: Iterable[tuple[Span, ...]]) -> tuple[Span, ...]:
    """Return the intersection of several sets of spans, in order; of none: all day."""
    left: tuple[Span, ...] = ((timedelta(), FULL_DAY),)
    for spans in days:
        both = ((max(a[0], b[0]), min(a[1], b[1])) for a in left for b in spans)
        left = tuple(sorted(span for span in both if span[0] < span[1]))
    return left


def format_spans(spans: tuple[Span, ...]) -> str:
    """Format spans: "08:00 to 20:00", "10:00 to 13:00 and 14:00 to 20:00", "all day" or "not at all"."""
    if spans == ((timedelta(), FULL_DAY),):
        return "all day"
    return (
        " and ".join(f"{_format_clock(opens)} to {_format_clock(closes)}" for opens, closes in spans)
        or "not at all"
    )


def _format_clock(since: timedelta) -> str:
    minutes = int(since / timedelta(minutes=1))
    return f"{minutes // 60:02}:{minutes % 60:02}"
