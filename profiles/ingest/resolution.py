"""Identity resolution: the profile of each event, under locks. One round trip for known identifiers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
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
from profiles.identity.link_limit import FullComponents, load_stored_keys
from profiles.identity.quarantine import QuarantineCache
from profiles.identity.verified_links import load_owners_of_devices
from profiles.merging.assignment import event_owner
from profiles.merging.audit_log import AuditContext
from profiles.merging.merge import MergeResult, merge_and_split

# The latest spelling of an address counts, whatever the order of arrival. An unverified event changes that of
# no address that a verified one names.
_IS_NEWER_SPELLING = """excluded.given IS NOT NULL AND (excluded.given_verified OR NOT identifier.vouched)
      AND (excluded.given_verified, excluded.given_at, excluded.given COLLATE "C")
        > (identifier.given_verified, COALESCE(identifier.given_at, '-infinity'),
          COALESCE(identifier.given, '') COLLATE "C")"""

# The filter avoids a lock on a stored link. The count makes the links wait for the identifiers' locks.
# Of two events with the same link the earlier one is its cause.
_UPSERT_IDENTIFIERS = """
WITH named AS (
  INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, vouched, created_at,
    given, given_at, given_verified, page_only)
  SELECT type, value, profile_id, profile_id, since, COALESCE(linked_at, since), vouched, created_at,
    given, CASE WHEN given IS NOT NULL THEN COALESCE(given_at, since) END, given IS NOT NULL AND vouched,
    page_only
  FROM jsonb_populate_recordset(NULL::identifier, $1) ORDER BY type, value
  ON CONFLICT (type, value) DO UPDATE SET since = LEAST(identifier.since, excluded.since),
    given = CASE WHEN {is_newer} THEN excluded.given ELSE identifier.given END,
    given_at = CASE WHEN {is_newer} THEN excluded.given_at ELSE identifier.given_at END,
    given_verified = CASE WHEN {is_newer} THEN excluded.given_verified ELSE identifier.given_verified END,
    page_only = identifier.page_only AND excluded.page_only
  RETURNING type, value, profile_id, status, linked_by_page),
new_link AS (
  SELECT decode(digest, 'hex') AS digest, verified, ARRAY(SELECT jsonb_array_elements_text(keys)) AS keys,
    time, source, id, event_id, at, accepts_device
  FROM jsonb_to_recordset($2) AS t(digest text, verified boolean, keys jsonb, time timestamptz, source text,
    id text, event_id uuid, at timestamptz, accepts_device boolean)
  WHERE (SELECT count(*) FROM named) > 0),
linked AS (
  INSERT INTO identity_link AS l (digest, verified, keys, time, source, id, event_id, at, accepts_device)
  SELECT digest, verified, keys, time, source, id, event_id, at, accepts_device FROM new_link t
  WHERE NOT EXISTS (SELECT 1 FROM identity_link k WHERE k.digest = t.digest AND k.verified = t.verified
    AND (k.time, k.source COLLATE "C", k.id COLLATE "C") <= (t.time, t.source, t.id)
    AND k.accepts_device >= t.accepts_device)
  ORDER BY digest, verified
  ON CONFLICT (digest, verified) DO UPDATE SET accepts_device = l.accepts_device OR excluded.accepts_device,
    time = LEAST(l.time, excluded.time),
    source = CASE WHEN {is_earlier} THEN excluded.source ELSE l.source END,
    id = CASE WHEN {is_earlier} THEN excluded.id ELSE l.id END,
    event_id = CASE WHEN {is_earlier} THEN excluded.event_id ELSE l.event_id END,
    at = CASE WHEN {is_earlier} THEN excluded.at ELSE l.at END
    WHERE {is_earlier} OR (excluded.accepts_device AND NOT l.accepts_device)
  RETURNING encode(digest, 'hex') AS digest, verified)
