"""Connected components of identifiers, with links and cuts, and lookups of the canonical profile."""

import asyncio
import time as clock
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.db.locks import lock_profiles
from profiles.identity.graph import IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import normalize_identifier, split_key

MAX_LINKS = 5_000
"""Maximum number of links of a component that is read without locks, the nearest first."""

MAX_INLINE_IDENTIFIERS = 200
"""Identifiers of a component that is resolved on the event loop; a larger one is resolved in a thread."""

_SLICE_S = 0.005
"""Seconds of decoding after which other tasks get their turn."""

_SELECT_CANONICAL_ID = """
WITH RECURSIVE chain AS (
  SELECT profile_id, merged_into FROM profile WHERE profile_id = $1
  UNION SELECT p.profile_id, p.merged_into FROM profile p JOIN chain c ON p.profile_id = c.merged_into)
SELECT profile_id FROM chain WHERE merged_into IS NULL
"""

# One statement for each step away from the given profiles; one in all if no link leaves them.
# The links of a quarantined key are not followed: it identifies no profile, and there may be thousands. Nor
# are the unverified links of a vouched key, or of a vouched address's hash. They join nothing to it, they do
# not count for its quarantine, and a public write key can make up thousands.
_SELECT_COMPONENT = """
WITH ids AS MATERIALIZED (SELECT type || ':' || value AS key, profile_id, origin, since, linked_at, status,
    vouched, page_only, linked_by_page, created_at FROM identifier WHERE profile_id = ANY($1)),
closed AS (SELECT key FROM ids WHERE vouched AND NOT $2 UNION ALL
  SELECT 'email_sha256:' || encode(sha256(convert_to(substr(key, 7), 'UTF8')), 'hex') FROM ids
  WHERE vouched AND NOT $2 AND key LIKE 'email:%'),
links AS MATERIALIZED (SELECT * FROM identity_link WHERE keys && (SELECT array_agg(key) FROM ids
    WHERE status <> 'quarantined' AND key NOT IN (SELECT key FROM closed))
  UNION SELECT * FROM identity_link WHERE verified AND keys && (SELECT array_agg(key) FROM closed))
SELECT
  (SELECT jsonb_agg(jsonb_build_array(key, profile_id, origin, since, linked_at, status, vouched,
    page_only, linked_by_page, created_at)) FROM ids)::text AS ids,
  (SELECT jsonb_agg(jsonb_build_array(link_id, keys, time, source, id, verified, event_id, accepts_device))
    FROM links)::text AS links,
  (SELECT jsonb_agg(jsonb_build_array(one, other)) FROM identity_cut WHERE lifted_at IS NULL
    AND one = ANY(SELECT key FROM ids))::text AS cuts
"""

_SELECT_IDENTIFIERS = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.origin, i.since, i.linked_at, i.status, i.vouched,
  i.page_only, i.linked_by_page, i.created_at
