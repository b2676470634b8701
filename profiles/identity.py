"""Who an event is about: identifiers to profiles, under locks, with merges where one event names two people."""

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
SELECT type, value, profile_id, created_at FROM jsonb_populate_recordset(NULL::identifier, $1) ORDER BY type, value
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


@dataclass(slots=True)
class Group:
    """Events of one request that are about one person, as far as their identifiers tell."""

    members: list[int] = field(default_factory=list)
    """Positions of the events."""
    identifiers: dict[Pair, None] = field(default_factory=dict)
    profile_ids: set[UUID] = field(default_factory=set)
    """Profiles named otherwise, by a message of theirs."""
    at: datetime = datetime.max.replace(tzinfo=UTC)
    """When the first of them was taken in."""


def grouped(named: Sequence[tuple[tuple[Pair, ...], UUID | None, datetime]]) -> list[Group]:
    """Join events that share an identifier or a profile; one entry an event: identifiers, profile, instant."""
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
    """Position of each event → its canonical profile, locked. Makes, and merges, profiles as needed."""
    proposed = {number: new_id() for number in range(len(groups))}
    owners = await _upsert(connection, groups, proposed)
    existing = sorted({p for number, found in owners.items() for p in found if p != proposed[number]})
    canonical = await lock(connection, existing) if existing else {}
    fresh: list[dict[str, Any]] = []
    repoint: list[dict[str, Any]] = []
    placed: dict[int, UUID] = {}
    merged: dict[UUID, UUID] = {}
    for number, group in enumerate(groups):
        people = {_follow(canonical.get(p, p), merged) for p in owners[number] if p != proposed[number]}
        if not people:
            fresh.append({"profile_id": proposed[number], "created_at": group.at})
            people = {proposed[number]}
        # UUIDv7 sorts by age: the oldest profile stays.
        survivor, *losers = sorted(people)
        for loser in losers:
            await merge(connection, survivor, loser, at=group.at)
            merged[loser] = survivor
        for (kind, value), pointed in owners[number].pairs.items():
            if pointed != survivor:
                repoint.append({"type": kind, "value": value, "profile_id": survivor})
        for position in group.members:
            placed[position] = survivor
    if fresh:
        await connection.execute(_NEW, encode(fresh))
    if repoint:
        await connection.execute(_REPOINT, encode(repoint))
    return {position: _follow(profile_id, merged) for position, profile_id in placed.items()}


class _Owners(set[UUID]):
    """The profiles a group's identifiers point at, and which points where."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: dict[Pair, UUID] = {}


async def _upsert(connection: Any, groups: Sequence[Group], proposed: dict[int, UUID]) -> dict[int, _Owners]:
    rows = [
        {"type": kind, "value": value, "profile_id": proposed[number], "created_at": group.at}
        for number, group in enumerate(groups)
        for kind, value in group.identifiers
    ]
    group_of = {(row["type"], row["value"]): number for number, group in enumerate(groups)
                for row in ({"type": k, "value": v} for k, v in group.identifiers)}  # fmt: skip
    owners = {number: _Owners() for number in range(len(groups))}
    for number, group in enumerate(groups):
        owners[number].update(group.profile_ids)
    if rows:
        for found in await connection.fetch(_UPSERT, encode(rows)):
            pair = (found["type"], found["value"])
            mine = owners[group_of[pair]]
            mine.add(found["profile_id"])
            mine.pairs[pair] = found["profile_id"]
    return owners


def _follow(profile_id: UUID, merged: dict[UUID, UUID]) -> UUID:
    while profile_id in merged:
        profile_id = merged[profile_id]
    return profile_id