SELECT type, value, profile_id, status, linked_by_page, NULL AS digest, NULL AS verified FROM named
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, digest, verified FROM linked
""".replace("{is_newer}", _IS_NEWER_SPELLING).replace(
    "{is_earlier}",
    """(excluded.time, excluded.source COLLATE "C", excluded.id COLLATE "C") < (l.time, l.source, l.id)""",
)


@dataclass(frozen=True, slots=True)
class EventIdentifiers:
    """The identifiers that one event names, and what decides how far they are trusted."""

    event_id: UUID
    source: str
    id: str
    time: datetime
    """Time of the event; never after ``at``."""
    at: datetime
    verified: bool
    keys: tuple[str, ...]
    """type:value, the strongest first; without quarantined ones."""
    profile_id: UUID | None = None
    """Profile of the message that the event refers to, as read before the locks."""
    message_id: UUID | None = None
    """Id of that message."""
    from_page: bool = False
    """Whether it says nothing for the shop: it is unverified, or about a sweep of Waypost's own."""
    accepts_device: bool = False
    """Whether the shop accepts what it says of a device (``IngestConfig.accept_page_devices``)."""
    withdraws: bool = False
    """Whether it may withdraw a consent. It then has an owner also where all that it names is quarantined."""
    proves_address: bool = False
    """Whether the owner of the one address that it names, or an operator, sent it. Then a quarantine of this
    address by unverified events ends."""
    given_emails: tuple[tuple[str, str], ...] = ()
    """(normal form, as given) of its addresses."""
    bought_on: tuple[str, ...] = ()
    """Devices of a verified purchase, quarantined ones included."""
    joins_none: bool = False
    """Whether its link is refused, since unverified events have linked too many identifiers with these."""

    @classmethod
    def from_event(
        cls,
        identifiers: Iterable[tuple[str, str]],
        *,
        quarantine_cache: QuarantineCache | None = None,
        profile_id: UUID | None = None,
        **fields: Any,
    ) -> "EventIdentifiers":
        """Create from an event's identifiers and those they imply.

        Keys that ``quarantine_cache`` holds are left out. ``fields``: the other fields, by name.
        """
        pairs = tuple(identifiers)
        keys = {identifier_key(*pair) for pair in (*pairs, *implied_identifiers(pairs))}
        cache, verified = quarantine_cache or QuarantineCache(), fields["verified"]
        usable = [key for key in keys if not cache.can_be_skipped(key, verified=verified)]
        return cls(keys=tuple(sorted(usable, key=strongest_first)), profile_id=profile_id, **fields)

    @property
    def is_link(self) -> bool:
        """Whether the event links identifiers: it names two, or verifies a strong one."""
        if self.joins_none:
            return False
        return len(self.keys) > 1 or (self.verified and split_key(self.keys[0])[0] in STRONG_TYPES)

    @property
    def links_device(self) -> bool:
        """Whether the shop accepts that it links a device with a customer."""
        kinds = [split_key(key)[0] for key in self.keys] if self.accepts_device else []
        return bool(kinds) and kinds[0] in STRONG_TYPES and "anonymous_id" in kinds


@dataclass(slots=True)
class IdentifierGroup:
    """Events of one batch that share identifiers."""

    proposed_id: UUID
    """The profile proposed for new identifiers."""
    positions: list[int] = field(default_factory=list)
    """Positions of the events in the batch."""
    keys: dict[str, None] = field(default_factory=dict)
    links: dict[tuple[str, bool], int] = field(default_factory=dict)
    """(digest, verified) → position of its earliest event."""


