"""Who an event is about: identifiers to profiles, under locks, in one round trip where nothing is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.locks import lock
from profiles.db.sql import encode, new_id
from profiles.identity.identifiers import DEVICE, STRONG, digest, implied, key, split_key, strongest_first
from profiles.identity.quarantine import Shunned
from profiles.merging.assignment import owner
from profiles.merging.audit_log import Cause
from profiles.merging.merge import Settled, settle

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


_NEW = """
INSERT INTO profile (profile_id, created_at)
SELECT profile_id, created_at FROM jsonb_populate_recordset(NULL::profile, $1)
"""

_REPOINT = """
UPDATE identifier i SET profile_id = c.profile_id FROM jsonb_populate_recordset(NULL::identifier, $1) c
WHERE i.type = c.type AND i.value = c.value
"""

# Once something verified is known, what is verified has been counted, and nothing else counts.
_ATTESTED = """
SELECT asked.key FROM unnest($1::text[]) AS asked(key) WHERE EXISTS (SELECT 1 FROM identity_link
  WHERE verified AND keys @> ARRAY[asked.key] AND digest <> ALL($2::bytea[]))
"""

_ATTEST = "UPDATE identifier SET status = 'good' WHERE type = $1 AND value = $2 AND status = 'quarantined'"

_WHOSE = "SELECT message_id, profile_id FROM message WHERE message_id = ANY($1)"

_VOUCHED = "SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND vouched"


@dataclass(slots=True)
class Resolved:
    """Whose each event is."""

    owners: dict[int, UUID] = field(default_factory=dict)
    """Position → canonical profile, locked; events that name nobody are left out."""
    others: dict[int, tuple[UUID, ...]] = field(default_factory=dict)
    """Position → the other people it names, whom it could not be joined with; locked as well."""
    profile_of: dict[str, UUID] = field(default_factory=dict)
    """Key → the profile it belongs to."""
    settled: Settled = field(default_factory=Settled)
    shunned: dict[str, None] = field(default_factory=dict)
    """Keys found to be nobody's."""
    attested: frozenset[str] = frozenset()
    """Those of them that verified events took away: only an operator gives them back."""
    grown: set[UUID] = field(default_factory=set)
    """People with an identifier that is new to them."""
    overtaken: int = 0
    """Messages that a purchase overtook which was heard of late."""


async def resolve(connection: Any, events: Sequence[Named]) -> Resolved:
    """Whose each event is, with the profiles locked. Makes profiles, and joins or parts people, as needed."""
    groups = grouped(events)
    pointers = await name(connection, events, groups)
    proposed = {group.own for group in groups}
    spoken = {named.profile_id for named in events if named.profile_id is not None}
    known = sorted({*pointers.profile.values(), *spoken} - proposed)
    canonical = await lock(connection, known) if known else {}
    found = Resolved(shunned=pointers.shunned)
    at = {one: canonical.get(where, where) for one, where in pointers.profile.items()}
    fresh, unsettled = [], []
    for group in groups:
        if _is_one_new_person(group, pointers):
            fresh.append({"profile_id": group.own, "created_at": min(events[m].at for m in group.members)})
        elif _is_news(group, pointers, at):
            unsettled.append(group)
    if unsettled:
        await _attest(connection, events, unsettled, pointers)
        seeds = [one for group in unsettled for one in group.keys]
        when = min(events[m].at for group in unsettled for m in group.members)
        where = {one: pointers.profile[one] for one in seeds}
        # What is only proposed needs no lock: nobody else knows of it.
        locked = canonical | {own: own for own in proposed}
        found.settled = await settle(connection, where, locked, proposed, Cause(when), news=pointers.news)
        at |= found.settled.profile_of
        found.shunned.update(dict.fromkeys(found.settled.quarantined))
        canonical = {one: found.settled.now_of.get(who, who) for one, who in canonical.items()}
    if fresh:
        await connection.execute(_NEW, encode(fresh))
    if astray := _astray(pointers, at, found.settled):
        await connection.execute(_REPOINT, encode(astray))
    found.grown = {at[one] for one, where in pointers.profile.items() if where in proposed}
    # Nobody has ever spoken of whom nobody has ever named.
    found.grown -= {row["profile_id"] for row in fresh}
    found.profile_of = at
    found.attested = await _attested(connection, found.shunned)
    await _own(connection, events, at, await _spoken(connection, events, canonical, found), found)
    return found


