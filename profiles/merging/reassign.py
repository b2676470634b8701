"""Move the rows of profiles to others: all rows, or those that follow single events."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import encode_jsonb
from profiles.identity.identifiers import identifier_key, implied_identifiers, strongest_first
from profiles.merging.assignment import event_owner

_PROFILE_TABLES = (
    *("event", "purchase", "consent", "message", "decision", "audience_member", "exposure", "run"),
)

MOVE_PROFILE_ROWS = tuple(
    f"UPDATE {table} t SET profile_id = m.new_id "  # noqa: S608 - constant names
    "FROM unnest($1::uuid[], $2::uuid[]) AS m(new_id, old_id) WHERE t.profile_id = m.old_id"
    for table in _PROFILE_TABLES
)
"""Updates of all rows of some profiles. Projections are not moved: they are rebuilt from the events."""

MARK_MERGED = (
    "UPDATE profile p SET merged_into = m.new_id FROM unnest($1::uuid[], $2::uuid[]) AS m(new_id, old_id) "
    "WHERE p.profile_id = m.old_id"
)

# A merge is no entry into a segment: the merged profile is a member since the earliest of the times.
_MOVE_SEGMENT_MEMBERSHIPS = """
WITH removed AS (DELETE FROM segment_member s USING unnest($1::uuid[], $2::uuid[]) AS m(new_id, old_id)
  WHERE s.profile_id = m.old_id RETURNING s.segment, m.new_id, s.since)
INSERT INTO segment_member (segment, profile_id, since)
SELECT segment, new_id, min(since) FROM removed GROUP BY segment, new_id
ON CONFLICT (segment, profile_id) DO UPDATE SET since = LEAST(segment_member.since, excluded.since)
"""

# A split is no entry into a segment either.
_COPY_SEGMENT_MEMBERSHIPS = """
INSERT INTO segment_member (segment, profile_id, since)
SELECT m.segment, n.new_id, min(m.since) FROM segment_member m CROSS JOIN unnest($1::uuid[]) AS n(new_id)
WHERE m.profile_id = ANY($2) AND m.profile_id <> n.new_id GROUP BY m.segment, n.new_id
ON CONFLICT (segment, profile_id) DO NOTHING
"""

_SELECT_EVENT_IDENTIFIERS = """
SELECT profile_id, event_id, identifiers::text AS identifiers, verified FROM event
WHERE profile_id = ANY($1) AND identifiers <> '{}'::jsonb
"""

_UPDATE_EVENT_PROFILES = """
UPDATE event e SET profile_id = c.profile_id FROM jsonb_to_recordset($1) AS c(event_id uuid, profile_id uuid)
WHERE e.event_id = c.event_id
"""

_FOLLOW_EVENTS = (
    "UPDATE purchase t SET profile_id = e.profile_id FROM event e "
    "WHERE t.profile_id = ANY($1) AND e.event_id = t.event_id AND e.profile_id <> t.profile_id",
    "UPDATE run t SET profile_id = e.profile_id FROM event e "
    "WHERE t.profile_id = ANY($1) AND e.event_id = t.entry_event AND e.profile_id <> t.profile_id",
    *(
        f"UPDATE {table} t SET profile_id = r.profile_id FROM run r "  # noqa: S608 - constant names
        "WHERE t.profile_id = ANY($1) AND r.run_id = t.run_id AND r.profile_id <> t.profile_id"
        for table in ("message", "decision", "audience_member", "exposure")
    ),
    # Events about a message follow the message.
    "UPDATE event t SET profile_id = m.profile_id FROM message m "
    "WHERE t.profile_id = ANY($1) AND t.type LIKE 'Message %' AND t.identifiers = '{}'::jsonb "
    "AND m.message_id = CASE WHEN pg_input_is_valid(t.properties ->> 'message_id', 'uuid') "
    "THEN (t.properties ->> 'message_id')::uuid END AND m.profile_id <> t.profile_id",
    "UPDATE consent t SET profile_id = e.profile_id FROM event e "
    "WHERE t.profile_id = ANY($1) AND e.event_id = t.event_id AND e.profile_id <> t.profile_id",
    # A consent that an operator or a split recorded has no event; it follows its first identifier.
    "UPDATE consent t SET profile_id = i.profile_id FROM identifier i "
    "WHERE t.profile_id = ANY($1) AND t.event_id IS NULL AND i.type = split_part(t.named[1], ':', 1) "
    "AND i.value = substr(t.named[1], strpos(t.named[1], ':') + 1) AND i.profile_id <> t.profile_id",
)
"""Updates of the rows that follow events. A run follows its entry event. Its messages, decisions, audience
members and exposures follow the run."""


async def reassign_all(connection: Any, successor_by_old: Mapping[UUID, UUID]) -> None:
    """Move all rows of profiles to others, which the caller rebuilds. Locks held: all these profiles'.

    The number of statements does not depend on the number of profiles.
    """
    if not successor_by_old:
        return
    pairs = (list(successor_by_old.values()), list(successor_by_old))
    for move in MOVE_PROFILE_ROWS:
        await connection.execute(move, *pairs)
    await connection.execute(_MOVE_SEGMENT_MEMBERSHIPS, *pairs)
    await connection.execute(MARK_MERGED, *pairs)


async def reassign_by_event(
    connection: Any,
    old_ids: Collection[UUID],
    profile_by_good_key: Mapping[str, UUID],
    profile_by_key: Mapping[str, UUID],
    vouched: frozenset[UUID],
    linked_by_page: frozenset[str],
) -> None:
    """Move each event of some profiles to the profile of its identifiers; other rows follow their events.

    ``profile_by_good_key``: the part of ``profile_by_key`` that is not quarantined. An event without such a
    key goes to the profile of a quarantined key. ``vouched``: the verified profiles. ``linked_by_page``:
    devices that pages have joined to customers. The number of statements does not depend on the number of
    profiles.
    """
    if not old_ids:
        return
    moves = []
    for row in await connection.fetch(_SELECT_EVENT_IDENTIFIERS, list(old_ids)):
        new_id = _owner_of_row(row, profile_by_good_key, vouched, linked_by_page)
        new_id = new_id or _owner_of_row(row, profile_by_key, vouched, linked_by_page)
        if new_id not in (row["profile_id"], None):
            moves.append({"event_id": row["event_id"], "profile_id": new_id})
    if moves:
        await connection.execute(_UPDATE_EVENT_PROFILES, encode_jsonb(moves))
    for statement in _FOLLOW_EVENTS:
        await connection.execute(statement, list(old_ids))
    new_ids = sorted(set(profile_by_key.values()))
    await connection.execute(_COPY_SEGMENT_MEMBERSHIPS, new_ids, list(old_ids))


def _owner_of_row(
    row: Any, profile_of: Mapping[str, UUID], vouched: frozenset[UUID], linked_by_page: frozenset[str]
) -> UUID | None:
    pairs = [(kind, value) for kind, values in orjson.loads(row["identifiers"]).items() for value in values]
    named = {identifier_key(*pair) for pair in (*pairs, *implied_identifiers(pairs))}
    keys = sorted(named.intersection(profile_of), key=strongest_first)
    if not keys:
        return None
    return event_owner(keys, profile_of, vouched, verified=row["verified"], linked_by_page=linked_by_page)