def group_by_identifier(events: Sequence[EventIdentifiers]) -> list[IdentifierGroup]:
    """Group events that share an identifier, so that at most one new profile is proposed per group.

    An event of which the link is refused is in the group of each of its identifiers, and joins none of them.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent[above]
        return key

    for named in events:
        if not named.joins_none:
            for key in named.keys[1:]:
                parent[root(key)] = root(named.keys[0])
    groups: dict[str, IdentifierGroup] = {}
    for position, named in enumerate(events):
        for key in named.keys:
            group = groups.get(root(key)) or groups.setdefault(root(key), IdentifierGroup(new_id()))
            if not group.positions or group.positions[-1] != position:
                group.positions.append(position)
            group.keys[key] = None
        if named.keys and named.is_link:
            link = (keys_digest(named.keys), named.verified)
            group = groups[root(named.keys[0])]
            known = group.links.get(link)
            if known is None or _event_sort_key(named) < _event_sort_key(events[known]):
                group.links[link] = position
    return list(groups.values())


async def refuse_links(
    connection: Any, events: Sequence[EventIdentifiers], full: FullComponents
) -> list[EventIdentifiers]:
    """Return the events, without the new unverified links that would extend a full component.

    Such an event keeps its strongest identifier, and the others that are stored already: what it withdraws
    or buys counts for their profiles as well. One statement if an event is concerned, else none.
    """
    asked = [
        position for position, named in enumerate(events) if not named.verified and full.concerns(named.keys)
    ]
    bounded = list(events)
    if not asked:
        return bounded
    stored_keys, stored_links = await load_stored_keys(connection, [events[each].keys for each in asked])
    for position in asked:
        keys = events[position].keys
        if keys_digest(keys) not in stored_links or not stored_keys.issuperset(keys):
            kept = tuple(key for key in keys if key == keys[0] or key in stored_keys)
            bounded[position] = replace(events[position], keys=kept, joins_none=True)
    return bounded


def _event_sort_key(named: EventIdentifiers) -> tuple[datetime, str, str]:
    return named.time, named.source, named.id


@dataclass(slots=True)
class IdentifierRows:
    """Result of the first statement."""

    profile_ids: dict[str, UUID] = field(default_factory=dict)
    quarantined: dict[str, None] = field(default_factory=dict)
    new_links: set[tuple[str, bool]] = field(default_factory=set)
    """(digest, verified) of links that are new or older than the stored ones."""
    linked_by_page: set[str] = field(default_factory=set)
    """Devices that belonged to their profile only because of what a page says."""


async def upsert_identifiers(
    connection: Any, events: Sequence[EventIdentifiers], groups: Sequence[IdentifierGroup]
) -> IdentifierRows:
    """Insert the unknown identifiers and lock all; return the profile that each points at.

    An unknown identifier points at the proposed profile of its group. Stores new links as well.
    """
    rows: dict[str, dict[str, Any]] = {}
    spellings: dict[str, _Spelling] = {}
    links = []
    for group in groups:
        for member in group.positions:
            named = events[member]
            given_emails = dict(named.given_emails)
            for key in named.keys:
                if key not in group.keys:
                    continue
                kind, value = split_key(key)
                row = rows.setdefault(key, {"type": kind, "value": value, "profile_id": group.proposed_id})
                row["since"] = min(named.time, row.get("since", named.time))
                row["created_at"] = min(named.at, row.get("created_at", named.at))
                if named.is_link:
                    row["linked_at"] = min(named.time, row.get("linked_at", named.time))
                vouched = named.verified and kind in STRONG_TYPES
                row["vouched"] = vouched or row.get("vouched", False)
                if kind == "email" and (given := given_emails.get(value)):
                    spelling = _Spelling(named.verified, named.time, given)
                    if (known := spellings.get(key)) is None or known.is_before(spelling):
                        spellings[key] = spelling
                if kind == "anonymous_id":
                    row["page_only"] = named.from_page and row.get("page_only", True)
        for (digest, verified), position in group.links.items():
            named = events[position]
            link = {"digest": digest, "verified": verified, "keys": named.keys, "time": named.time}
            link |= {"source": named.source, "id": named.id, "event_id": named.event_id, "at": named.at}
            link["accepts_device"] = named.links_device
            links.append(link)
    result = IdentifierRows()
    if not rows:
        return result
    _add_spellings(rows, spellings)
    arguments = (encode_jsonb(list(rows.values())), encode_jsonb(links))
    for row in await connection.fetch(_UPSERT_IDENTIFIERS, *arguments):
        if row["digest"] is not None:
            result.new_links.add((row["digest"], row["verified"]))
            continue
        key = identifier_key(row["type"], row["value"])
        result.profile_ids[key] = row["profile_id"]
        if row["status"] == "quarantined":
            result.quarantined[key] = None
        if row["linked_by_page"]:
            result.linked_by_page.add(key)
    return result


@dataclass(slots=True)
class _Spelling:
    """The spelling of an address that counts among those of a batch."""

    verified: bool
    time: datetime
    given: str

    def is_before(self, other: "_Spelling") -> bool:
        """Whether the other one counts: a verified one before any other, then the latest."""
        return (self.verified, self.time, self.given) < (other.verified, other.time, other.given)


def _add_spellings(rows: dict[str, dict[str, Any]], spellings: dict[str, _Spelling]) -> None:
    """Add the spellings to the rows of their addresses; their trust is that of the row (``vouched``)."""
    for key, spelling in spellings.items():
        row = rows[key]
        if row["vouched"] and not spelling.verified:
            continue
        row["given"] = spelling.given
        if spelling.time != row["since"]:
            row["given_at"] = spelling.time


_INSERT_PROFILES = """
INSERT INTO profile (profile_id, created_at)
SELECT profile_id, created_at FROM jsonb_populate_recordset(NULL::profile, $1)
"""

_UPDATE_IDENTIFIERS = """
UPDATE identifier i SET profile_id = c.profile_id FROM jsonb_populate_recordset(NULL::identifier, $1) c
WHERE i.type = c.type AND i.value = c.value
"""

# A key that a verified link names has been assigned by verified links alone.
_SELECT_VERIFIED_KEYS = """
SELECT asked.key FROM unnest($1::text[]) AS asked(key) WHERE EXISTS (SELECT 1 FROM identity_link
  WHERE verified AND keys @> ARRAY[asked.key] AND digest <> ALL($2::bytea[]))
