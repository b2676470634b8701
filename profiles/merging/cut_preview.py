"""Messages that went out while people were one who should not have been, for reading."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from profiles.identity.component import Component, read_component
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import email_hash_key
from profiles.identity.views import load_identifiers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that went out, or may have."""

    message_id: UUID
    journey: str
    channel: str
    template: str
    sent_at: datetime
    """By the run's clock. Where the provider has not answered: when it was to be called."""
    status: str = "sent"


# A claim is what a person's facts license: whoever was claimed for as one was written to as one, though the
# provider answered later. By Postgres's stamps: a run's clock may have travelled, and an event's time says
# when two became one in the world, not since when Waypost has taken them to be. Filtered on the index of
# profile_id; the sent ones and those under way.
_SELECT_MESSAGES_SINCE = """
SELECT message_id, journey, channel, template, COALESCE(sent_at, claimed_at, decided_at) AS sent_at, status
FROM message WHERE profile_id = $1 AND status NOT IN ('withheld', 'deferred', 'released')
  AND COALESCE(claim_recorded_at, recorded_at) >= $2
ORDER BY 5, message_id
"""

_SELECT_MESSAGES_BY_ID = """
SELECT message_id, journey, channel, template, COALESCE(sent_at, claimed_at, decided_at) AS sent_at, status
FROM message WHERE message_id = ANY($1) ORDER BY 5, message_id
"""

_SELECT_LINK_RECORDED_AT = "SELECT event_id, recorded_at FROM identity_link WHERE link_id = ANY($1)"

_SELECT_LAST_JOINED_AT = """
SELECT key, other_key, max(recorded_at) AS at FROM identity_log
WHERE profile_id = ANY($1) AND kind = 'joined' GROUP BY key, other_key
"""


async def load_messages_since(connection: Any, profile_id: UUID, since: datetime) -> list[SentMessage]:
    """Messages that went out to a profile, or may have, claimed from this instant of Postgres's clock on.

    The oldest first.
    """
    return [SentMessage(**row) for row in await connection.fetch(_SELECT_MESSAGES_SINCE, profile_id, since)]


async def load_messages_by_id(connection: Any, message_ids: Sequence[UUID]) -> list[SentMessage]:
    """These messages, the oldest first."""
    return [SentMessage(**row) for row in await connection.fetch(_SELECT_MESSAGES_BY_ID, list(message_ids))]


async def merged_since(
    connection: Any, component: Component, graph: IdentityGraph, key_a: str, key_b: str
) -> datetime:
    """Since when, by Postgres's clock, two identifiers (type:value) of one person have been taken for that.

    ``graph``: what ``found`` resolves to. A pair that was joined, parted and joined again counts from the
    last time; a person to whom others were joined since then counts from when these two were.
    """
    told = {
        row["event_id"]: row["recorded_at"]
        for row in await connection.fetch(_SELECT_LINK_RECORDED_AT, list(component.links))
    }
    people = {who for known in component.identifiers.values() for who in (known.profile_id, known.origin)}
    again = {
        frozenset((row["key"], row["other_key"])): row["at"]
        for row in await connection.fetch(_SELECT_LAST_JOINED_AT, sorted(people))
    }
    ties = [
        (
            max(
                told[step.link.event_id], again.get(frozenset((step.target_key, step.candidate_key)), _EPOCH)
            ),
            step.target_key,
            step.candidate_key,
        )
        for step in graph.steps
        if step.joined and step.link.event_id in told
    ]
    hashes = ((_EPOCH, key, email_hash_key(key)) for key in graph.cluster_of(key_a))
    return _last_required_link_time(
        (*ties, *(tie for tie in hashes if tie[2] in component.identifiers)), key_a, key_b
    )


def _last_required_link_time(ties: Iterable[tuple[datetime, str, str]], one: str, other: str) -> datetime:
    """When the last tie was made that two identifiers needed to hang together; always, if it is not known."""
    groups: dict[str, set[str]] = {}
    for at, this, that in sorted(ties):
        few, many = sorted((groups.get(this, {this}), groups.get(that, {that})), key=len)
        many |= few
        groups |= dict.fromkeys(many, many)
        if other in groups.get(one, ()):
            return at
    return _EPOCH


@dataclass(frozen=True, slots=True)
class AffectedRun:
    """A run that has not ended."""

    run_id: UUID
    journey: str
    key: str


@dataclass(frozen=True, slots=True)
class CutPreview:
    """A cut as it would be; nothing has been changed."""

    profile_id: UUID
    parts: list[list[str]]
    """The person's identifiers (type:value) by the person they would belong to, first whose the first
    of the two is, then the other's."""
    runs: list[AffectedRun]
    messages: list[SentMessage]
    """Sent, or under way, since the two have been taken for one person."""


_RUNS = "SELECT run_id, journey, key FROM run WHERE profile_id = $1 AND state <> 'ended' ORDER BY entered_at"


async def preview_cut(connection: Any, profile_id: UUID, key_a: str, key_b: str) -> CutPreview:
    """Look ahead at a cut between two identifiers (type:value) of one canonical profile."""
    held = await load_identifiers(connection, profile_id)
    own = [identifier.key for identifier in held]
    found = await read_component(connection, own)
    since = await merged_since(connection, found, found.to_graph(), key_a, key_b)
    found.cuts[frozenset((key_a, key_b))] = None
    graph = found.to_graph()
    parts: dict[tuple[str, ...], list[str]] = {graph.cluster_of(key): [] for key in (key_a, key_b)}
    for key in own:
        parts.setdefault(graph.cluster_of(key), []).append(key)
    return CutPreview(
        profile_id,
        list(parts.values()),
        [AffectedRun(**row) for row in await connection.fetch(_RUNS, profile_id)],
        await load_messages_since(connection, profile_id, since),
    )
