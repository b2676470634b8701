"""Decides whether hours are open at an instant in a zone, when they open next and when they close."""

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
    """Open where every one of these is."""

    hours: tuple[QuietHours | Jurisdiction, ...]


Hours = QuietHours | Jurisdiction | IntersectedHours


@lru_cache(maxsize=4096)
def open_spans(hours: Hours, day: date) -> tuple[Span, ...]:
    """When the hours are open on a local date, by the wall clock."""
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
    """Whether the wall clock in ``zone`` is in a window at ``at``: its beginning included, its end not.

    Quiet hours may cross midnight (opens 22:00, closes 06:00). Where both ends are equal they are open
    round the clock. Raises ValueError for an unknown zone and for ``at`` without an offset.
    """
    local = require_offset(at).astimezone(zone_info(zone))
    clock = since_midnight(local.time())
    return any(opens <= clock < closes for opens, closes in open_spans(hours, local.date()))


def next_opening(hours: Hours, zone: str, at: datetime, *, before: datetime | None = None) -> datetime | None:
    """The first instant (UTC) not before ``at`` at which a window is open; ``at`` itself if one is.

    None where none lies before ``before``, by default nine days on: the longest row of days on which any
    place closes is shorter. Right across clock changes: a skipped opening time opens at the moment of the
    change, and clocks that go back into a window open it again. Raises ValueError for an unknown zone and
    for ``at`` without an offset.
    """
    return _first_instant(hours, zone, at, before or require_offset(at) + _MAX_LOOKAHEAD, wanted=True)


def closing_time(hours: Hours, zone: str, at: datetime, *, before: datetime | None = None) -> datetime | None:
    """The end (UTC, excluded) of the window that is open at ``at``; None where it is open until ``before``.

    ``before`` is nine days on by default. A provider's validity period that ends here never delivers into
    quiet hours. Where clocks go back over the closing time, the first of the two is the end. Raises
    ValueError for an unknown zone, for ``at`` without an offset, and where nothing is open then.
    """
    if not is_open(hours, zone, at):
        raise ValueError(
            f"expected an instant in a window of {zone}, got {at.isoformat()}; ask for next_opening first"
        )
    return _first_instant(hours, zone, at, before or at + _MAX_LOOKAHEAD, wanted=False)


def next_common_opening(
    hours: Hours, zones: Sequence[str], at: datetime, *, before: datetime
) -> datetime | None:
    """The first instant (UTC) not before ``at`` at which the hours are open in every zone.

    ``at`` itself where they are; None where none lies before ``before``, or within nine days: zones too far
    apart may never agree.
    """
    limit = min(before, at + _MAX_LOOKAHEAD)
    now = at
    while True:
        openings = [next_opening(hours, zone, now, before=limit) for zone in zones]
        found = [opening for opening in openings if opening is not None]
        if len(found) < len(openings):
            return None
        if max(found) <= now:
            return now
        now = max(found)


def common_closing_time(
    hours: Hours, zones: Sequence[str], at: datetime, *, before: datetime | None = None
) -> datetime | None:
    """The first end (UTC, excluded) of windows open at ``at`` in these zones; None: none by ``before``.

    Raises ValueError where one of them is not open then.
    """
    ends = [end for zone in zones if (end := closing_time(hours, zone, at, before=before)) is not None]
    return min(ends, default=None)


def _first_instant(
    hours: Hours, zone: str, at: datetime, before: datetime, *, wanted: bool
) -> datetime | None:
    # Between two changes of the offset the wall clock runs evenly, so the next edge is arithmetic; at a
    # change the clock jumps, so the question is put again there, as it is at midnight.
    rules = zone_info(zone)
    now = start = require_offset(at).astimezone(UTC)
    while now < before or now == start:
        local = now.astimezone(rules)
        clock, today = since_midnight(local.time()), open_spans(hours, local.date())
        if any(opens <= clock < closes for opens, closes in today) is wanted:
            return now
        edge = min((edge for span in today for edge in span if edge > clock), default=FULL_DAY)
        candidate = now + (edge - clock)
        now = next_offset_change(rules, now, candidate) or candidate
    return None
