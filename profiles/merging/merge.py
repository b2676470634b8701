"""People are joined, or parted, in one transaction: their runs, messages, words and purchases go along."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from profiles.db.sql import NOTIFY_OUTBOX, encode_jsonb, new_id
from profiles.identity.component import Component, lock_component
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import split_key
from profiles.identity.quarantine import NewQuarantine, find_newly_quarantined
from profiles.merging import rebuild
from profiles.merging.assignment import ProfileAssignment, assign_profiles, changed_parts
from profiles.merging.audit_log import AuditContext, write_audit_log
from profiles.merging.reassign import reassign_all, reassign_by_event

# One that is there is no more who it was: it is somebody again.
_INSERT_PROFILES = """
INSERT INTO profile (profile_id, created_at) SELECT unnest($1::uuid[]), $2
ON CONFLICT (profile_id) DO UPDATE SET merged_into = NULL
"""

_SELECT_OCCUPIED_PROFILES = """
SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND type || ':' || value <> ALL($2)
"""

# A row held by an event that waits for these profiles stays behind; the event brings it along.
_LOCK_FREE_IDENTIFIERS = """
SELECT type, value FROM identifier WHERE profile_id = ANY($1) ORDER BY type, value FOR UPDATE SKIP LOCKED
"""

_UPDATE_IDENTIFIERS = """
UPDATE identifier i SET profile_id = c.profile_id, origin = c.origin, linked_at = c.linked_at,
  vouched = c.vouched, status = c.status
FROM jsonb_to_recordset($1) AS c(type text, value text, profile_id uuid, origin uuid, linked_at timestamptz,
  vouched boolean, status text)
WHERE i.type = c.type AND i.value = c.value
"""


@dataclass(slots=True)
class MergeResult:
    """Who is who by now, for all that hangs together with what was asked."""

    profile_by_key: dict[str, UUID] = field(default_factory=dict)
    replaced_by: dict[UUID, UUID] = field(default_factory=dict)
    """A profile that is no more → the one that it is by now."""
    quarantined: tuple[str, ...] = ()
    new_quarantines: tuple[NewQuarantine, ...] = ()
    """Those of them that were not until now."""
    rebuilt_profiles: set[UUID] = field(default_factory=set)
    """People who are not whom they were; folded anew."""
    profiles_with_changed_identifiers: set[UUID] = field(default_factory=set)
    """People of whose identifiers more, or less, is known than before: since when, vouched for by whom."""
    quarantine_profiles: set[UUID] = field(default_factory=set)
    """Profiles of keys that are nobody's."""


async def merge_and_split(
    connection: Any,
    stored_profile_ids: Mapping[str, UUID],
    canonical_ids: Mapping[UUID, UUID],
    proposed_ids: Collection[UUID],
    context: AuditContext,
    *,
    new_links: Collection[tuple[str, bool]] = (),
) -> MergeResult:
    """Weigh all evidence around some identifiers anew, and bring everything in line with it.

    ``pointers``: where each identifier's row points; ``canonical``: profiles already locked; ``proposed``:
    profiles that do not exist yet; ``news``: (digest, verified) of links that have just come in. The caller
    holds the identifiers' locks.
    """
    found = await lock_component(connection, stored_profile_ids, canonical_ids)
    graph = found.to_graph()
    if any(row.vouched and key not in graph.vouched for key, row in found.identifiers.items()):
        found = await lock_component(
            connection, stored_profile_ids, found.canonical_ids, include_unverified=True
        )
        graph = found.to_graph()
    placement = assign_profiles(
        graph, found.identifiers, proposed_ids, new_id, await _load_occupied_ids(connection, found)
    )
    mine = set(placement.profile_by_key.values())
    there = set(found.canonical_ids.values()) - set(proposed_ids)
    if mine - there:
        await connection.execute(_INSERT_PROFILES, sorted(mine - there), context.at)
    weighed = await _write_identifiers(connection, found, graph, placement, proposed_ids)
    settled = MergeResult(
        profile_by_key=placement.profile_by_key,
        profiles_with_changed_identifiers=weighed,
        replaced_by=placement.merged(),
        quarantined=tuple(sorted(graph.quarantined)),
        new_quarantines=find_newly_quarantined(found, graph),
        quarantine_profiles={placement.profile_by_key[key] for key in graph.quarantined},
    )
    await write_audit_log(connection, found, graph, placement, context, new_links)
    parts = changed_parts(
        placement, graph, found.identifiers, [link.keys for link in found.links.values()], proposed_ids
    )
    if parts:
        settled.rebuilt_profiles = await _reassign_and_rebuild(connection, graph, parts, settled, context)
        await connection.execute(NOTIFY_OUTBOX)
    return settled


