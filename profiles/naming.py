"""What events name: identifiers and links, written down and looked up in one statement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.changes import encode
from profiles.component import digest
from profiles.identifiers import STRONG, implied, key, split_key
from profiles.identity_rules import strongest_first
from profiles.ids import new_id
from profiles.shunned import Shunned

# The filter keeps a link that is known from being locked, and the count keeps it behind the identifiers'
# locks. Of two events that say the same the earlier one is the cause.
_NAME = """
WITH named AS (
  INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, vouched, created_at)
  SELECT type, value, profile_id, profile_id, since, COALESCE(linked_at, since), vouched, created_at
  FROM jsonb_populate_recordset(NULL::identifier, $1) ORDER BY type, value
  ON CONFLICT (type, value) DO UPDATE SET since = LEAST(identifier.since, excluded.since)
  RETURNING type, value, profile_id, status),
told AS (
  SELECT decode(digest, 'hex') AS digest, verified, ARRAY(SELECT jsonb_array_elements_text(keys)) AS keys,
    time, source, id, event_id, at
  FROM jsonb_to_recordset($2) AS t(digest text, verified boolean, keys jsonb, time timestamptz, source text,
    id text, event_id uuid, at timestamptz)
  WHERE (SELECT count(*) FROM named) > 0),
linked AS (
  INSERT INTO identity_link AS l (digest, verified, keys, time, source, id, event_id, at)
  SELECT digest, verified, keys, time, source, id, event_id, at FROM told t
  WHERE NOT EXISTS (SELECT 1 FROM identity_link k WHERE k.digest = t.digest AND k.verified = t.verified
    AND (k.time, k.source COLLATE "C", k.id COLLATE "C") <= (t.time, t.source, t.id))
  ORDER BY digest, verified
  ON CONFLICT (digest, verified) DO UPDATE SET time = excluded.time, source = excluded.source,
    id = excluded.id, event_id = excluded.event_id, at = excluded.at
    WHERE (excluded.time, excluded.source COLLATE "C", excluded.id COLLATE "C") < (l.time, l.source, l.id)
  RETURNING encode(digest, 'hex') AS digest, verified)
SELECT type, value, profile_id, status, NULL AS digest, NULL AS verified FROM named
UNION ALL SELECT NULL, NULL, NULL, NULL, digest, verified FROM linked
"""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom one event names, and what it takes to weigh its word."""

    event_id: UUID
    source: str
    id: str
    time: datetime
    """When it was said: never after ``at``."""
    at: datetime
    verified: bool
    keys: tuple[str, ...]
    """type:value, the strongest first; without those that identify nobody."""
    profile_id: UUID | None = None
    """Named by a message of ours, as far as was known before the locks."""
    message_id: UUID | None = None
    """That message."""

    @classmethod
    def by(
        cls,
        identifiers: Iterable[tuple[str, str]],
        *,
        shunned: Shunned | None = None,
        profile_id: UUID | None = None,
        **said: Any,
    ) -> "Named":
        """By the identifiers of an event and what they imply, but for ``shunned`` keys."""
        pairs = tuple(identifiers)
        keys = dict.fromkeys(key(kind, value) for kind, value in (*pairs, *implied(pairs)))
        memory, verified = shunned or Shunned(), said["verified"]
        good = [one for one in keys if not memory.has(one, verified=verified)]
        return cls(keys=tuple(sorted(good, key=strongest_first)), profile_id=profile_id, **said)

    @property
    def is_evidence(self) -> bool:
        """Whether it says something of who is who: names two identifiers, or vouches for one."""
        return len(self.keys) > 1 or (self.verified and split_key(self.keys[0])[0] in STRONG)

    @property
    def digest(self) -> str:
        """Of the identifiers alone."""
        return digest(self.keys)


@dataclass(slots=True)
class Group:
    """Events of one request that share identifiers."""

    own: UUID
    """The profile proposed for what is new."""
    members: list[int] = field(default_factory=list)
    """Positions of the events."""
    keys: dict[str, None] = field(default_factory=dict)
    links: dict[tuple[str, bool], int] = field(default_factory=dict)
    """(digest, verified) → position of its earliest event."""


def grouped(events: Sequence[Named]) -> list[Group]:
    """Join events that share an identifier, so that a new person among them is proposed once."""
    first: dict[str, int] = {}
    parent = list(range(len(events)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for position, named in enumerate(events):
        for one in named.keys:
            a, b = sorted((root(first.setdefault(one, position)), root(position)))
            parent[b] = a
    groups: dict[int, Group] = {}
    for position, named in enumerate(events):
        if not named.keys:
            continue
        group = groups.get(root(position)) or groups.setdefault(root(position), Group(new_id()))
        group.members.append(position)
        group.keys.update(dict.fromkeys(named.keys))
        if named.is_evidence:
            link = (named.digest, named.verified)
            known = group.links.get(link)
            if known is None or _place(named) < _place(events[known]):
                group.links[link] = position
    return list(groups.values())


def _place(named: Named) -> tuple[datetime, str, str]:
    return named.time, named.source, named.id


@dataclass(slots=True)
class Pointers:
    """What the first statement found."""

    profile: dict[str, UUID] = field(default_factory=dict)
    shunned: dict[str, None] = field(default_factory=dict)
    news: set[tuple[str, bool]] = field(default_factory=set)
    """Links that are new, or older than they were."""


async def name(connection: Any, events: Sequence[Named], groups: Sequence[Group]) -> Pointers:
    """Every identifier → the profile it points at, locked; unknown ones point at the proposed profile."""
    rows: dict[str, dict[str, Any]] = {}
    links = []
    for group in groups:
        for member in group.members:
            named = events[member]
            for one in named.keys:
                kind, value = split_key(one)
                row = rows.setdefault(one, {"type": kind, "value": value, "profile_id": group.own})
                row["since"] = min(named.time, row.get("since", named.time))
                row["created_at"] = min(named.at, row.get("created_at", named.at))
                if named.is_evidence:
                    row["linked_at"] = min(named.time, row.get("linked_at", named.time))
                vouched = named.verified and kind in STRONG
                row["vouched"] = vouched or row.get("vouched", False)
        for (told, verified), position in group.links.items():
            named = events[position]
            link = {"digest": told, "verified": verified, "keys": named.keys, "time": named.time}
            links.append({**link, "source": named.source, "id": named.id, "event_id": named.event_id})
            links[-1]["at"] = named.at
    pointers = Pointers()
    if not rows:
        return pointers
    for row in await connection.fetch(_NAME, encode(list(rows.values())), encode(links)):
        if row["digest"] is not None:
            pointers.news.add((row["digest"], row["verified"]))
            continue
        one = key(row["type"], row["value"])
        pointers.profile[one] = row["profile_id"]
        if row["status"] == "quarantined":
            pointers.shunned[one] = None
    return pointers
