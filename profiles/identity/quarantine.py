"""Quarantined identifiers: list for operators, new quarantines and their warning, and a cache for ingest."""

import time
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from profiles.identity.identifiers import DEVICE_TYPES, email_hash_key, mask_identifier, split_key

if TYPE_CHECKING:
    from profiles.identity.component import Component
    from profiles.identity.graph import IdentityGraph

log = structlog.get_logger(__name__)

QUARANTINE_ADVICE = (
    "see `waypost identity quarantined`; find the channel that sends it for many profiles and stop it there, "
    "or release it with `waypost identity release` if it identifies one profile"
)

QUARANTINE_CACHE_TTL_S = 30.0
"""Seconds after which Postgres is read again, since an operator may have released the identifier."""

_MAX_CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class QuarantinedIdentifier:
    """An identifier that so many profiles share that it identifies none."""

    type: str
    value: str
    people: int
    """Number of profiles that shared it when it was quarantined. Later ones are not counted."""
    since: datetime
    """When it was quarantined, by the time of the causing event; else when it was first seen."""


@dataclass(frozen=True, slots=True)
class NewQuarantine:
    """An identifier that this transaction quarantines."""

    key: str
    profile_count: int
    """Number of profiles that share it."""


_SELECT_QUARANTINED = """
SELECT type, value, since FROM identifier WHERE status = 'quarantined' AND (type, value) > ($1, $2)
ORDER BY type, value LIMIT $3
"""

_COUNT_PROFILES = """
SELECT asked.key, count(DISTINCT i.profile_id) AS people FROM unnest($1::text[]) AS asked(key)
JOIN identity_link l ON l.keys @> ARRAY[asked.key] CROSS JOIN unnest(l.keys) AS beside(key)
JOIN identifier i ON i.type = split_part(beside.key, ':', 1)
  AND i.value = substr(beside.key, strpos(beside.key, ':') + 1) AND i.status <> 'quarantined'
GROUP BY asked.key
"""

_SELECT_QUARANTINED_AT = """
SELECT key, max(at) AS at FROM identity_log WHERE kind = 'quarantined' AND key = ANY($1) GROUP BY key
"""


async def load_quarantined(
    connection: Any, *, limit: int, after: tuple[str, str] = ("", "")
) -> list[QuarantinedIdentifier]:
    """Return quarantined identifiers in the order of (type, value), those after ``after``."""
    rows = await connection.fetch(_SELECT_QUARANTINED, *after, limit)
    keys = [f"{row['type']}:{row['value']}" for row in rows]
    people = dict(await connection.fetch(_COUNT_PROFILES, keys))
    logged = dict(await connection.fetch(_SELECT_QUARANTINED_AT, keys))
    return [
        QuarantinedIdentifier(row["type"], row["value"], people.get(key, 0), logged.get(key, row["since"]))
        for key, row in zip(keys, rows, strict=True)
    ]


def find_newly_quarantined(component: "Component", graph: "IdentityGraph") -> tuple[NewQuarantine, ...]:
    """Return the keys that are quarantined in a resolved graph and were not before. Pure."""
    beside: dict[str, set[str]] = {
        key: set() for key in sorted(graph.quarantined) if component.identifiers[key].status != "quarantined"
    }
    for link in component.links.values():
        people = {graph.cluster_of(key)[0] for key in link.keys if key not in graph.quarantined}
        for key in link.keys:
            if key in beside:
                beside[key] |= people
    return tuple(NewQuarantine(key, len(people)) for key, people in beside.items())


def log_quarantines(quarantines: Iterable[NewQuarantine]) -> None:
    """Log a warning for each identifier; one for an address and its hash. Called after COMMIT."""
    counts = {quarantine.key: quarantine.profile_count for quarantine in quarantines}
    hashes = {email_hash_key(key) for key in counts if key.startswith("email:")}
    for key, people in counts.items():
        if key not in hashes:
            kind, value = split_key(key)
            shown = {"type": kind, "value": mask_identifier(kind, value), "people": people}
            log.warning("identifier quarantined", **shown, advice=QUARANTINE_ADVICE)


class QuarantineCache(AbstractSet[str]):
    """In-process cache (30 s) of quarantined identifiers, so that events that name them take no row lock.

    Thousands of events may name one such identifier, and would wait for its row one after the other.
    """

    def __init__(self) -> None:
        self._expiry_by_key: dict[str, tuple[float, bool]] = {}

    def add(self, keys: Iterable[str], verified_keys: Collection[str] = ()) -> None:
        """Cache keys for ``QUARANTINE_CACHE_TTL_S``. Verified events quarantined the ``verified_keys``."""
        until = time.monotonic() + QUARANTINE_CACHE_TTL_S
        for key in keys:
            self._expiry_by_key.pop(key, None)
            self._expiry_by_key[key] = (until, key in verified_keys)
        while len(self._expiry_by_key) > _MAX_CACHED_KEYS:
            del self._expiry_by_key[next(iter(self._expiry_by_key))]

    def can_be_skipped(self, key: str, *, verified: bool) -> bool:
        """Return whether an event can leave the key out. ``verified``: whether the event is.

        A verified event does not leave out an address that only unverified events quarantined: the event
        may release it. A device is quarantined for every event.
        """
        until, by_verified = self._expiry_by_key.get(key, (0.0, False))
        return until > time.monotonic() and (not verified or by_verified or split_key(key)[0] in DEVICE_TYPES)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.can_be_skipped(key, verified=False)

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._expiry_by_key if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
