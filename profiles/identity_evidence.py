"""All that decides who one person is, read without taking a lock."""

from collections.abc import Collection
from typing import Any

from profiles.component import Component, Known
from profiles.graph import Link
from profiles.identifiers import split_key

MOST_LINKS = 5_000
"""Where more links hang together, those found first are shown."""

_KNOWN = """
SELECT i.type || ':' || i.value AS key, i.profile_id, i.origin, i.since, i.linked_at, i.status, i.vouched
FROM identifier i JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
"""

_LINKS = """
SELECT link_id, keys, verified, time, source, id, event_id FROM identity_link
WHERE keys && $1::text[] ORDER BY time, source, id LIMIT $2
"""

_CUTS = "SELECT one, other FROM identity_cut WHERE lifted_at IS NULL AND one = ANY($1) AND other = ANY($1)"


async def evidence(connection: Any, keys: Collection[str]) -> Component:
    """Everything linked with these keys, near or far, at most ``MOST_LINKS`` links.

    As ``profiles.component.component`` finds it for a change, but for reading: nothing is locked. A
    quarantined key is followed no further: it is nobody's, and thousands may hang on it.
    """
    found = Component()
    asked: dict[str, None] = {}
    frontier = dict.fromkeys(keys)
    while frontier and len(found.links) < MOST_LINKS:
        asked |= frontier
        pairs = [split_key(key) for key in frontier]
        kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
        for row in await connection.fetch(_KNOWN, kinds, values):
            found.known[row["key"]] = Known(**row, pointer=row["profile_id"])
        sought = [key for key in frontier if key in found.known and _is_good(found.known[key])]
        frontier = {}
        for row in await connection.fetch(_LINKS, sought, MOST_LINKS):
            found.links[row["link_id"]] = _link(row)
            frontier |= dict.fromkeys(key for key in row["keys"] if key not in asked)
    for row in await connection.fetch(_CUTS, list(found.known)):
        found.cuts[frozenset((row["one"], row["other"]))] = None
    return found


def _is_good(known: Known) -> bool:
    return known.status != "quarantined"


def _link(row: Any) -> Link:
    return Link(
        keys=tuple(row["keys"]),
        time=row["time"],
        source=row["source"],
        id=row["id"],
        verified=row["verified"],
        event_id=row["event_id"],
    )
