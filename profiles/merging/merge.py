"""Merge and split profiles in one transaction, with their runs, messages, consents and purchases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from profiles.db.sql import NOTIFY_OUTBOX, encode_jsonb, new_id
from profiles.identity.component import Component, lock_component
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import identifier_key, split_key
from profiles.identity.link_limit import check_link_limit, large_parts_of
from profiles.identity.quarantine import NewQuarantine, find_newly_quarantined
from profiles.merging import rebuild
from profiles.merging.assignment import ProfileAssignment, assign_profiles, changed_parts
from profiles.merging.audit_log import AuditContext, write_audit_log
from profiles.merging.reassign import MARK_MERGED, reassign_all, reassign_by_event

# A profile that was merged before becomes canonical again.
_INSERT_PROFILES = """
INSERT INTO profile (profile_id, created_at) SELECT unnest($1::uuid[]), $2
ON CONFLICT (profile_id) DO UPDATE SET merged_into = NULL
"""

_SELECT_OCCUPIED_PROFILES = """
SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND type || ':' || value <> ALL($2)
"""

# A row that an event has locked, while it waits for these profiles, is skipped; that event updates it.
_LOCK_FREE_IDENTIFIERS = """
SELECT type, value FROM identifier WHERE profile_id = ANY($1) ORDER BY type, value FOR UPDATE SKIP LOCKED
"""

_UPDATE_IDENTIFIERS = """
UPDATE identifier i SET profile_id = c.profile_id, origin = c.origin, linked_at = c.linked_at,
  vouched = c.vouched, status = c.status, linked_by_page = c.linked_by_page
FROM jsonb_to_recordset($1) AS c(type text, value text, profile_id uuid, origin uuid, linked_at timestamptz,
  vouched boolean, status text, linked_by_page boolean)
