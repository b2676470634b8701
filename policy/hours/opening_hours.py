"""Whether hours are open at an instant in a zone, when they next open, and when they close.

The functions raise ValueError for an unknown zone and for an instant without an offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from policy.hours.jurisdictions import Jurisdiction
from policy.hours.time_zones import next_offset_change, require_offset, zone_info
from policy.hours.windows import FULL_DAY, QuietHours, Span, intersect_spans, since_midnight

_MAX_LOOKAHEAD = timedelta(days=9)


@dataclass(frozen=True, slots=True)
class IntersectedHours:
    """Hours that are open where all of their parts are open."""

    hours: tuple[QuietHours | Jurisdiction, ...]


Hours = QuietHours | Jurisdiction | IntersectedHours


@lru_cache(maxsize=4096)
def open_spans(hours: Hours, day: date) -> tuple[Span, ...]:
    """Return the open spans of a local date, by the wall clock."""
    match hours:
        case IntersectedHours(hours=several):
            return intersect_spans(open_spans(each, day) for each in several)
        case Jurisdiction():
            return hours.open_spans(day)
        case QuietHours(opens=opens, closes=closes):
            start, end = since_midnight(opens), since_midnight(closes)
            if start < end:
                return ((start, end),)
            whole = ((timedelta(), end), (start, FULL_DAY)) if start > end else ((timedelta(), FULL_DAY),)
            return tuple(span for span in whole if span[0] < span[1])


def is_open(hours: Hours, zone: str, at: datetime) -> bool:
    """Return whether the wall clock in ``zone`` is in a window at ``at``: start included, end excluded.

    Quiet hours may cross midnight (opens 22:00, closes 06:00). Where both ends are equal, they are open all
    day.
    """
    local = require_offset(at).astimezone(zone_info(zone))
    clock = since_midnight(local.time())
    return any(opens <= clock < closes for opens, closes in open_spans(hours, local.date()))


def next_opening(hours: Hours, zone: str, at: datetime, *, before: datetime | None = None) -> datetime | None:
    """Return the first instant (UTC) not before ``at`` at which a window is open; ``at`` itself if one is.

    None where there is none before ``before``, by default nine days later: no place is closed for so long. A
    skipped opening time opens at the clock change, and clocks that go back into a window open it again.
    """
    return _first_instant(hours, zone, at, before or require_offset(at) + _MAX_LOOKAHEAD, wanted=True)


def closing_time(hours: Hours, zone: str, at: datetime, *, before: datetime | None = None) -> datetime | None:
    """Return the end (UTC, excluded) of the window open at ``at``; None where it is open until ``before``.

    ``before`` is nine days later by default. Where clocks go back over the closing time, the first of the two
    instants is the end. Raises ValueError where no window is open at ``at``.
    """
    if not is_open(hours, zone, at):
        raise ValueError(
            f"expected an instant in a window of {zone}, got {at.isoformat()}; ask for next_opening first"
        )
    return _first_instant(hours, zone, at, before or at + _MAX_LOOKAHEAD, wanted=False)


def next_common_opening(
    hours: Hours, zones: Sequence[str], at: datetime, *, before: datetime
) -> datetime | None:
    """Return the first instant (UTC) not before ``at`` at which the hours are open in every zone.

    None where there is none before ``before``, or within nine days: zones too far apart may never overlap.
    """
    limit = min(before, at + _MAX_LOOKAHEAD)
    instant = at
    while True:
        openings = [next_opening(hours, zone, instant, before=limit) for zone in zones]
        known = [opening for opening in openings if opening is not None]
        if len(known) < len(openings):
            return None
        if max(known) <= instant:
            return instant
        instant = max(known)


def common_closing_time(
    hours: Hours, zones: Sequence[str], at: datetime, *, before: datetime | None = None
) -> datetime | None:
    """Return the first end (UTC, excluded) of the windows open at ``at`` in these zones, before ``before``.

    Raises ValueError where one of them is not open at ``at``.
    """
    ends = [end for zone in zones if (end := closing_time(hours, zone, at, before=before)) is not None]
    return min(ends, default=None)


def _first_instant(
    hours: Hours, zone: str, at: datetime, before: datetime, *, wanted: bool
) -> datetime | None:
    # Between two changes of the offset the next edge is computed by addition. At a change, and at midnight,
    # the windows are evaluated again.
    rules = zone_info(zone)
    instant = start = require_offset(at).astimezone(UTC)
    while instant < before or instant == start:
        local = instant.astimezone(rules)
        clock, today = since_midnight(local.time()), open_spans(hours, local.date())
        if any(opens <= clock < closes for opens, closes in today) is wanted:
            return instant
        edge = min((edge for span in today for edge in span if edge > clock), default=FULL_DAY)
        candidate = instant + (edge - clock)
        instant = next_offset_change(rules, instant, candidate) or candidate
    return None
