"""Content of an identity diagram before it is drawn, the texts of its labels, and its colours."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from profiles.identity.views import Cause, IdentityEdge

REMAINDER = "rest"
"""Kind of the node that stands for all identifiers without room."""


@dataclass(frozen=True, slots=True)
class RefusedLink:
    """A link to another profile's identifier that did not join them."""

    source_key: str
    """Key of the profile's own identifier."""
    label: str
    """The event, and why it did not join them."""


@dataclass(slots=True)
class DiagramNode:
    """One identifier in the diagram."""

    key: str
    kind: str
    text: str
    is_strong: bool
    is_vouched: bool = False
    is_quarantined: bool = False
    parent_key: str | None = None
    """Key of the node it was linked to; None for the root of a tree."""
    edge_label: str = ""
    """The event that linked it, or when it was first seen."""
    depth: int = 0
    refused_links: list[RefusedLink] = field(default_factory=list)


@dataclass(slots=True)
class DiagramGroup:
    """The identifiers of one profile, or the quarantined ones."""

    title: str
    nodes: list[DiagramNode]
    """Each node after its parent."""
    is_quarantined: bool = False


@dataclass(slots=True)
class IdentityDiagram:
    """One profile and its neighbours."""

    title: str
    subtitle: str
    groups: list[DiagramGroup]
    """The profile's own group first."""


TYPE_LABELS = {
    "user_id": "user id",
    "loyalty_id": "loyalty id",
    "email": "email",
    "phone": "phone",
    "push_token": "push token",
    "anonymous_id": "anonymous id",
    "email_sha256": "email hash",
}
"""Identifier type → label, strongest first."""

_MAX_EVENT_NAME_LENGTH = 28


class InstantFormatter:
    """Formats instants in UTC, with the year if the given times span several years."""

    def __init__(self, times: Iterable[datetime]) -> None:
        self._years = len({time.astimezone(UTC).year for time in times}) > 1

    def format_minute(self, time: datetime) -> str:
        """Return the instant to the minute: 12 Nov 10:04."""
        time = time.astimezone(UTC)
        return f"{time.day} {time:%b %Y %H:%M}" if self._years else f"{time.day} {time:%b %H:%M}"


def format_day(time: datetime) -> str:
    """Return the date in UTC: 12 Nov 2026."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y}"


def describe_event(cause: Cause, calendar: InstantFormatter) -> str:
    """Describe an event: Signed In · web · 12 Nov 10:04."""
    name = cause.event_type or "an event"
    if len(name) > _MAX_EVENT_NAME_LENGTH:
        name = name[: _MAX_EVENT_NAME_LENGTH - 1] + "…"
    parts = [name, cause.channel, calendar.format_minute(cause.time)]
    return " · ".join(part for part in parts if part)


def describe_link(cause: Cause, calendar: InstantFormatter) -> str:
    """Describe the event that linked two identifiers."""
    return describe_event(cause, calendar) + ("" if cause.verified else " · unverified")


def describe_refusal(edge: IdentityEdge, calendar: InstantFormatter) -> str:
    """Describe a refused link: its event, and why. Without the identifiers, which the node shows."""
    reasons = {
        "limit": f"not joined, too many {TYPE_LABELS.get(edge.detail, edge.detail)}s for one person",
        "strong": "not joined, a device or a hash is too weak to make two people one",
        "unverified": "not joined, the sender may not vouch for a known person",
        "cut": "kept apart by an operator",
        "quarantined": "not joined, shared by too many to be anybody's",
    }
    return f"{describe_event(edge.cause, calendar)}: {reasons.get(edge.why, 'not joined')}"


def format_count(count: int, one: str) -> str:
    """Return a count with its noun: 1 identifier, 2 identifiers."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


class NodeStyle(NamedTuple):
    """Colours of a node, dark on light, so that they are legible on light and dark pages."""

    fill: str
    border: str
    text: str
    tag: str


TEXT_COLOR, MUTED_COLOR, EDGE_COLOR = "#1f2329", "#5b6472", "#8a93a1"

GROUP_FILL, GROUP_BORDER, OTHER_GROUP_FILL = "#f6f9fd", "#9db4d6", "#fafbfc"

REFUSED_COLOR = "#c0443a"

_TYPE_COLORS = {
    "user_id": "#2f5fac",
    "loyalty_id": "#7d3f9b",
    "email": "#23774a",
    "phone": "#a1580c",
    "push_token": "#26828b",
    "anonymous_id": "#5f6979",
    "email_sha256": "#857e71",
}

_TYPE_FILLS = {"push_token": "#e5f4f5", "anonymous_id": "#eef0f4", "email_sha256": "#f6f5f2"}

_QUARANTINED_STYLE = NodeStyle("#eceef1", "#8a93a1", "#5b6472", "#5b6472")

_REMAINDER_STYLE = NodeStyle("#ffffff", "#8a93a1", TEXT_COLOR, MUTED_COLOR)


def node_style(node: DiagramNode) -> NodeStyle:
    """Return the colours of a node: strong identifiers filled, weak ones outlined, quarantined ones grey."""
    if node.kind == REMAINDER:
        return _REMAINDER_STYLE
    if node.is_quarantined:
        return _QUARANTINED_STYLE
    line = _TYPE_COLORS.get(node.kind, EDGE_COLOR)
    if node.is_strong:
        return NodeStyle(line, line, "#ffffff", "#ffffff")
    return NodeStyle(_TYPE_FILLS.get(node.kind, "#ffffff"), line, TEXT_COLOR, line)
