"""Preview of a cut: profiles, runs, and the messages sent while the two identifiers were in one profile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import fetch_as
from profiles.identity.component import Component, read_component
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import email_hash_key
from profiles.identity.views import load_identifiers
from profiles.state.run_keys import RUN_KEY_SQL

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SELECT_MESSAGES = """
SELECT message_id, journey, channel, template, COALESCE(sent_at, claimed_at, decided_at) AS sent_at, status
FROM message"""

# Sent messages and messages in flight. Selected by the time of the claim, since the claim uses the profile's
# data, even if the provider answers later. By Postgres's stamps: a run's clock may be moved on a local stack,
# and an event's time says when the identifiers were linked, not when Waypost merged the profiles.
_SELECT_MESSAGES_SINCE = f"""
{_SELECT_MESSAGES} WHERE profile_id = $1 AND status NOT IN ('withheld', 'deferred', 'released')
  AND COALESCE(claim_recorded_at, recorded_at) >= $2
ORDER BY 5, message_id
"""

_SELECT_MESSAGES_BY_ID = f"{_SELECT_MESSAGES} WHERE message_id = ANY($1) ORDER BY 5, message_id"

_SELECT_LINK_RECORDED_AT = "SELECT event_id, recorded_at FROM identity_link WHERE link_id = ANY($1)"

_SELECT_LAST_JOINED_AT = """
SELECT key, other_key, max(recorded_at) AS at FROM identity_log
WHERE profile_id = ANY($1) AND kind = 'joined' GROUP BY key, other_key
"""

_RUNS = f"""
SELECT r.run_id, r.journey, {RUN_KEY_SQL} AS key FROM run r WHERE r.profile_id = $1 AND r.state <> 'ended'
ORDER BY r.entered_at
"""  # noqa: S608 - constant fragment


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was sent, or may have been."""

    message_id: UUID
    journey: str
    channel: str
    template: str
    sent_at: datetime
    """By the run's clock. Without an answer of the provider: when the message was claimed, or decided on."""
    status: str = "sent"


@dataclass(frozen=True, slots=True)
class AffectedRun:
    """A run that has not ended."""

    run_id: UUID
    journey: str
    key: str


@dataclass(frozen=True, slots=True)
class CutPreview:
    """The effect of a cut, without the cut."""

    profile_id: UUID
    parts: list[list[str]]
    """The profile's identifiers (type:value), grouped by their profile after the cut. First the group of the
    first of the two identifiers, then that of the second."""
    runs: list[AffectedRun]
    """The live runs of the profile."""
    messages: list[SentMessage]
    """Sent, or in flight, since the two identifiers have been in one profile."""


async def load_messages_since(connection: Any, profile_id: UUID, since: datetime) -> list[SentMessage]:
    """Load the messages of a profile claimed since an instant of Postgres's clock, oldest first."""
    return await fetch_as(connection, SentMessage, _SELECT_MESSAGES_SINCE, profile_id, since)


async def load_messages_by_id(connection: Any, message_ids: Sequence[UUID]) -> list[SentMessage]:
    """Load messages by id, oldest first."""
    return await fetch_as(connection, SentMessage, _SELECT_MESSAGES_BY_ID, list(message_ids))


async def merged_since(
    connection: Any, component: Component, graph: IdentityGraph, key_a: str, key_b: str
) -> datetime:
    """Return since when, by Postgres's clock, two identifiers (type:value) have been in one profile.

    ``graph``: the resolved ``component``. For a pair that was joined, split and joined again, the last time
    counts. Later merges with other identifiers do not count. The epoch, if the time is not known.
    """
    recorded_at = dict(await connection.fetch(_SELECT_LINK_RECORDED_AT, list(component.links)))
    profile_ids = {each for row in component.identifiers.values() for each in (row.profile_id, row.origin)}
    rows = await connection.fetch(_SELECT_LAST_JOINED_AT, sorted(profile_ids))
    last_joined_at = {frozenset(pair): at for *pair, at in rows}
    joins = []
    for step in graph.steps:
        if step.joined and (linked_at := recorded_at.get(step.link.event_id)):
            joined_at = last_joined_at.get(frozenset((step.target_key, step.candidate_key)), _EPOCH)
            joins.append((max(linked_at, joined_at), step.target_key, step.candidate_key))
    hashes = ((_EPOCH, key, email_hash_key(key)) for key in graph.cluster_of(key_a))
    joins += [join for join in hashes if join[2] in component.identifiers]
    return _last_required_link_time(joins, key_a, key_b)


def _last_required_link_time(joins: Iterable[tuple[datetime, str, str]], key_a: str, key_b: str) -> datetime:
    """Return the time of the join (time, key, key) that first connects two keys; the epoch if none does."""
    groups: dict[str, set[str]] = {}
    for at, one_key, other_key in sorted(joins):
        few, many = sorted((groups.get(one_key, {one_key}), groups.get(other_key, {other_key})), key=len)
        many |= few
        groups |= dict.fromkeys(many, many)
        if key_b in groups.get(key_a, ()):
            return at
    return _EPOCH


async def preview_cut(connection: Any, profile_id: UUID, key_a: str, key_b: str) -> CutPreview:
    """Preview a cut between two identifiers (type:value) of one canonical profile. Changes nothing."""
    held = await load_identifiers(connection, profile_id)
    own = [identifier.key for identifier in held]
    component = await read_component(connection, own)
    since = await merged_since(connection, component, component.to_graph(), key_a, key_b)
    component.cuts[frozenset((key_a, key_b))] = None
    graph = component.to_graph()
    parts: dict[tuple[str, ...], list[str]] = {graph.cluster_of(key): [] for key in (key_a, key_b)}
    for key in own:
        parts.setdefault(graph.cluster_of(key), []).append(key)
    return CutPreview(
        profile_id,
        list(parts.values()),
        await fetch_as(connection, AffectedRun, _RUNS, profile_id),
        await load_messages_since(connection, profile_id, since),
    )
