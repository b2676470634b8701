"""All identifiers, links and cuts that bear on who a few identifiers are, read with the profiles locked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.db.locks import lock_profiles
from profiles.identity.graph import IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import normalize_identifier, split_key

_SELECT_CANONICAL_ID = """
WITH RECURSIVE chain AS (
  SELECT profile_id, merged_into FROM profile WHERE profile_id = $1
  UNION SELECT p.profile_id, p.merged_into FROM profile p JOIN chain c ON p.profile_id = c.merged_into)
SELECT profile_id FROM chain WHERE merged_into IS NULL
"""


async def load_canonical_id(connection: Any, profile_id: UUID) -> UUID | None:
    """The profile that ``profile_id`` is by now, through every merge; None where there is none."""
    found: UUID | None = await connection.fetchval(_SELECT_CANONICAL_ID, profile_id)
    return found


async def find_profile_id(
    connection: Any, kind: str, value: str, *, region: str | None = None
) -> UUID | None:
    """The canonical profile behind one identifier, or None.

    Raises ValueError with the reason for a value that cannot identify anybody; see
    ``profiles.identity.identifiers``.
    """
    pointed: UUID | None = await connection.fetchval(
        "SELECT profile_id FROM identifier WHERE type = $1 AND value = $2",
        kind,
        normalize_identifier(kind, value, region=region),
    )
    return None if pointed is None else await load_canonical_id(connection, pointed)


# One statement a round, and one round where nobody's identifiers were ever named beside somebody else's.
# A quarantined key is followed no further: it is nobody's, and thousands may hang on it. Nor is a vouched one
# (or a vouched address's hash) over unverified links: they join nobody to it and do not count against it, and
# anybody may have made up thousands.
_SELECT_COMPONENT = """
WITH ids AS MATERIALIZED (SELECT type || ':' || value AS key, profile_id, origin, since, linked_at, status,
    vouched FROM identifier WHERE profile_id = ANY($1)),
closed AS (SELECT key FROM ids WHERE vouched AND NOT $2 UNION ALL
  SELECT 'email_sha256:' || encode(sha256(convert_to(substr(key, 7), 'UTF8')), 'hex') FROM ids
  WHERE vouched AND NOT $2 AND key LIKE 'email:%'),
links AS MATERIALIZED (SELECT * FROM identity_link WHERE keys && (SELECT array_agg(key) FROM ids
    WHERE status <> 'quarantined' AND key NOT IN (SELECT key FROM closed))
  UNION SELECT * FROM identity_link WHERE verified AND keys && (SELECT array_agg(key) FROM closed))
SELECT
  (SELECT jsonb_agg(jsonb_build_array(key, profile_id, origin, since, linked_at, status, vouched))
    FROM ids)::text AS ids,
  (SELECT jsonb_agg(jsonb_build_array(link_id, keys, time, source, id, verified, event_id))
    FROM links)::text AS links,
  (SELECT jsonb_agg(jsonb_build_array(one, other)) FROM identity_cut WHERE lifted_at IS NULL
    AND one = ANY(SELECT key FROM ids))::text AS cuts
"""

_SELECT_IDENTIFIERS = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.origin, i.since, i.linked_at, i.status, i.vouched
FROM identifier i JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
"""


@dataclass(frozen=True, slots=True)
class IdentifierRow:
    """An identifier as it is on file."""

    key: str
    profile_id: UUID
    """Its canonical profile."""
    stored_profile_id: UUID
    """The profile that its row names: one that is no more, where a merge had to leave it behind."""
    origin: UUID
    since: datetime
    linked_at: datetime
    status: str
    """good; quarantined: nobody's; released: an operator said that it is somebody's after all."""
    vouched: bool


@dataclass(slots=True)
class Component:
    """What ``profiles.identity.graph.resolve_graph`` is asked with."""

    identifiers: dict[str, IdentifierRow] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    cuts: dict[frozenset[str], None] = field(default_factory=dict)
    canonical_ids: dict[UUID, UUID] = field(default_factory=dict)
    """Every profile met → the one it is by now, locked."""

    def to_graph(self) -> IdentityGraph:
        """Who is who."""
        links = [
            replace(link, keys=keys)
            for link in self.links.values()
            if (keys := tuple(key for key in link.keys if key in self.identifiers))
        ]
        linked = {key for link in links for key in link.keys}
        return resolve_graph(
            links,
            # When a linked key was first seen is a matter of its links alone: what comes in by itself later
            # on must not change who is who.
            sightings={key: row.since for key, row in self.identifiers.items() if key not in linked},
            cuts=self.cuts,
            quarantined=[key for key, row in self.identifiers.items() if row.status == "quarantined"],
            released=[key for key, row in self.identifiers.items() if row.status == "released"],
        )