"""

_SELECT_USABLE = """
SELECT i.type || ':' || i.value AS key, i.profile_id FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value) WHERE i.status <> 'quarantined'
"""

_UPDATE_RELEASED = (
    "UPDATE identifier SET status = 'good' WHERE type = $1 AND value = $2 AND status = 'quarantined'"
)

_SELECT_MESSAGE_PROFILES = "SELECT message_id, profile_id FROM message WHERE message_id = ANY($1)"

_SELECT_VOUCHED_PROFILES = "SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND vouched"


@dataclass(slots=True)
class IdentityResolution:
    """The profile of each event of a batch."""

    owners: dict[int, UUID] = field(default_factory=dict)
    """Position → canonical profile, locked. Events without a usable identifier are left out."""
    other_profiles: dict[int, tuple[UUID, ...]] = field(default_factory=dict)
    """Position → the other profiles it names, which it could not be merged with; locked as well."""
    profile_of: dict[str, UUID] = field(default_factory=dict)
    """Key → the profile that it points at."""
    merge_result: MergeResult = field(default_factory=MergeResult)
    quarantined: dict[str, None] = field(default_factory=dict)
    """Quarantined keys."""
    verified_keys: frozenset[str] = frozenset()
    """Those of ``quarantined`` that verified events quarantined. Only an operator releases them."""
    linked_by_page: frozenset[str] = frozenset()
    """Devices that belong to their profile only because the shop accepts what a page says of a device."""
    withdrawals_alone: set[int] = field(default_factory=set)
    """Positions of events that name quarantined identifiers only. Their owner is the profile of one of these,
    and nothing but their withdrawals counts."""
    with_new_identifiers: set[UUID] = field(default_factory=set)
    """Profiles with an identifier that is new to them."""
    overtaken_messages: int = 0
    """Number of messages that were sent before a late purchase of their items arrived."""
    identifiers_read: dict[int, int] = field(default_factory=dict)
    """Position → identifiers of the large component that was read for the event."""
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    address_reports: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(channel, kind) → reports about addresses."""
    """(label of the key, code) → number of parts of accepted events without effect."""
    unconfirmed_links: int = 0
    """Number of identifiers that unverified events named beside customers, and that were not linked."""


