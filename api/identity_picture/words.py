"""How a picture of an identity says what joined two identifiers, and what kept them apart."""

from collections.abc import Iterable
from datetime import UTC, datetime

from profiles.identity_view import Cause, IdentityEdge

TYPES = {
    "user_id": "user id",
    "loyalty_id": "loyalty id",
    "email": "email",
    "phone": "phone",
    "push_token": "push token",
    "anonymous_id": "anonymous id",
    "email_sha256": "email hash",
}
"""Strongest first."""

_LONGEST_NAME = 28


class Calendar:
    """Writes instants in UTC, with the year where several years are shown."""

    def __init__(self, times: Iterable[datetime]) -> None:
        self._years = len({time.astimezone(UTC).year for time in times}) > 1

    def minute(self, time: datetime) -> str:
        """12 Nov 10:04."""
        time = time.astimezone(UTC)
        return f"{time.day} {time:%b %Y %H:%M}" if self._years else f"{time.day} {time:%b %H:%M}"


def day(time: datetime) -> str:
    """12 Nov 2026."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y}"


def event_in_words(cause: Cause, calendar: Calendar) -> str:
    """Signed In · web · 12 Nov 10:04."""
    name = cause.event_type or "an event"
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    parts = [name, cause.channel, calendar.minute(cause.time)]
    return " · ".join(part for part in parts if part)


def joined_in_words(cause: Cause, calendar: Calendar) -> str:
    """What joined two identifiers."""
    return event_in_words(cause, calendar) + ("" if cause.verified else " · unverified")


def refused_in_words(edge: IdentityEdge, calendar: Calendar) -> str:
    """What did not join them; without the identifiers, which the full sentence holds."""
    why = {
        "limit": f"not joined, too many {TYPES.get(edge.detail, edge.detail)}s for one person",
        "strong": "not joined, a device or a hash is too weak to make two people one",
        "unverified": "not joined, the sender may not vouch for a known person",
        "cut": "kept apart by an operator",
        "quarantined": "not joined, shared by too many to be anybody's",
    }
    return f"{event_in_words(edge.cause, calendar)}: {why.get(edge.why, 'not joined')}"


def count_in_words(count: int, one: str) -> str:
    """1 identifier, 2 identifiers."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
