"""Who an event is about: identifiers to profiles, under locks, in one round trip where nothing is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.locks import lock_profiles
from profiles.db.sql import encode_jsonb, new_id
from profiles.identity.identifiers import (
    DEVICE_TYPES,
    STRONG_TYPES,
    identifier_key,
    implied_identifiers,
    keys_digest,
    split_key,
    strongest_first,
)
from profiles.identity.quarantine import QuarantineCache
from profiles.merging.assignment import event_owner
from profiles.merging.audit_log import AuditContext
from profiles.merging.merge import MergeResult, merge_and_split

# The filter keeps a link that is known from being locked, and the count keeps it behind the identifiers'
# locks. Of two events that say the same the earlier one is the cause.
_UPSERT_IDENTIFIERS = """
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
class EventIdentifiers:
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
    def from_event(
        cls,
        identifiers: Iterable[tuple[str, str]],
        *,
        quarantine_cache: QuarantineCache | None = None,
        profile_id: UUID | None = None,
        **said: Any,
    ) -> "EventIdentifiers":
        """By the identifiers of an event and what they imply, but for ``shunned`` keys."""
        pairs = tuple(identifiers)
        keys = dict.fromkeys(
            identifier_key(kind, value) for kind, value in (*pairs, *implied_identifiers(pairs))
        )
        memory, verified = quarantine_cache or QuarantineCache(), said["verified"]
        good = [one for one in keys if not memory.can_be_skipped(one, verified=verified)]
        return cls(keys=tuple(sorted(good, key=strongest_first)), profile_id=profile_id, **said)

    @property
    def is_link(self) -> bool:
        """Whether it says something of who is who: names two identifiers, or vouches for one."""
        return len(self.keys) > 1 or (self.verified and split_key(self.keys[0])[0] in STRONG_TYPES)

    @property
    def digest(self) -> str:
        """Of the identifiers alone."""
        return keys_digest(self.keys)


@dataclass(slots=True)
class IdentifierGroup:
    """Events of one request that share identifiers."""

    proposed_id: UUID
    """The profile proposed for what is new."""
    positions: list[int] = field(default_factory=list)
    """Positions of the events."""
    keys: dict[str, None] = field(default_factory=dict)
    links: dict[tuple[str, bool], int] = field(default_factory=dict)
    """(digest, verified) → position of its earliest event."""


def group_by_identifier(events: Sequence[EventIdentifiers]) -> list[IdentifierGroup]:
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
    groups: dict[int, IdentifierGroup] = {}
    for position, named in enumerate(events):
        if not named.keys:
            continue
        group = groups.get(root(position)) or groups.setdefault(root(position), IdentifierGroup(new_id()))
        group.positions.append(position)
        group.keys.update(dict.fromkeys(named.keys))
        if named.is_link:
            link = (named.digest, named.verified)
            known = group.links.get(link)
            if known is None or _event_sort_key(named) < _event_sort_key(events[known]):
                group.links[link] = position
    return list(groups.values())


def _event_sort_key(named: EventIdentifiers) -> tuple[datetime, str, str]:
    return named.time, named.source, named.id


@dataclass(slots=True)
class IdentifierRows:
    """What the first statement found."""

    profile_ids: dict[str, UUID] = field(default_factory=dict)
    quarantined: dict[str, None] = field(default_factory=dict)
    new_links: set[tuple[str, bool]] = field(default_factory=set)
    """Links that are new, or older than they were."""


async def upsert_identifiers(
    connection: Any, events: Sequence[EventIdentifiers], groups: Sequence[IdentifierGroup]
) -> IdentifierRows:
    """Every identifier → the profile it points at, locked; unknown ones point at the proposed profile."""
    rows: dict[str, dict[str, Any]] = {}
    links = []
    for group in groups:
        for member in group.positions:
            named = events[member]
            for one in named.keys:
                kind, value = split_key(one)
                row = rows.setdefault(one, {"type": kind, "value": value, "profile_id": group.proposed_id})
                row["since"] = min(named.time, row.get("since", named.time))
                row["created_at"] = min(named.at, row.get("created_at", named.at))
                if named.is_link:
                    row["linked_at"] = min(named.time, row.get("linked_at", named.time))
                vouched = named.verified and kind in STRONG_TYPES
                row["vouched"] = vouched or row.get("vouched", False)
        for (told, verified), position in group.links.items():
            named = events[position]
            link = {"digest": told, "verified": verified, "keys": named.keys, "time": named.time}
            links.append({**link, "source": named.source, "id": named.id, "event_id": named.event_id})
            links[-1]["at"] = named.at
    pointers = IdentifierRows()
    if not rows:
        return pointers
    for row in await connection.fetch(
        _UPSERT_IDENTIFIERS, encode_jsonb(list(rows.values())), encode_jsonb(links)
    ):
        if row["digest"] is not None:
            pointers.new_links.add((row["digest"], row["verified"]))
            continue
        one = identifier_key(row["type"], row["value"])
        pointers.profile_ids[one] = row["profile_id"]
        if row["status"] == "quarantined":
            pointers.quarantined[one] = None
    return pointers