async def resolve_identities(
    connection: Any, events: Sequence[EventIdentifiers], other_profiles: Sequence[UUID] = ()
) -> IdentityResolution:
    """Find the profile of each event and lock it. Creates, merges and splits profiles as needed.

    Locks held afterwards: the identifiers and profiles of all events, and ``other_profiles``. Raises
    ``LinkLimitReached`` where unverified events link too many identifiers.
    """
    groups = group_by_identifier(events)
    pointers = await upsert_identifiers(connection, events, groups)
    events = await _link_proved_addresses(connection, events, groups, pointers)
    proposed = {group.proposed_id for group in groups}
    message_profiles = {named.profile_id for named in events if named.profile_id is not None}
    owners_of_devices = await _load_owners_of_devices(connection, events, pointers)
    tied = {profile_id for owners in owners_of_devices.values() for profile_id in owners}
    known = sorted({*pointers.profile_ids.values(), *message_profiles, *other_profiles, *tied} - proposed)
    canonical = await lock_profiles(connection, known) if known else {}
    result = IdentityResolution(quarantined=pointers.quarantined)
    profile_of = {
        key: canonical.get(pointed_at, pointed_at) for key, pointed_at in pointers.profile_ids.items()
    }
    new_profiles, to_merge = [], []
    for group in groups:
        if _is_single_new_profile(group, pointers):
            created_at = min(events[m].at for m in group.positions)
            new_profiles.append({"profile_id": group.proposed_id, "created_at": created_at})
        elif _has_new_links(group, pointers, profile_of) or _names_page_device(group, events, pointers):
            to_merge.append(group)
    if to_merge:
        await _release_verified_keys(connection, events, to_merge, pointers)
        seeds = [key for group in to_merge for key in group.keys]
        when = min(events[m].at for group in to_merge for m in group.positions)
        pointed_at = {key: pointers.profile_ids[key] for key in seeds}
        # A proposed profile needs no lock: no other transaction sees it.
        locked = canonical | {own: own for own in proposed}
        result.merge_result = await merge_and_split(
            connection, pointed_at, locked, proposed, AuditContext(when), new_links=pointers.new_links
        )
        result.merge_result.cause = _cause_of(events, to_merge, pointers)
        profile_of |= result.merge_result.profile_by_key
        result.quarantined.update(dict.fromkeys(result.merge_result.quarantined))
        result.identifiers_read = _large_parts_read(events, to_merge, result.merge_result)
        replaced_by = result.merge_result.replaced_by
        canonical = {key: replaced_by.get(current, current) for key, current in canonical.items()}
    if new_profiles:
        await connection.execute(_INSERT_PROFILES, encode_jsonb(new_profiles))
    if to_move := _identifiers_to_move(pointers, profile_of, result.merge_result):
        await connection.execute(_UPDATE_IDENTIFIERS, encode_jsonb(to_move))
    result.with_new_identifiers = {
        profile_of[key] for key, pointed_at in pointers.profile_ids.items() if pointed_at in proposed
    }
    # No event has named a profile that has just been created, so it has no declarations.
    result.with_new_identifiers -= {row["profile_id"] for row in new_profiles}
    result.profile_of = profile_of
    result.linked_by_page = result.merge_result.linked_by_page.union(
        pointers.linked_by_page.difference(result.merge_result.profile_by_key)
    )
    result.verified_keys = await _load_verified_keys(connection, result.quarantined)
    owner_of_message = await _lock_message_profiles(connection, events, canonical, result)
    await _assign_owners(connection, events, owner_of_message, result)
    for position, owners in owners_of_devices.items():
        if position not in result.owners:
            result.other_profiles[position] = tuple(dict.fromkeys(canonical[each] for each in owners))
    return result


def _cause_of(
    events: Sequence[EventIdentifiers], to_merge: Sequence[IdentifierGroup], pointers: IdentifierRows
) -> UUID:
    """Return the event with the first of the new links, an unverified one if there is one."""
    new = [
        position for group in to_merge for link, position in group.links.items() if link in pointers.new_links
    ]
    positions = new or [position for group in to_merge for position in group.positions]
    return events[min(positions, key=lambda each: (events[each].verified, each))].event_id


