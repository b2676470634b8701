"""Who an event is about: identifiers to profiles, under locks; merges where one event names two people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from profiles.changes import encode
from profiles.ids import new_id
from profiles.merge import merge
from profiles.person import lock

Pair = tuple[str, str]

_UPSERT = """
INSERT INTO identifier (type, value, profile_id, created_at)
SELECT type, value, profile_id, created_at FROM jsonb_populate_recordset(NULL::identifier, $1)
ORDER BY type, value
ON CONFLICT (type, value) DO UPDATE SET value = excluded.value
RETURNING type, value, profile_id
"""

_NEW = """
INSERT INTO profile (profile_id, created_at)
SELECT profile_id, created_at FROM jsonb_populate_recordset(NULL::profile, $1)
"""

_REPOINT = """
UPDATE identifier i SET profile_id = c.profile_id FROM jsonb_populate_recordset(NULL::identifier, $1) c
WHERE i.type = c.type AND i.value = c.value
"""

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Group:
    """Events of one request that are about one person, as far as their identifiers tell."""

    members: list[int] = field(default_factory=list)
    """Positions of the events."""
    identifiers: dict[Pair, None] = field(default_factory=dict)
    profile_ids: set[UUID] = field(default_factory=set)
    """Profiles named otherwise, by a message of theirs."""
    at: datetime = _NEVER
    """When the first of them was taken in."""


def grouped(named: Sequence[tuple[tuple[Pair, ...], UUID | None, datetime]]) -> list[Group]:
    """Join events that share an identifier or a profile; an entry: identifiers, profile, instant."""
    owner: dict[Any, int] = {}
    parent = list(range(len(named)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for position, (identifiers, profile_id, _) in enumerate(named):
        for handle in (*identifiers, *([profile_id] if profile_id else [])):
            first = owner.setdefault(handle, position)
            one, other = sorted((root(first), root(position)))
            parent[other] = one
    groups: dict[int, Group] = {}
    for position, (identifiers, profile_id, at) in enumerate(named):
        group = groups.setdefault(root(position), Group())
        group.members.append(position)
        group.identifiers.update(dict.fromkeys(identifiers))
        if profile_id:
            group.profile_ids.add(profile_id)
        group.at = min(group.at, at)
    return list(groups.values())


async def resolve(connection: Any, groups: Sequence[Group]) -> dict[int, UUID]:
    """Position of each event → its canonical profile, locked. Makes, and merges, profiles as needed.

    Events that name nobody are left out.
    """
    named = [group for group in groups if group.identifiers or group.profile_ids]
    proposed = [new_id() for _ in named]
    pointers = await _upsert(connection, named, proposed)
    found = [
        {*group.profile_ids, *(pointers[pair] for pair in group.identifiers)} - {own}
        for group, own in zip(named, proposed, strict=True)
    ]
    existing = sorted(set().union(*found))
    canonical = await lock(connection, existing) if existing else {}
    fresh: list[dict[str, Any]] = []
    merged: dict[UUID, UUID] = {}
    owners: list[UUID] = []
    for group, own, known in zip(named, proposed, found, strict=True):
        people = {_follow(canonical[profile_id], merged) for profile_id in known}
        if not people:
            fresh.append({"profile_id": own, "created_at": group.at})
            people = {own}
        # UUIDv7 sorts by age: the oldest profile stays.
        survivor, *losers = sorted(people)
        for loser in losers:
            await merge(connection, survivor, loser, at=group.at)
            merged[loser] = survivor
        owners.append(survivor)
    # A later group may have merged what an earlier one was given to.
    owners = [_follow(owner, merged) for owner in owners]
    if fresh:
        await connection.execute(_NEW, encode(fresh))
    if repoint := _astray(named, owners, pointers):
        await connection.execute(_REPOINT, encode(repoint))
    return {position: owner for group, owner in zip(named, owners, strict=True) for position in group.members}


async def _upsert(connection: Any, groups: Sequence[Group], proposed: Sequence[UUID]) -> dict[Pair, UUID]:
    """Every identifier → the profile it points at, locked; unknown ones point at the proposed profile."""
    rows = [
        {"type": kind, "value": value, "profile_id": own, "created_at": group.at}
        for group, own in zip(groups, proposed, strict=True)
        for kind, value in group.identifiers
    ]
    if not rows:
        return {}
    found = await connection.fetch(_UPSERT, encode(rows))
    return {(row["type"], row["value"]): row["profile_id"] for row in found}


def _astray(
    groups: Sequence[Group], owners: Sequence[UUID], pointers: dict[Pair, UUID]
) -> list[dict[str, Any]]:
    """Identifiers that point at another profile than their owner's."""
    return [
        {"type": kind, "value": value, "profile_id": owner}
        for group, owner in zip(groups, owners, strict=True)
        for kind, value in group.identifiers
        if pointers[kind, value] != owner
    ]


def _follow(profile_id: UUID, merged: dict[UUID, UUID]) -> UUID:
    while profile_id in merged:
        profile_id = merged[profile_id]
    return profile_id
