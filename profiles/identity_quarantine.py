"""Which identifiers are nobody's, with how many people they were seen and since when; and the warning."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from profiles.identifiers import split_key
from profiles.identity_rules import hash_of
from profiles.shortening import shortened

if TYPE_CHECKING:
    from profiles.component import Component
    from profiles.graph import Graph

log = structlog.get_logger(__name__)

WHAT_TO_DO = (
    "see `waypost identity quarantined`; find out which channel sends it for everybody and have it stop, or "
    "lift it with `waypost identity release` should it be one person's after all"
)


@dataclass(frozen=True, slots=True)
class QuarantinedIdentifier:
    """An identifier that so many people share that it identifies nobody."""

    type: str
    value: str
    people: int
    """Seen with so many until it was quarantined; later ones are not counted."""
    since: datetime
    """When it was quarantined, by the time of the event that did it; else when it was first seen."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """An identifier that has just been found to be nobody's."""

    key: str
    people: int
    """Who named it, each once."""


_QUARANTINED = """
SELECT type, value, since FROM identifier WHERE status = 'quarantined' AND (type, value) > ($1, $2)
ORDER BY type, value LIMIT $3
"""

_PEOPLE = """
SELECT asked.key, count(DISTINCT i.profile_id) AS people FROM unnest($1::text[]) AS asked(key)
JOIN identity_link l ON l.keys @> ARRAY[asked.key] CROSS JOIN unnest(l.keys) AS beside(key)
JOIN identifier i ON i.type = split_part(beside.key, ':', 1)
  AND i.value = substr(beside.key, strpos(beside.key, ':') + 1) AND i.status <> 'quarantined'
GROUP BY asked.key
"""

_LOGGED = """
SELECT key, max(at) AS at FROM identity_log WHERE kind = 'quarantined' AND key = ANY($1) GROUP BY key
"""


async def quarantined(
    connection: Any, *, limit: int, after: tuple[str, str] = ("", "")
) -> list[QuarantinedIdentifier]:
    """Quarantined identifiers in the order of (type, value), those behind ``after``."""
    rows = await connection.fetch(_QUARANTINED, *after, limit)
    keys = [f"{row['type']}:{row['value']}" for row in rows]
    people = {row["key"]: row["people"] for row in await connection.fetch(_PEOPLE, keys)}
    logged = {row["key"]: row["at"] for row in await connection.fetch(_LOGGED, keys)}
    return [
        QuarantinedIdentifier(row["type"], row["value"], people.get(key, 0), logged.get(key, row["since"]))
        for key, row in zip(keys, rows, strict=True)
    ]


def newly_quarantined(found: "Component", graph: "Graph") -> tuple[Quarantine, ...]:
    """The keys that a resolution takes from everybody and that were somebody's before; pure."""
    beside: dict[str, set[str]] = {
        key: set() for key in sorted(graph.quarantined) if found.known[key].status != "quarantined"
    }
    for link in found.links.values():
        people = {graph.cluster_of(key)[0] for key in link.keys if key not in graph.quarantined}
        for key in link.keys:
            if key in beside:
                beside[key] |= people
    return tuple(Quarantine(key, len(people)) for key, people in beside.items())


def warn(news: Iterable[Quarantine]) -> None:
    """Tell the log, once an identifier; call after COMMIT. An address and its hash are one to tell."""
    found = {one.key: one for one in news}
    hashes = {hash_of(key) for key in found if key.startswith("email:")}
    for key, one in found.items():
        if key not in hashes:
            kind, value = split_key(key)
            log.warning(
                "identifier quarantined",
                type=kind,
                value=shortened(kind, value),
                people=one.people,
                advice=WHAT_TO_DO,
            )