async def lock_component(
    connection: Any,
    stored_profile_ids: Mapping[str, UUID],
    canonical_ids: Mapping[UUID, UUID],
    *,
    include_unverified: bool = False,
) -> Component:
    """Everything that hangs together with some identifiers, near or far.

    ``pointers``: the profile that each one's row points at. ``canonical``: those already locked. Locks the
    profiles of all others that it meets. ``hearsay``: also what unverified links say of vouched keys, which
    matters only where one is vouched for no more.
    """
    found = Component(canonical_ids=dict(canonical_ids))
    frontier = dict.fromkeys(stored_profile_ids.values())
    read: dict[UUID, None] = {}
    while frontier:
        await _lock_unlocked_profiles(connection, found, frontier)
        asked = dict.fromkeys([*frontier, *(found.canonical_ids.get(who, who) for who in frontier)])
        read |= asked
        row = await connection.fetchrow(_SELECT_COMPONENT, list(asked), include_unverified)
        for known in _to_identifier_rows(row, found):
            found.identifiers[known.key] = known
        for link_id, keys, time, source, event, verified, event_id in orjson.loads(row["links"] or "[]"):
            at = datetime.fromisoformat(time)
            found.links[link_id] = Link(tuple(keys), at, source, event, verified, UUID(event_id))
        for one, other in orjson.loads(row["cuts"] or "[]"):
            found.cuts[frozenset((one, other))] = None
        frontier = await _load_next_frontier(connection, found, read)
    return found


async def _lock_unlocked_profiles(connection: Any, found: Component, profile_ids: Collection[UUID]) -> None:
    unknown = [who for who in profile_ids if who not in found.canonical_ids]
    if unknown:
        found.canonical_ids |= await lock_profiles(connection, unknown)


def _to_identifier_rows(row: Any, found: Component) -> list[IdentifierRow]:
    return [
        IdentifierRow(
            key,
            found.canonical_ids.get(UUID(who), UUID(who)),
            UUID(who),
            UUID(origin),
            datetime.fromisoformat(since),
            datetime.fromisoformat(linked_at),
            status,
            vouched,
        )
        for key, who, origin, since, linked_at, status, vouched in orjson.loads(row["ids"] or "[]")
    ]


async def _load_next_frontier(connection: Any, found: Component, read: Collection[UUID]) -> dict[UUID, None]:
    """The profiles of keys that links name and that have not been read."""
    keys = dict.fromkeys(
        key for link in found.links.values() for key in link.keys if key not in found.identifiers
    )
    if not keys:
        return {}
    kinds, values = zip(*(split_key(key) for key in keys), strict=True)
    frontier: dict[UUID, None] = {}
    for row in await connection.fetch(_SELECT_IDENTIFIERS, list(kinds), list(values)):
        if row["status"] == "quarantined":
            # Nobody's: its profile holds nothing else, and is not to be a place where everybody waits.
            found.identifiers[row["key"]] = IdentifierRow(**row, stored_profile_id=row["profile_id"])
        elif row["profile_id"] not in read:
            frontier[row["profile_id"]] = None
    return frontier


MAX_LINKS = 5_000
"""Where more links hang together, those found first are shown."""

_SELECT_IDENTIFIERS_AGAIN = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.origin, i.since, i.linked_at, i.status, i.vouched
FROM identifier i JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
"""

_SELECT_LINKS = """
SELECT link_id, keys, verified, time, source, id, event_id FROM identity_link
WHERE keys && $1::text[] ORDER BY time, source, id LIMIT $2
"""

_SELECT_ACTIVE_CUTS = (
    "SELECT one, other FROM identity_cut WHERE lifted_at IS NULL AND one = ANY($1) AND other = ANY($1)"
)


async def read_component(connection: Any, keys: Collection[str]) -> Component:
    """Everything linked with these keys, near or far, at most ``MOST_LINKS`` links.

    As ``profiles.identity.component.lock_component`` finds it for a change, but for reading: nothing is locked. A
    quarantined key is followed no further: it is nobody's, and thousands may hang on it.
    """
    found = Component()
    asked: dict[str, None] = {}
    frontier = dict.fromkeys(keys)
    while frontier and len(found.links) < MAX_LINKS:
        asked |= frontier
        pairs = [split_key(key) for key in frontier]
        kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
        for row in await connection.fetch(_SELECT_IDENTIFIERS_AGAIN, kinds, values):
            found.identifiers[row["key"]] = IdentifierRow(**row, stored_profile_id=row["profile_id"])
        sought = [
            key
            for key in frontier
            if key in found.identifiers and _is_not_quarantined(found.identifiers[key])
        ]
        frontier = {}
        for row in await connection.fetch(_SELECT_LINKS, sought, MAX_LINKS):
            found.links[row["link_id"]] = _to_link(row)
            frontier |= dict.fromkeys(key for key in row["keys"] if key not in asked)
    for row in await connection.fetch(_SELECT_ACTIVE_CUTS, list(found.identifiers)):
        found.cuts[frozenset((row["one"], row["other"]))] = None
    return found


def _is_not_quarantined(known: IdentifierRow) -> bool:
    return known.status != "quarantined"


def _to_link(row: Any) -> Link:
    return Link(
        keys=tuple(row["keys"]),
        time=row["time"],
        source=row["source"],
        id=row["id"],
        verified=row["verified"],
        event_id=row["event_id"],
    )
