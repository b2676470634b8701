"""The identity of one profile, for reading: what joined its identifiers, what was refused, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from profiles.db.sql import fetch_as
from profiles.identity.component import read_component
from profiles.identity.graph import IdentityGraph, ResolutionStep, explain_step
from profiles.identity.identifiers import email_hash_key, type_of_key

MAX_LOG_ENTRIES = 200
"""Maximum number of log rows that are read."""


@dataclass(frozen=True, slots=True)
class HeldIdentifier:
    """One identifier of a profile."""

    type: str
    value: str
    since: datetime
    """Time of the earliest event that names it."""
    linked_at: datetime
    """When it joined this profile."""
    vouched: bool
    """Whether a verified event names it; true for strong identifiers only."""
    status: str
    """good; quarantined: shared by so many profiles that it identifies none; released: by an operator."""

    @property
    def key(self) -> str:
        """type:value."""
        return f"{self.type}:{self.value}"


@dataclass(frozen=True, slots=True)
class Cause:
    """The event behind an edge."""

    event_id: UUID | None
    event_type: str
    """Empty if the event itself is no longer stored."""
    channel: str
    source: str
    id: str
    """The channel's own id of the event."""
    time: datetime
    verified: bool


@dataclass(frozen=True, slots=True)
class IdentityEdge:
    """Two identifiers (type:value) that one event named together, and whether they were joined."""

    one: str
    other: str
    joined: bool
    why: str
    """Why they were not joined: limit, strong, unverified, cut or quarantined. Empty if they were."""
    detail: str
    """For limit, the type that would exceed it; for cut, the pair of the cut."""
    reason: str
    """``why`` and ``detail`` as a sentence."""
    cause: Cause


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another profile's identifier that was named together with one of this profile's, and not joined."""

    type: str
    value: str
    profile_id: UUID | None
    """Its profile; null for a quarantined identifier."""
    status: str
    reason: str
    vouched: Annotated[bool, Field(exclude=True)] = False
    """Whether a verified event names it. Not part of the HTTP contract; diagrams show it."""


@dataclass(frozen=True, slots=True)
class CutView:
    """An operator's declaration that two identifiers do not belong to one profile."""

    cut_id: int
    one: str
    other: str
    actor: str
    reason: str
    at: datetime
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the identity log."""

    seq: int
    at: datetime
    kind: str
    profile_id: UUID | None
    other_profile_id: UUID | None
    key: str | None
    other_key: str | None
    cause: UUID | None
    actor: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class IdentityView:
    """The identity of a profile: its identifiers, and the evidence that joined them."""

    profile_id: UUID
    identifiers: list[HeldIdentifier]
    edges: list[IdentityEdge]
    """The pairs that joined the identifiers, in the order of their events; then the refused pairs."""
    neighbours: list[Neighbour]
    cuts: list[CutView]
    merged: list[UUID]
    """Profiles that were merged into this one."""
    log: list[LogEntry]
    """Newest first."""


_SELECT_IDENTIFIERS = """
SELECT type, value, since, linked_at, vouched, status FROM identifier WHERE profile_id = ANY($1)
ORDER BY since, type, value
"""

_SELECT_EVENTS = "SELECT event_id, type, channel FROM event WHERE event_id = ANY($1)"

_SELECT_NEIGHBOURS = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.status, i.vouched FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
"""

_SELECT_CUTS = """
SELECT cut_id, one, other, actor, reason, at, lifted_at FROM identity_cut
WHERE one = ANY($1) OR other = ANY($1) ORDER BY cut_id DESC
"""

_SELECT_MERGED_PROFILES = """
WITH RECURSIVE chain AS (
  SELECT profile_id FROM profile WHERE merged_into = $1
  UNION SELECT p.profile_id FROM profile p JOIN chain c ON p.merged_into = c.profile_id)
SELECT profile_id FROM chain ORDER BY profile_id
"""

_SELECT_LOG = """
SELECT seq, at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail FROM identity_log
WHERE profile_id = ANY($1) OR other_profile_id = ANY($1) ORDER BY seq DESC LIMIT $2
"""


