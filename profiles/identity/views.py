"""One person's identity, for reading: what joined their identifiers, what was kept apart, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.identity.component import read_component
from profiles.identity.graph import IdentityGraph, ResolutionStep, explain_step
from profiles.identity.identifiers import email_hash_key, type_of_key

MAX_LOG_ENTRIES = 200
"""Rows of the log that are read at most."""


@dataclass(frozen=True, slots=True)
class HeldIdentifier:
    """One identifier of a person."""

    type: str
    value: str
    since: datetime
    """Time of the earliest event that names it."""
    linked_at: datetime
    """When it became this person's."""
    vouched: bool
    """Named by a sender who may vouch for it."""
    status: str
    """good, quarantined: nobody's, or released: somebody's after all, as an operator said."""

    @property
    def key(self) -> str:
        """type:value."""
        return f"{self.type}:{self.value}"


@dataclass(frozen=True, slots=True)
class Cause:
    """The event behind an edge."""

    event_id: UUID | None
    event_type: str
    """Empty where the event itself is no longer kept."""
    channel: str
    source: str
    id: str
    """The channel's own id of the event."""
    time: datetime
    verified: bool


@dataclass(frozen=True, slots=True)
class IdentityEdge:
    """Two identifiers (type:value) that one event named together, and what came of it."""

    one: str
    other: str
    joined: bool
    why: str
    """Where they were not joined: limit, strong, unverified, cut or quarantined."""
    detail: str
    """For a limit the type that would be over it, for a cut the pair that it keeps apart."""
    reason: str
    """The same in a sentence."""
    cause: Cause


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another person's identifier that was named together with one of this person's, and not joined."""

    type: str
    value: str
    profile_id: UUID | None
    """Whose it is; null for nobody's."""
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class CutView:
    """Two identifiers that an operator said are not one person's."""

    cut_id: int
    one: str
    other: str
    actor: str
    reason: str
    at: datetime
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that became of an identity."""

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
    """Who a person is, and how that is known."""

    profile_id: UUID
    identifiers: list[HeldIdentifier]
    edges: list[IdentityEdge]
    """What joined the identifiers, in the order of its events; then what was refused to others."""
    neighbours: list[Neighbour]
    cuts: list[CutView]
    merged: list[UUID]
    """Profiles that turned out to be this one."""
    log: list[LogEntry]
    """Newest first."""


_SELECT_IDENTIFIERS = """
SELECT type, value, since, linked_at, vouched, status FROM identifier WHERE profile_id = ANY($1)
ORDER BY since, type, value
"""

_SELECT_EVENTS = "SELECT event_id, type, channel FROM event WHERE event_id = ANY($1)"

_SELECT_NEIGHBOURS = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.status FROM identifier i
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
    """The identity of one canonical profile, as ``profiles.identity.graph`` resolves what is on file."""
    held = await load_identifiers(connection, profile_id)
    own = [identifier.key for identifier in held]
    found = await read_component(connection, own)
    edges = await _to_edges(connection, _relevant_steps(found.to_graph(), frozenset(own)))
    merged = await _load_merged_profiles(connection, profile_id)
    return IdentityView(
        profile_id=profile_id,
        identifiers=held,
        edges=edges,
        neighbours=await _load_neighbours(connection, edges, frozenset(own)),
        cuts=[CutView(**row) for row in await connection.fetch(_SELECT_CUTS, own)],
        merged=merged,
        log=[
            LogEntry(**row)
            for row in await connection.fetch(_SELECT_LOG, [profile_id, *merged], MAX_LOG_ENTRIES)
        ],
    )


async def load_identifiers(connection: Any, profile_id: UUID) -> list[HeldIdentifier]:
    """Everything that points at a profile, the first seen first."""
    whole = [profile_id, *await _load_merged_profiles(connection, profile_id)]
    return [HeldIdentifier(**row) for row in await connection.fetch(_SELECT_IDENTIFIERS, whole)]


async def _load_merged_profiles(connection: Any, profile_id: UUID) -> list[UUID]:
    return [row["profile_id"] for row in await connection.fetch(_SELECT_MERGED_PROFILES, profile_id)]


def _relevant_steps(graph: IdentityGraph, own: frozenset[str]) -> list[ResolutionStep]:
    """What joined these keys, once each, and the first refusal of each kind to anybody else's."""
    part = {key: key for key in own} | {
        email_hash_key(key): key for key in own if type_of_key(key) == "email"
    }

    def first(key: str) -> str:
        while part[key] != key:
            key = part[key]
        return key

    joined = []
    for step in graph.steps:
        if (
            step.joined
            and step.target_key in own
            and step.candidate_key in own
            and first(step.target_key) != first(step.candidate_key)
        ):
            part[first(step.candidate_key)] = first(step.target_key)
            joined.append(step)
    refused: dict[tuple[str, str, str], ResolutionStep] = {}
    for step in graph.steps:
        if not step.joined and (step.target_key in own) != (step.candidate_key in own):
            refused.setdefault((step.target_key, step.candidate_key, step.refusal), step)
    return [*joined, *refused.values()]


async def _to_edges(connection: Any, steps: Sequence[ResolutionStep]) -> list[IdentityEdge]:
    ids = [step.link.event_id for step in steps if step.link.event_id]
    events = {row["event_id"]: row for row in await connection.fetch(_SELECT_EVENTS, ids)}
    edges = []
    for step in steps:
        link, event = step.link, events.get(step.link.event_id)
        cause = Cause(
            event_id=link.event_id,
            event_type=event["type"] if event else "",
            channel=event["channel"] if event else "",
            source=link.source,
            id=link.id,
            time=link.time,
            verified=link.verified,
        )
        reason = "" if step.joined else explain_step(step)
        edges.append(
            IdentityEdge(
                step.target_key, step.candidate_key, step.joined, step.refusal, step.detail, reason, cause
            )
        )
    return edges


async def _load_neighbours(
    connection: Any, edges: Sequence[IdentityEdge], own: frozenset[str]
) -> list[Neighbour]:
    reasons: dict[str, str] = {}
    for edge in edges:
        for key in (edge.one, edge.other):
            if key not in own:
                reasons.setdefault(key, edge.reason)
    pairs = [key.partition(":") for key in reasons]
    rows = await connection.fetch(
        _SELECT_NEIGHBOURS, [kind for kind, _, _ in pairs], [value for _, _, value in pairs]
    )
    found = {row["key"]: row for row in rows}
    neighbours = []
    for (kind, _, value), (key, reason) in zip(pairs, reasons.items(), strict=True):
        row = found.get(key)
        whose, status = (row["profile_id"], row["status"]) if row else (None, "good")
        nobodys = status == "quarantined"
        neighbours.append(Neighbour(kind, value, None if nobodys else whose, status, reason))
    return neighbours