async def _load_owners_of_devices(
    connection: Any, events: Sequence[EventIdentifiers], pointers: IdentifierRows
) -> dict[int, tuple[UUID, ...]]:
    """Return verified purchase of quarantined devices alone → profiles that verified events tie to these.

    What was bought is promoted to none of them. No statement where no event is such a purchase.
    """
    asked = {
        position: named.bought_on
        for position, named in enumerate(events)
        if named.bought_on and pointers.quarantined.keys() >= set(named.keys)
    }
    if not asked:
        return {}
    devices = dict.fromkeys(device for named in asked.values() for device in named)
    strong = await load_owners_of_devices(connection, devices)
    pairs = [split_key(key) for keys in strong.values() for key in sorted(keys)]
    kinds, values = [kind for kind, _ in pairs], [value for _, value in pairs]
    rows = await connection.fetch(_SELECT_USABLE, kinds, values) if pairs else ()
    profile_of = {row["key"]: row["profile_id"] for row in rows}
    return {
        position: tuple(
            sorted({profile_of[key] for each in named for key in strong.get(each, ()) if key in profile_of})
        )
        for position, named in asked.items()
    }


def _large_parts_read(
    events: Sequence[EventIdentifiers], groups: Sequence[IdentifierGroup], merged: MergeResult
) -> dict[int, int]:
    """Return the first event of each large part of the component → identifiers that were read for it."""
    read: dict[int, int] = {}
    charged: set[int] = set()
    for position in (each for group in groups for each in group.positions if merged.large_parts):
        part = next(
            (merged.large_parts[key] for key in events[position].keys if key in merged.large_parts), None
        )
        if part is not None and id(part) not in charged:
            charged.add(id(part))
            read[position] = len(part)
    return read


async def _link_proved_addresses(
    connection: Any,
    events: Sequence[EventIdentifiers],
    groups: Sequence[IdentifierGroup],
    pointers: IdentifierRows,
) -> Sequence[EventIdentifiers]:
    """Store a verified link for each quarantined address that an event proves; return the events with it.

    Such a link releases the address, unless verified links quarantined it. An address that is not
    quarantined keeps the links that it has.
    """
    proved = {
        position
        for position, named in enumerate(events)
        if named.proves_address and any(key in pointers.quarantined for key in named.keys)
    }
    if not proved:
        return events
    trusted = [
        replace(named, verified=True) if position in proved else named
        for position, named in enumerate(events)
    ]
    linked = [group for group in groups if proved.intersection(group.positions)]
    for group in linked:
        for position in proved.intersection(group.positions):
            group.links[keys_digest(trusted[position].keys), True] = position
    pointers.new_links |= (await upsert_identifiers(connection, trusted, linked)).new_links
    return trusted


async def _lock_message_profiles(
    connection: Any,
    events: Sequence[EventIdentifiers],
    canonical: dict[UUID, UUID],
    found: IdentityResolution,
) -> dict[UUID, UUID]:
    """Return the current profile of each message that an event refers to, locked as well.

    A split that committed before the locks were taken may have moved a message to another profile.
    """
    message_ids = [named.message_id for named in events if named.message_id is not None]
    if not message_ids:
        return {}
    owner_of: dict[UUID, UUID] = dict(await connection.fetch(_SELECT_MESSAGE_PROFILES, message_ids))
    locked = {*canonical.values(), *found.profile_of.values()}
    if unlocked := sorted(set(owner_of.values()) - locked):
        canonical_now = await lock_profiles(connection, unlocked)
        owner_of = {message: canonical_now.get(owner, owner) for message, owner in owner_of.items()}
    return owner_of


async def _load_verified_keys(
    connection: Any, keys: Iterable[str], except_links: Sequence[bytes] = ()
) -> frozenset[str]:
    """Return the keys that verified links name, not counting the links ``except_links``."""
    wanted = list(dict.fromkeys(keys))
    rows = await connection.fetch(_SELECT_VERIFIED_KEYS, wanted, list(except_links)) if wanted else ()
    return frozenset(row["key"] for row in rows)