WHERE i.type = c.type AND i.value = c.value
"""


@dataclass(slots=True)
class MergeResult:
    """Profiles of a component after the merge or split."""

    profile_by_key: dict[str, UUID] = field(default_factory=dict)
    """Key → its profile now."""
    replaced_by: dict[UUID, UUID] = field(default_factory=dict)
    """A profile that ended → the profile that replaces it."""
    quarantined: tuple[str, ...] = ()
    new_quarantines: tuple[NewQuarantine, ...] = ()
    """Those of the quarantined keys that were not quarantined before."""
    rebuilt_profiles: set[UUID] = field(default_factory=set)
    """Profiles that changed and were rebuilt."""
    profiles_with_changed_identifiers: set[UUID] = field(default_factory=set)
    """Profiles with identifier rows that changed: profile, time of the link, verification or status."""
    replay_cost: int = 0
    """What it cost to rebuild them, in past events of the usual size."""
    cause: UUID | None = None
    """The event that pays for it: the earliest one with a new link."""
    quarantine_profiles: set[UUID] = field(default_factory=set)
    """Profiles of quarantined keys."""
    linked_by_page: frozenset[str] = frozenset()
    """Devices that belong to their profile only because the shop accepts what a page says of a device."""
    large_parts: dict[str, list[str]] = field(default_factory=dict)
    """Key → the identifiers of its part of the component, if it is a large one."""


async def merge_and_split(
    connection: Any,
    stored_profile_ids: Mapping[str, UUID],
    canonical_ids: Mapping[UUID, UUID],
    proposed_ids: Collection[UUID],
    context: AuditContext,
    *,
    new_links: Collection[tuple[str, bool]] = (),
) -> MergeResult:
    """Resolve the component of some identifiers again, and merge or split profiles to match the result.

    ``stored_profile_ids``: identifier key → the profile that its row names. ``canonical_ids``: profiles that
    are locked already → their canonical ones. ``proposed_ids``: profiles that do not exist yet.
    ``new_links``: (digest, verified) of the links that this transaction adds. Locks held: the caller's, on
    the identifiers; this adds those of all profiles of the component. Raises ``LinkLimitReached``.
    """
    component = await lock_component(connection, stored_profile_ids, canonical_ids)
    check_link_limit(component, new_links)
    graph = await component.resolve()
    if any(row.vouched and key not in graph.vouched for key, row in component.identifiers.items()):
        component = await lock_component(
            connection, stored_profile_ids, component.canonical_ids, include_unverified=True
        )
        graph = await component.resolve()
    occupied_ids = await _load_occupied_ids(connection, component)
    assignment = assign_profiles(graph, component.identifiers, proposed_ids, new_id, occupied_ids)
    existing = set(component.canonical_ids.values()) - set(proposed_ids)
    if missing := set(assignment.profile_by_key.values()) - existing:
        await connection.execute(_INSERT_PROFILES, sorted(missing), context.at)
    changed = await _write_identifiers(connection, component, graph, assignment, proposed_ids)
    result = MergeResult(
        profile_by_key=assignment.profile_by_key,
        profiles_with_changed_identifiers=changed,
        replaced_by=assignment.merged(),
        quarantined=tuple(sorted(graph.quarantined)),
        new_quarantines=find_newly_quarantined(component, graph),
        quarantine_profiles={assignment.profile_by_key[key] for key in graph.quarantined},
        linked_by_page=graph.linked_by_page,
        large_parts=large_parts_of(component),
    )
    await write_audit_log(connection, component, graph, assignment, context, new_links)
    links = [link.keys for link in component.links.values()]
    if changes := changed_parts(assignment, graph, component.identifiers, links, proposed_ids):
        result.rebuilt_profiles = await _reassign_and_rebuild(connection, graph, changes, result, context)
        await connection.execute(NOTIFY_OUTBOX)
    return result


async def _load_occupied_ids(connection: Any, component: Component) -> list[UUID]:
    """Return origins of these identifiers that are profiles of other identifiers now."""
    rows = component.identifiers.values()
    candidates = sorted({row.origin for row in rows} - {row.profile_id for row in rows})
    if not candidates:
        return []
    occupied = await connection.fetch(_SELECT_OCCUPIED_PROFILES, candidates, list(component.identifiers))
    return [row["profile_id"] for row in occupied]


async def _reassign_and_rebuild(
    connection: Any,
    graph: IdentityGraph,
    parts: Sequence[ProfileAssignment],
    result: MergeResult,
    context: AuditContext,
) -> set[UUID]:
    """Move all rows to the profiles of their identifiers, and rebuild these. Returns the rebuilt profiles."""
    profile_of = {key: profile_id for part in parts for key, profile_id in part.profile_by_key.items()}
    vouched = frozenset(profile_of[key] for key in graph.vouched if key in profile_of)
    moved = [old_and_new for part in parts for old_and_new in part.new_profiles_by_old.items()]
    profile_ids = {each for _, new_ids in moved for each in new_ids}
    involved = {*profile_ids, *(old_id for old_id, _ in moved)}
    pre_merge = await rebuild.capture_pre_merge_state(connection, involved)
    for part in parts:
        good = {
            key: each for key, each in part.profile_by_key.items() if each not in result.quarantine_profiles
        }
        # Events of a newly quarantined key go to another profile if they name its identifiers too.
        to_quarantine = [old for old, new in part.merged().items() if new in result.quarantine_profiles]
        by_event = list(dict.fromkeys((*part.profiles_to_reassign(), *to_quarantine)))
        await reassign_by_event(
            connection, by_event, good, part.profile_by_key, vouched, graph.linked_by_page
        )
        await reassign_all(connection, part.merged())
        if dissolved := part.dissolved():
            result.replaced_by |= dissolved
            await connection.execute(MARK_MERGED, list(dissolved.values()), list(dissolved))
    quarantine_profiles = result.quarantine_profiles & profile_ids
    result.replay_cost = await rebuild.rebuild_profiles(
        connection, profile_ids, involved, pre_merge, profile_of, quarantine_profiles, context.at
    )
    return profile_ids


async def _write_identifiers(
    connection: Any,
    component: Component,
    graph: IdentityGraph,
    assignment: ProfileAssignment,
    proposed: Collection[UUID],
) -> set[UUID]:
    """Update the changed rows of identifiers. Returns the profiles of the changed rows."""
    first_seen = {key for key, row in component.identifiers.items() if row.profile_id in proposed}
    origins = {row.origin for row in component.identifiers.values()}
    used = {each for key, each in assignment.profile_by_key.items() if key not in graph.quarantined}
    rows: list[dict[str, Any]] = []
    for key, profile_id in assignment.profile_by_key.items():
        row = component.identifiers[key]
        status = "quarantined" if key in graph.quarantined else row.status
        linked_at = graph.joined_at.get(key, row.linked_at)
        # The profile becomes the origin in three cases: the key is seen for the first time; the profile was
        # created since other keys have the origins, and the next resolution must result in it again; or
        # another cluster has the origin, and the key must not claim it later without evidence.
        created = profile_id not in origins and key not in graph.quarantined
        foreign = row.origin != profile_id and row.origin in used and key not in graph.quarantined
        origin = profile_id if key in first_seen or created or foreign else row.origin
        by_page = key in graph.linked_by_page
        values = (profile_id, origin, linked_at, key in graph.vouched, status, by_page)
        stored = (row.stored_profile_id, row.origin, row.linked_at, row.vouched, row.status)
        if values != (*stored, row.linked_by_page):
            kind, value = split_key(key)
            names = ("profile_id", "origin", "linked_at", "vouched", "status", "linked_by_page")
            rows.append({"type": kind, "value": value, **dict(zip(names, values, strict=True))})
    changed = {row["profile_id"] for row in rows}
    ending = set(assignment.merged())
    if ending and len(rows) > len(first_seen):
        locked = await connection.fetch(_LOCK_FREE_IDENTIFIERS, sorted(ending))
        free = {identifier_key(*pair) for pair in locked}
        free |= {key for key, row in component.identifiers.items() if row.profile_id not in ending}
        rows = [row for row in rows if identifier_key(row["type"], row["value"]) in free]
    if rows:
        await connection.execute(_UPDATE_IDENTIFIERS, encode_jsonb(rows))
    return changed
