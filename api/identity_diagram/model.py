"""What a picture of an identity shows, before it is drawn: people, their identifiers, what joined them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from profiles.identity.views import Cause, IdentityEdge

REMAINDER = "rest"
"""Kind of the one node that stands for all that had no room."""


@dataclass(frozen=True, slots=True)
class RefusedLink:
    """A line to another person's identifier that was not joined."""

    source_key: str
    """Key of the person's own identifier."""
    label: str
    """The event, and why it joined nothing."""


@dataclass(slots=True)
class DiagramNode:
    """One identifier in the picture."""

    key: str
    kind: str
    text: str
    is_strong: bool
    is_vouched: bool = False
    is_quarantined: bool = False
    """Quarantined."""
    parent_key: str | None = None
    """What it was joined to; None where a tree begins."""
    edge_label: str = ""
    """What joined it, or since when it is known."""
    depth: int = 0
    refused_links: list[RefusedLink] = field(default_factory=list)


@dataclass(slots=True)
class DiagramGroup:
    """The identifiers of one person, or those that are nobody's."""

    title: str
    nodes: list[DiagramNode]
    """Each after the one it was joined to."""
    is_quarantined: bool = False


@dataclass(slots=True)
class IdentityDiagram:
    """One person, and whom they were nearly joined with."""

    title: str
    subtitle: str
    groups: list[DiagramGroup]
    """The person's own first."""


TYPE_LABELS = {
    "user_id": "user id",
    "loyalty_id": "loyalty id",
    "email": "email",
    "phone": "phone",
    "push_token": "push token",
    "anonymous_id": "anonymous id",
    "email_sha256": "email hash",
}
"""Strongest first."""

_MAX_EVENT_NAME_LENGTH = 28


class InstantFormatter:
    """Writes instants in UTC, with the year where several years are shown."""

    def __init__(self, times: Iterable[datetime]) -> None:
        self._years = len({time.astimezone(UTC).year for time in times}) > 1

    def format_minute(self, time: datetime) -> str:
        """12 Nov 10:04."""
        time = time.astimezone(UTC)
        return f"{time.day} {time:%b %Y %H:%M}" if self._years else f"{time.day} {time:%b %H:%M}"


def format_day(time: datetime) -> str:
    """12 Nov 2026."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y}"


def describe_event(cause: Cause, calendar: InstantFormatter) -> str:
    """Signed In · web · 12 Nov 10:04."""
    name = cause.event_type or "an event"
    if len(name) > _MAX_EVENT_NAME_LENGTH:
        name = name[: _MAX_EVENT_NAME_LENGTH - 1] + "…"
    parts = [name, cause.channel, calendar.format_minute(cause.time)]
    return " · ".join(part for part in parts if part)


def describe_link(cause: Cause, calendar: InstantFormatter) -> str:
    """What joined two identifiers."""
    return describe_event(cause, calendar) + ("" if cause.verified else " · unverified")


def describe_refusal(edge: IdentityEdge, calendar: InstantFormatter) -> str:
    """What did not join them; without the identifiers, which the full sentence holds."""
    why = {
        "limit": f"not joined, too many {TYPE_LABELS.get(edge.detail, edge.detail)}s for one person",
        "strong": "not joined, a device or a hash is too weak to make two people one",
        "unverified": "not joined, the sender may not vouch for a known person",
        "cut": "kept apart by an operator",
        "quarantined": "not joined, shared by too many to be anybody's",
    }
    return f"{describe_event(edge.cause, calendar)}: {why.get(edge.why, 'not joined')}"


def format_count(count: int, one: str) -> str:
    """1 identifier, 2 identifiers."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