async def _release_verified_keys(
    connection: Any,
    events: Sequence[EventIdentifiers],
    groups: Sequence[IdentifierGroup],
    pointers: IdentifierRows,
) -> None:
    """Release quarantined identifiers that a new verified link names, except devices.

    Not if an earlier verified link names every one of them. Only unverified events can have quarantined an
    identifier that no verified link names, so it is assigned anew.
    """
    named = [
        key
        for group in groups
        for (digests, verified), position in group.links.items()
        if verified and (digests, verified) in pointers.new_links
        for key in events[position].keys
        if key in pointers.quarantined and split_key(key)[0] not in DEVICE_TYPES
    ]
    digests = [bytes.fromhex(keys_digest) for keys_digest, verified in pointers.new_links if verified]
    if set(named) <= await _load_verified_keys(connection, named, digests):
        return
    for key in dict.fromkeys(named):
        await connection.execute(_UPDATE_RELEASED, *split_key(key))
        del pointers.quarantined[key]


def _is_single_new_profile(group: IdentifierGroup, pointers: IdentifierRows) -> bool:
    """Return whether a group is new and linked by one event at most, so that nothing has to be merged."""
    if len(group.links) > 1 or any(pointers.profile_ids[key] != group.proposed_id for key in group.keys):
        return False
    kinds = [split_key(key)[0] for key in group.keys]
    return len(set(kinds)) == len(kinds) and (bool(group.links) or len(kinds) == 1)


def _has_new_links(group: IdentifierGroup, pointers: IdentifierRows, at: dict[str, UUID]) -> bool:
    """Whether a group holds a link that is not stored yet."""
    if pointers.new_links.intersection(group.links):
        return True
    usable = [key for key in group.keys if key not in pointers.quarantined]
    # A new key next to quarantined keys only: its group has no link.
    return any(at[key] == group.proposed_id for key in usable)


def _names_page_device(
    group: IdentifierGroup, events: Sequence[EventIdentifiers], pointers: IdentifierRows
) -> bool:
    """Whether a server names a device that only a page has linked, which ends that link."""
    return bool(pointers.linked_by_page) and any(
        not events[position].from_page and pointers.linked_by_page.intersection(events[position].keys)
        for position in group.positions
    )


def _identifiers_to_move(
    pointers: IdentifierRows, at: dict[str, UUID], settled: MergeResult
) -> list[dict[str, Any]]:
    """Return identifiers that a merge left behind because this transaction holds them."""
    return [
        {"type": split_key(key)[0], "value": split_key(key)[1], "profile_id": at[key]}
        for key, pointed_at in pointers.profile_ids.items()
        if at[key] != pointed_at and key not in settled.profile_by_key
    ]


async def _assign_owners(
    connection: Any,
    events: Sequence[EventIdentifiers],
    message_profiles: dict[UUID, UUID],
    found: IdentityResolution,
) -> None:
    """Assign each event to one profile and list the other profiles that it names."""
    at = found.profile_of
    undecided: dict[int, list[str]] = {}
    for position, named in enumerate(events):
        usable = [key for key in named.keys if key not in found.quarantined]
        profile_ids = dict.fromkeys(at[key] for key in usable)
        if named.message_id is not None:
            found.owners[position] = message_profiles[named.message_id]
        elif profile_ids:
            found.owners[position] = at[usable[0]]
            if len(profile_ids) > 1:
                undecided[position] = usable
        elif named.withdraws and named.keys:
            found.owners[position] = at[named.keys[0]]
            found.withdrawals_alone.add(position)
        found.other_profiles[position] = tuple(profile_ids)
    unverified_ids = {
        at[key] for position, usable in undecided.items() if not events[position].verified for key in usable
    }
    if unverified_ids:
        rows = await connection.fetch(_SELECT_VOUCHED_PROFILES, sorted(unverified_ids))
        vouched = frozenset(row["profile_id"] for row in rows)
        for position, usable in undecided.items():
            found.owners[position] = event_owner(
                *(usable, at, vouched),
                verified=events[position].verified,
                linked_by_page=found.linked_by_page,
            )
    for position, named_ids in found.other_profiles.items():
        owner = found.owners.get(position)
        found.other_profiles[position] = tuple(profile_id for profile_id in named_ids if profile_id != owner)