async def load_identity(connection: Any, profile_id: UUID) -> IdentityView:
    """Load the identity of one canonical profile, as ``profiles.identity.graph`` resolves it."""
    held = await load_identifiers(connection, profile_id)
    own = [identifier.key for identifier in held]
    component = await read_component(connection, own)
    edges = await _to_edges(connection, _relevant_steps(component.to_graph(), frozenset(own)))
    merged = await _load_merged_profiles(connection, profile_id)
    return IdentityView(
        profile_id=profile_id,
        identifiers=held,
        edges=edges,
        neighbours=await _load_neighbours(connection, edges, frozenset(own)),
        cuts=await fetch_as(connection, CutView, _SELECT_CUTS, own),
        merged=merged,
        log=await fetch_as(connection, LogEntry, _SELECT_LOG, [profile_id, *merged], MAX_LOG_ENTRIES),
    )


async def load_identifiers(connection: Any, profile_id: UUID) -> list[HeldIdentifier]:
    """Load the identifiers of a profile and of those merged into it, the first seen first."""
    profile_ids = [profile_id, *await _load_merged_profiles(connection, profile_id)]
    return await fetch_as(connection, HeldIdentifier, _SELECT_IDENTIFIERS, profile_ids)


async def _load_merged_profiles(connection: Any, profile_id: UUID) -> list[UUID]:
    return [row["profile_id"] for row in await connection.fetch(_SELECT_MERGED_PROFILES, profile_id)]


def _relevant_steps(graph: IdentityGraph, own: frozenset[str]) -> list[ResolutionStep]:
    """Return the steps that joined these keys, and the first refusal of each pair with another profile."""
    hashes = {email_hash_key(key): key for key in own if type_of_key(key) == "email"}
    part = {key: key for key in own} | hashes

    def first(key: str) -> str:
        while part[key] != key:
            key = part[key]
        return key

    joined = []
    refused: dict[tuple[str, str, str], ResolutionStep] = {}
    for step in graph.steps:
        one, other = step.target_key, step.candidate_key
        if step.joined and one in own and other in own and first(one) != first(other):
            part[first(other)] = first(one)
            joined.append(step)
        elif not step.joined and (one in own) != (other in own):
            refused.setdefault((one, other, step.refusal), step)
    return [*joined, *refused.values()]


async def _to_edges(connection: Any, steps: Sequence[ResolutionStep]) -> list[IdentityEdge]:
    ids = [step.link.event_id for step in steps if step.link.event_id]
    rows = await connection.fetch(_SELECT_EVENTS, ids)
    events = {event_id: (event_type, channel) for event_id, event_type, channel in rows}
    edges = []
    for step in steps:
        link, pair = step.link, (step.target_key, step.candidate_key)
        event = events.get(link.event_id, ("", ""))
        cause = Cause(link.event_id, *event, link.source, link.id, link.time, link.verified)
        reason = "" if step.joined else explain_step(step)
        edges.append(IdentityEdge(*pair, step.joined, step.refusal, step.detail, reason, cause))
    return edges


async def _load_neighbours(
    connection: Any, edges: Sequence[IdentityEdge], own: frozenset[str]
) -> list[Neighbour]:
    reasons: dict[str, str] = {}
    for edge in edges:
        for key in (edge.one, edge.other):
            if key not in own:
                reasons.setdefault(key, edge.reason)
    pairs = [key.partition(":")[::2] for key in reasons]
    kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
    rows = await connection.fetch(_SELECT_NEIGHBOURS, kinds, values)
    found = {key: (profile_id, status, vouched) for key, profile_id, status, vouched in rows}
    neighbours = []
    for (kind, value), (key, reason) in zip(pairs, reasons.items(), strict=True):
        profile_id, status, vouched = found.get(key, (None, "good", False))
        shown_id = None if status == "quarantined" else profile_id
        neighbours.append(Neighbour(kind, value, shown_id, status, reason, vouched))
    return neighbours
