"""What would come apart if two identifiers of one person were cut: the parts, their runs, their messages."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from profiles.identity_evidence import evidence
from profiles.identity_messages import SentMessage, messages_since, one_since
from profiles.identity_view import identifiers_of


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that has not ended."""

    run_id: UUID
    journey: str
    key: str


@dataclass(frozen=True, slots=True)
class ComesApart:
    """A cut as it would be; nothing has been changed."""

    profile_id: UUID
    parts: list[list[str]]
    """The person's identifiers (type:value) by the person they would belong to, first whose the first
    of the two is, then the other's."""
    runs: list[LiveRun]
    messages: list[SentMessage]
    """Sent, or under way, since the two have been taken for one person."""


_RUNS = "SELECT run_id, journey, key FROM run WHERE profile_id = $1 AND state <> 'ended' ORDER BY entered_at"


async def comes_apart(connection: Any, profile_id: UUID, one: str, other: str) -> ComesApart:
    """Look ahead at a cut between two identifiers (type:value) of one canonical profile."""
    held = await identifiers_of(connection, profile_id)
    own = [identifier.key for identifier in held]
    found = await evidence(connection, own)
    since = await one_since(connection, found, found.resolved(), one, other)
    found.cuts[frozenset((one, other))] = None
    graph = found.resolved()
    parts: dict[tuple[str, ...], list[str]] = {graph.cluster_of(key): [] for key in (one, other)}
    for key in own:
        parts.setdefault(graph.cluster_of(key), []).append(key)
    return ComesApart(
        profile_id,
        list(parts.values()),
        [LiveRun(**row) for row in await connection.fetch(_RUNS, profile_id)],
        await messages_since(connection, profile_id, since),
    )