async def _load_occupied_ids(connection: Any, found: Component) -> list[UUID]:
    """Profiles that some of these identifiers were first seen under, and that are somebody else's by now."""
    asked = {row.origin for row in found.identifiers.values()} - {
        row.profile_id for row in found.identifiers.values()
    }
    if not asked:
        return []
    rows = await connection.fetch(_SELECT_OCCUPIED_PROFILES, sorted(asked), list(found.identifiers))
    return [row["profile_id"] for row in rows]


async def _reassign_and_rebuild(
    connection: Any,
    graph: IdentityGraph,
    parts: Sequence[ProfileAssignment],
    settled: MergeResult,
    cause: AuditContext,
) -> set[UUID]:
    """Bring everything that hangs on people to where their identifiers are by now."""
    profile_of = {key: who for part in parts for key, who in part.profile_by_key.items()}
    vouched = frozenset(profile_of[key] for key in graph.vouched if key in profile_of)
    people = {who for part in parts for now in part.new_profiles_by_old.values() for who in now}
    involved = {*people, *(was for part in parts for was in part.new_profiles_by_old)}
    before = await rebuild.capture_pre_merge_state(connection, involved)
    for part in parts:
        good = {
            key: who for key, who in part.profile_by_key.items() if who not in settled.quarantine_profiles
        }
        # What an identifier did that is nobody's now is somebody's, where its events name others too.
        lost = [was for was, now in part.merged().items() if now in settled.quarantine_profiles]
        for was in dict.fromkeys((*part.profiles_to_reassign(), *lost)):
            await reassign_by_event(connection, was, good, part.profile_by_key, vouched)
        for was, now in part.merged().items():
            await reassign_all(connection, was, now)
        for was, now in part.dissolved().items():
            settled.replaced_by[was] = now
            await connection.execute("UPDATE profile SET merged_into = $1 WHERE profile_id = $2", now, was)
    nobodys = settled.quarantine_profiles & people
    await rebuild.rebuild_profiles(connection, people, involved, before, profile_of, nobodys, cause.at)
    return people


async def _write_identifiers(
    connection: Any,
    found: Component,
    graph: IdentityGraph,
    placement: ProfileAssignment,
    proposed: Collection[UUID],
) -> set[UUID]:
    """Write down where identifiers belong and what is known of them; for whom it is news."""
    held = {key for key, row in found.identifiers.items() if row.profile_id in proposed}
    origins = {row.origin for row in found.identifiers.values()}
    used = {who for key, who in placement.profile_by_key.items() if key not in graph.quarantined}
    rows: list[dict[str, Any]] = []
    for key, mine in placement.profile_by_key.items():
        row = found.identifiers[key]
        status = "quarantined" if key in graph.quarantined else row.status
        linked_at = graph.joined_at.get(key, row.linked_at)
        # Seen for the first time, it has never been anybody else's; and who is given a profile of their own
        # because others have those that their keys came with is to have the same one the next time.
        # And what was first seen under somebody else's profile is not to claim it once nothing shows any more
        # that the other is there.
        made = mine not in origins and key not in graph.quarantined
        lent = row.origin != mine and row.origin in used and key not in graph.quarantined
        origin = mine if key in held or made or lent else row.origin
        now = (mine, origin, linked_at, key in graph.vouched, status)
        if now != (row.stored_profile_id, row.origin, row.linked_at, row.vouched, row.status):
            kind, value = split_key(key)
            names = ("profile_id", "origin", "linked_at", "vouched", "status")
            rows.append({"type": kind, "value": value, **dict(zip(names, now, strict=True))})
    weighed = {row["profile_id"] for row in rows}
    leaving = sorted(placement.merged())
    if leaving and len(rows) > len(held):
        free = {
            (row["type"], row["value"]) for row in await connection.fetch(_LOCK_FREE_IDENTIFIERS, leaving)
        }
        gone = set(leaving)
        rows = [
            row
            for row in rows
            if found.identifiers[f"{row['type']}:{row['value']}"].profile_id not in gone
            or (row["type"], row["value"]) in free
        ]
    if rows:
        await connection.execute(_UPDATE_IDENTIFIERS, encode_jsonb(rows))
    return weighed