FROM identifier i JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
"""

_SELECT_LINKS = """
SELECT link_id, keys, time, source, id, verified, event_id, accepts_device FROM identity_link
WHERE keys && $1::text[] ORDER BY time, source, id LIMIT $2
"""

_SELECT_ACTIVE_CUTS = (
    "SELECT one, other FROM identity_cut WHERE lifted_at IS NULL AND one = ANY($1) AND other = ANY($1)"
)


@dataclass(frozen=True, slots=True)
class IdentifierRow:
    """An identifier as it is stored."""

    key: str
    profile_id: UUID
    """Its canonical profile."""
    stored_profile_id: UUID
    """The profile that its row names; an older one if a merge could not update the row."""
    origin: UUID
    """The profile that it got when it was first seen."""
    since: datetime
    """Time of the earliest event that names it."""
    linked_at: datetime
    """When it joined its profile."""
    status: str
    """good; quarantined: shared by so many profiles that it identifies none; released: by an operator."""
    vouched: bool
    """Whether a verified event names it; true for strong identifiers only."""
    page_only: bool | None = None
    """Of an anonymous_id, whether only unverified events have named it; None if it is not known."""
    linked_by_page: bool = False
    """Whether it belongs to its profile only because the shop accepts what a page says of a device."""
    created_at: datetime | None = None
    """When the first event that names it arrived."""


@dataclass(slots=True)
class Component:
    """Identifiers that links connect, with these links and cuts: the input of ``resolve_graph``."""

    identifiers: dict[str, IdentifierRow] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    cuts: dict[frozenset[str], None] = field(default_factory=dict)
    canonical_ids: dict[UUID, UUID] = field(default_factory=dict)
    """Profile id → canonical id. All of them are locked."""

    def to_graph(self) -> IdentityGraph:
        """Resolve the component into profiles."""
        links = [
            replace(link, keys=keys)
            for link in self.links.values()
            if (keys := tuple(key for key in link.keys if key in self.identifiers))
        ]
        linked = {key for link in links for key in link.keys}
        return resolve_graph(
            links,
            # Only its links decide when a linked key was first seen. An event that names the key alone must
            # not change the result.
            sightings={key: row.since for key, row in self.identifiers.items() if key not in linked},
            cuts=self.cuts,
            quarantined=[key for key, row in self.identifiers.items() if row.status == "quarantined"],
            released=[key for key, row in self.identifiers.items() if row.status == "released"],
            page_devices={
                key: row.created_at
                for key, row in self.identifiers.items()
                if row.page_only and row.created_at is not None
            },
        )

    async def resolve(self) -> IdentityGraph:
        """Resolve the component as ``to_graph`` does; a large one in a thread, so that no request waits."""
        if len(self.identifiers) <= MAX_INLINE_IDENTIFIERS:
            return self.to_graph()
        return await asyncio.to_thread(self.to_graph)


async def load_canonical_id(connection: Any, profile_id: UUID) -> UUID | None:
    """Return the canonical profile of ``profile_id``, through all merges; None if it does not exist."""
    canonical_id: UUID | None = await connection.fetchval(_SELECT_CANONICAL_ID, profile_id)
    return canonical_id


async def find_profile_id(
    connection: Any, kind: str, value: str, *, region: str | None = None
) -> UUID | None:
    """Return the canonical profile of one identifier, or None. Raises as ``normalize_identifier`` does."""
    stored_id: UUID | None = await connection.fetchval(
        "SELECT profile_id FROM identifier WHERE type = $1 AND value = $2",
        kind,
        normalize_identifier(kind, value, region=region),
    )
    return None if stored_id is None else await load_canonical_id(connection, stored_id)


async def lock_component(
    connection: Any,
    stored_profile_ids: Mapping[str, UUID],
    canonical_ids: Mapping[UUID, UUID],
    *,
    include_unverified: bool = False,
) -> Component:
    """Read the component of some identifiers, and lock its profiles.

    ``stored_profile_ids``: identifier key → the profile that its row names. ``canonical_ids``: profiles that
    are locked already → their canonical ones. ``include_unverified``: also follow unverified links of vouched
    keys, which is needed only if a key is no longer vouched. Locks held: all profiles of the component.
    """
    component = Component(canonical_ids=dict(canonical_ids))
    frontier = dict.fromkeys(stored_profile_ids.values())
    read: dict[UUID, None] = {}
    while frontier:
        if unlocked := [profile_id for profile_id in frontier if profile_id not in component.canonical_ids]:
            component.canonical_ids |= await lock_profiles(connection, unlocked)
        canonical = (component.canonical_ids.get(each, each) for each in frontier)
        profile_ids = dict.fromkeys([*frontier, *canonical])
        read |= profile_ids
        row = await connection.fetchrow(_SELECT_COMPONENT, list(profile_ids), include_unverified)
        turn = _Turn()
        for key, stored, origin, since, linked_at, status, *rest in orjson.loads(row["ids"] or "[]"):
            await turn.give_way()
            vouched, page_only, by_page, created_at = rest
            stored_id = UUID(stored)
            canonical_id = component.canonical_ids.get(stored_id, stored_id)
            seen, joined = datetime.fromisoformat(since), datetime.fromisoformat(linked_at)
            component.identifiers[key] = IdentifierRow(
                *(key, canonical_id, stored_id, UUID(origin), seen, joined, status, vouched),
                page_only=page_only,
                linked_by_page=by_page,
                created_at=datetime.fromisoformat(created_at),
            )
        for link_id, keys, time, source, event, verified, *ids in orjson.loads(row["links"] or "[]"):
            await turn.give_way()
            event_id, accepts_device = ids
            at = datetime.fromisoformat(time)
            component.links[link_id] = Link(
                *(tuple(keys), at, source, event, verified), UUID(event_id), accepts_device
            )
        for key_a, key_b in orjson.loads(row["cuts"] or "[]"):
            component.cuts[frozenset((key_a, key_b))] = None
        frontier = await _load_next_frontier(connection, component, read)
    return component


async def read_component(connection: Any, keys: Collection[str]) -> Component:
    """Read the component of some keys without locks, with about ``MAX_LINKS`` links at most.

    The links of a quarantined key are not followed: it identifies no profile, and there may be thousands.
    ``lock_component`` reads a component in order to change it.
    """
    component = Component()
    read: dict[str, None] = {}
    frontier = dict.fromkeys(keys)
    while frontier and len(component.links) < MAX_LINKS:
        read |= frontier
        found = await _load_identifiers(connection, frontier)
        component.identifiers |= found
        followed = [key for key in frontier if key in found and found[key].status != "quarantined"]
        frontier = {}
        for link_id, keys_of_link, *event in await connection.fetch(_SELECT_LINKS, followed, MAX_LINKS):
            component.links[link_id] = Link(tuple(keys_of_link), *event)
            frontier |= dict.fromkeys(key for key in keys_of_link if key not in read)
    for row in await connection.fetch(_SELECT_ACTIVE_CUTS, list(component.identifiers)):
        component.cuts[frozenset((row["one"], row["other"]))] = None
    return component


class _Turn:
    """Gives way to other tasks after each ``_SLICE_S``."""

    def __init__(self) -> None:
        self._end = clock.monotonic() + _SLICE_S

    async def give_way(self) -> None:
        if clock.monotonic() > self._end:
            await asyncio.sleep(0)
            self._end = clock.monotonic() + _SLICE_S


async def _load_identifiers(connection: Any, keys: Iterable[str]) -> dict[str, IdentifierRow]:
    pairs = [split_key(key) for key in keys]
    kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
    rows = await connection.fetch(_SELECT_IDENTIFIERS, kinds, values)
    return {row["key"]: IdentifierRow(**row, stored_profile_id=row["profile_id"]) for row in rows}


async def _load_next_frontier(
    connection: Any, component: Component, read: Collection[UUID]
) -> dict[UUID, None]:
    """Return the profiles of linked keys that have not been read."""
    keys = dict.fromkeys(
        key for link in component.links.values() for key in link.keys if key not in component.identifiers
    )
    if not keys:
        return {}
    frontier: dict[UUID, None] = {}
    for key, identifier in (await _load_identifiers(connection, keys)).items():
        if identifier.status == "quarantined":
            # Its profile holds nothing else. Locking it would make all events that name the key wait.
            component.identifiers[key] = identifier
        elif identifier.profile_id not in read:
            frontier[identifier.profile_id] = None
    return frontier