async def _spoken(
    connection: Any, events: Sequence[Named], canonical: dict[UUID, UUID], found: Resolved
) -> dict[UUID, UUID]:
    """Message that an event names → whose it is by now, who is locked as well.

    While we waited for the locks, people may have been parted, and a message gone with somebody else.
    """
    asked = [named.message_id for named in events if named.message_id is not None]
    if not asked:
        return {}
    whose = {row["message_id"]: row["profile_id"] for row in await connection.fetch(_WHOSE, asked)}
    locked = {*canonical.values(), *found.profile_of.values()}
    if unlocked := sorted(set(whose.values()) - locked):
        now = await lock(connection, unlocked)
        whose = {message: now.get(who, who) for message, who in whose.items()}
    return whose


async def _attested(connection: Any, keys: Iterable[str], but: Sequence[bytes] = ()) -> frozenset[str]:
    """Those keys that verified links name, other than the links ``but``."""
    asked = list(dict.fromkeys(keys))
    rows = await connection.fetch(_ATTESTED, asked, list(but)) if asked else ()
    return frozenset(row["key"] for row in rows)


async def _attest(
    connection: Any, events: Sequence[Named], groups: Sequence[Group], pointers: Pointers
) -> None:
    """An address that only made-up events took away is weighed anew once a verified one names it."""
    named = [
        one
        for group in groups
        for (told, verified), position in group.links.items()
        if verified and (told, verified) in pointers.news
        for one in events[position].keys
        if one in pointers.shunned and split_key(one)[0] not in DEVICE
    ]
    told = [bytes.fromhex(digest) for digest, verified in pointers.news if verified]
    if set(named) <= await _attested(connection, named, told):
        return
    for one in dict.fromkeys(named):
        await connection.execute(_ATTEST, *split_key(one))
        del pointers.shunned[one]


def _is_one_new_person(group: Group, pointers: Pointers) -> bool:
    """Whether all of a group is new and said in one breath, so that there is nothing to weigh."""
    if len(group.links) > 1 or any(pointers.profile[one] != group.own for one in group.keys):
        return False
    kinds = [split_key(one)[0] for one in group.keys]
    return len(set(kinds)) == len(kinds) and (bool(group.links) or len(kinds) == 1)


def _is_news(group: Group, pointers: Pointers, at: dict[str, UUID]) -> bool:
    """Whether a group says something about who is who that is not known yet."""
    if pointers.news.intersection(group.links):
        return True
    good = [one for one in group.keys if one not in pointers.shunned]
    # Proposed for a key that stands alone but for the shunned ones beside it.
    return any(at[one] == group.own for one in good)


def _astray(pointers: Pointers, at: dict[str, UUID], settled: Settled) -> list[dict[str, Any]]:
    """Identifiers that a merge had to leave behind, because this transaction held them."""
    return [
        {**dict(zip(("type", "value"), split_key(one), strict=True)), "profile_id": at[one]}
        for one, where in pointers.profile.items()
        if at[one] != where and one not in settled.profile_of
    ]


async def _own(
    connection: Any,
    events: Sequence[Named],
    at: dict[str, UUID],
    spoken: dict[UUID, UUID],
    found: Resolved,
) -> None:
    """Give each event to one person, and name the others that it speaks of."""
    apart: dict[int, list[str]] = {}
    for position, named in enumerate(events):
        good = [one for one in named.keys if one not in found.shunned]
        people = dict.fromkeys(at[one] for one in good)
        if named.message_id is not None:
            found.owners[position] = spoken[named.message_id]
        elif len(people) == 1:
            found.owners[position] = at[good[0]]
        elif people:
            apart[position] = good
            found.owners[position] = at[good[0]]
        found.others[position] = tuple(people)
    unsure = {at[one] for position, good in apart.items() if not events[position].verified for one in good}
    if unsure:
        rows = await connection.fetch(_VOUCHED, sorted(unsure))
        vouched = frozenset(row["profile_id"] for row in rows)
        for position, good in apart.items():
            found.owners[position] = owner(good, at, vouched, verified=events[position].verified)
    for position, people_named in found.others.items():
        mine = found.owners.get(position)
        found.others[position] = tuple(who for who in people_named if who != mine)
