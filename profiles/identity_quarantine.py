"""Which identifiers are nobody's, with how many people they were seen and since when, for reading."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class QuarantinedIdentifier:
    """An identifier that so many people share that it identifies nobody."""

    type: str
    value: str
    people: int
    """Seen with so many until it was quarantined; later ones are not counted."""
    since: datetime
    """When it was quarantined, by the time of the event that did it; else when it was first seen."""


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