_INSERT_PROFILES = """
INSERT INTO profile (profile_id, created_at)
SELECT profile_id, created_at FROM jsonb_populate_recordset(NULL::profile, $1)
"""

_UPDATE_IDENTIFIERS = """
UPDATE identifier i SET profile_id = c.profile_id FROM jsonb_populate_recordset(NULL::identifier, $1) c
WHERE i.type = c.type AND i.value = c.value
"""

# Once something verified is known, what is verified has been counted, and nothing else counts.
_SELECT_VERIFIED_KEYS = """
SELECT asked.key FROM unnest($1::text[]) AS asked(key) WHERE EXISTS (SELECT 1 FROM identity_link
  WHERE verified AND keys @> ARRAY[asked.key] AND digest <> ALL($2::bytea[]))
"""

_UPDATE_RELEASED = (
    "UPDATE identifier SET status = 'good' WHERE type = $1 AND value = $2 AND status = 'quarantined'"
)

_SELECT_MESSAGE_PROFILES = "SELECT message_id, profile_id FROM message WHERE message_id = ANY($1)"

_SELECT_VOUCHED_PROFILES = "SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND vouched"


@dataclass(slots=True)
class IdentityResolution:
    """Whose each event is."""

    owners: dict[int, UUID] = field(default_factory=dict)
    """Position → canonical profile, locked; events that name nobody are left out."""
    other_profiles: dict[int, tuple[UUID, ...]] = field(default_factory=dict)
    """Position → the other people it names, whom it could not be joined with; locked as well."""
    profile_of: dict[str, UUID] = field(default_factory=dict)
    """Key → the profile it belongs to."""
    merge_result: MergeResult = field(default_factory=MergeResult)
    quarantined: dict[str, None] = field(default_factory=dict)
    """Keys found to be nobody's."""
    verified_keys: frozenset[str] = frozenset()
    """Those of them that verified events took away: only an operator gives them back."""
    with_new_identifiers: set[UUID] = field(default_factory=set)
    """People with an identifier that is new to them."""
    overtaken_messages: int = 0
    """Messages that a purchase overtook which was heard of late."""


async def resolve_identities(connection: Any, events: Sequence[EventIdentifiers]) -> IdentityResolution:
    """Whose each event is, with the profiles locked. Makes profiles, and joins or parts people, as needed."""
    groups = group_by_identifier(events)
    pointers = await upsert_identifiers(connection, events, groups)
    proposed = {group.proposed_id for group in groups}
    spoken = {named.profile_id for named in events if named.profile_id is not None}
    known = sorted({*pointers.profile_ids.values(), *spoken} - proposed)
    canonical = await lock_profiles(connection, known) if known else {}
    found = IdentityResolution(quarantined=pointers.quarantined)
    at = {one: canonical.get(where, where) for one, where in pointers.profile_ids.items()}
    fresh, unsettled = [], []
    for group in groups:
        if _is_single_new_profile(group, pointers):
            fresh.append(
                {"profile_id": group.proposed_id, "created_at": min(events[m].at for m in group.positions)}
            )
        elif _has_new_links(group, pointers, at):
            unsettled.append(group)
    if unsettled:
        await _release_verified_keys(connection, events, unsettled, pointers)
        seeds = [one for group in unsettled for one in group.keys]
        when = min(events[m].at for group in unsettled for m in group.positions)
        where = {one: pointers.profile_ids[one] for one in seeds}
        # What is only proposed needs no lock: nobody else knows of it.
        locked = canonical | {own: own for own in proposed}
        found.merge_result = await merge_and_split(
            connection, where, locked, proposed, AuditContext(when), new_links=pointers.new_links
        )
        at |= found.merge_result.profile_by_key
        found.quarantined.update(dict.fromkeys(found.merge_result.quarantined))
        canonical = {one: found.merge_result.replaced_by.get(who, who) for one, who in canonical.items()}
    if fresh:
        await connection.execute(_INSERT_PROFILES, encode_jsonb(fresh))
    if astray := _identifiers_to_move(pointers, at, found.merge_result):
        await connection.execute(_UPDATE_IDENTIFIERS, encode_jsonb(astray))
    found.with_new_identifiers = {at[one] for one, where in pointers.profile_ids.items() if where in proposed}
    # Nobody has ever spoken of whom nobody has ever named.
    found.with_new_identifiers -= {row["profile_id"] for row in fresh}
    found.profile_of = at
    found.verified_keys = await _load_verified_keys(connection, found.quarantined)
    await _assign_owners(
        connection, events, at, await _lock_message_profiles(connection, events, canonical, found), found
    )
    return found


async def _lock_message_profiles(
    connection: Any,
    events: Sequence[EventIdentifiers],
    canonical: dict[UUID, UUID],
    found: IdentityResolution,
) -> dict[UUID, UUID]:
    """Message that an event names → whose it is by now, who is locked as well.

    While we waited for the locks, people may have been parted, and a message gone with somebody else.
    """
    asked = [named.message_id for named in events if named.message_id is not None]
    if not asked:
        return {}
    whose = {
        row["message_id"]: row["profile_id"]
        for row in await connection.fetch(_SELECT_MESSAGE_PROFILES, asked)
    }
    locked = {*canonical.values(), *found.profile_of.values()}
    if unlocked := sorted(set(whose.values()) - locked):
        now = await lock_profiles(connection, unlocked)
        whose = {message: now.get(who, who) for message, who in whose.items()}
    return whose


async def _load_verified_keys(
    connection: Any, keys: Iterable[str], except_links: Sequence[bytes] = ()
) -> frozenset[str]:
    """Those keys that verified links name, other than the links ``but``."""
    asked = list(dict.fromkeys(keys))
    rows = await connection.fetch(_SELECT_VERIFIED_KEYS, asked, list(except_links)) if asked else ()
    return frozenset(row["key"] for row in rows)


async def _release_verified_keys(
    connection: Any,
    events: Sequence[EventIdentifiers],
    groups: Sequence[IdentifierGroup],
    pointers: IdentifierRows,
) -> None:
    """An address that only made-up events took away is weighed anew once a verified one names it."""
    named = [
        one
        for group in groups
        for (told, verified), position in group.links.items()
        if verified and (told, verified) in pointers.new_links
        for one in events[position].keys
        if one in pointers.quarantined and split_key(one)[0] not in DEVICE_TYPES
    ]
    told = [bytes.fromhex(keys_digest) for keys_digest, verified in pointers.new_links if verified]
    if set(named) <= await _load_verified_keys(connection, named, told):
        return
    for one in dict.fromkeys(named):
        await connection.execute(_UPDATE_RELEASED, *split_key(one))
        del pointers.quarantined[one]


def _is_single_new_profile(group: IdentifierGroup, pointers: IdentifierRows) -> bool:
    """Whether all of a group is new and said in one breath, so that there is nothing to weigh."""
    if len(group.links) > 1 or any(pointers.profile_ids[one] != group.proposed_id for one in group.keys):
        return False
    kinds = [split_key(one)[0] for one in group.keys]
    return len(set(kinds)) == len(kinds) and (bool(group.links) or len(kinds) == 1)


def _has_new_links(group: IdentifierGroup, pointers: IdentifierRows, at: dict[str, UUID]) -> bool:
    """Whether a group says something about who is who that is not known yet."""
    if pointers.new_links.intersection(group.links):
        return True
    good = [one for one in group.keys if one not in pointers.quarantined]
    # Proposed for a key that stands alone but for the shunned ones beside it.
    return any(at[one] == group.proposed_id for one in good)


def _identifiers_to_move(
    pointers: IdentifierRows, at: dict[str, UUID], settled: MergeResult
) -> list[dict[str, Any]]:
    """Identifiers that a merge had to leave behind, because this transaction held them."""
    return [
        {**dict(zip(("type", "value"), split_key(one), strict=True)), "profile_id": at[one]}
        for one, where in pointers.profile_ids.items()
        if at[one] != where and one not in settled.profile_by_key
    ]


async def _assign_owners(
    connection: Any,
    events: Sequence[EventIdentifiers],
    at: dict[str, UUID],
    message_profiles: dict[UUID, UUID],
    found: IdentityResolution,
) -> None:
    """Give each event to one person, and name the others that it speaks of."""
    apart: dict[int, list[str]] = {}
    for position, named in enumerate(events):
        good = [one for one in named.keys if one not in found.quarantined]
        people = dict.fromkeys(at[one] for one in good)
        if named.message_id is not None:
            found.owners[position] = message_profiles[named.message_id]
        elif len(people) == 1:
            found.owners[position] = at[good[0]]
        elif people:
            apart[position] = good
            found.owners[position] = at[good[0]]
        found.other_profiles[position] = tuple(people)
    unsure = {at[one] for position, good in apart.items() if not events[position].verified for one in good}
    if unsure:
        rows = await connection.fetch(_SELECT_VOUCHED_PROFILES, sorted(unsure))
        vouched = frozenset(row["profile_id"] for row in rows)
        for position, good in apart.items():
            found.owners[position] = event_owner(good, at, vouched, verified=events[position].verified)
    for position, people_named in found.other_profiles.items():
        mine = found.owners.get(position)
        found.other_profiles[position] = tuple(who for who in people_named if who != mine)
