"""Suppressions per profile after merges and splits, and the messages that were sent before a late purchase.

A purchase suppresses for its own profile and for every other profile that its event names.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import encode_jsonb
from profiles.identity.identifiers import identifier_key, implied_identifiers
from profiles.identity.verified_links import load_owners_of_devices
from profiles.state.event_records import StoredEvent

LATE_PURCHASE_DELAY = timedelta(minutes=1)
"""A purchase that arrives within this time after it was made is not late."""

_SELECT_SUPPRESSIONS = """
SELECT s.profile_id, s.event_id, s.line, s.item, s.sku, s.order_id, s.until, s.reason, s.lifted_at,
  s.scope, s.of, s.parts,
  e.profile_id AS owner, e.identifiers::text AS identifiers
FROM suppression s JOIN event e USING (event_id) WHERE s.profile_id = ANY($1)
ORDER BY s.event_id, s.line, s.profile_id
"""

_DELETE_SUPPRESSIONS = """
DELETE FROM suppression s USING jsonb_to_recordset($1) AS g(profile_id uuid, event_id uuid, line int)
WHERE s.profile_id = g.profile_id AND s.event_id = g.event_id AND s.line = g.line
"""

_INSERT_SUPPRESSIONS = """
INSERT INTO suppression (profile_id, event_id, line, item, sku, order_id, until, reason, lifted_at, scope, of,
  parts)
SELECT profile_id, event_id, line, item, sku, order_id, until, reason, lifted_at, scope, of, parts
FROM jsonb_populate_recordset(NULL::suppression, $1)
"""

# By the key, which is what a message stores of an item: any variant of the product matches.
_FLAG_MESSAGES = """
WITH late AS (SELECT s.profile_id, s.event_id, o.time, s.until,
    array_remove(ARRAY[s.item, s.sku], NULL) || s.parts AS items
  FROM jsonb_to_recordset($1) AS o(event_id uuid, time timestamptz)
  JOIN suppression s ON s.event_id = o.event_id AND s.profile_id = ANY($2) AND s.lifted_at IS NULL)
UPDATE message m SET overtaken_by = late.event_id FROM late
WHERE m.profile_id = late.profile_id AND m.overtaken_by IS NULL AND m.decided_at > late.time
  AND (late.until IS NULL OR late.until > m.decided_at) AND m.message_class = 'marketing'
  AND m.status NOT IN ('withheld', 'deferred', 'released') AND m.items && late.items
RETURNING m.message_id
"""


async def sync_suppressions(
    connection: Any,
    involved: Collection[UUID],
    profile_of: Mapping[str, UUID],
    quarantined_profiles: Collection[UUID],
) -> None:
    """Assign every suppression of these profiles to the profiles that its event concerns now, and no others.

    After a merge the profile has the suppressions of both. After a split each has its own, and those of
    events that name both. Called after the profiles' events were moved.
    Locks held: those of the profiles.
    """
    wanted: dict[tuple[UUID, UUID, int], dict[str, Any]] = {}
    stored = set()
    affected = {*involved, *profile_of.values()}
    rows = await connection.fetch(_SELECT_SUPPRESSIONS, sorted(involved))
    # An order that has no owner names quarantined devices, and suppresses for those who own them.
    devices = {key for row in rows if row["owner"] is None for key in _named_keys(row)}
    owners_of = await load_owners_of_devices(connection, devices) if devices else {}
    for row in rows:
        stored.add((row["profile_id"], row["event_id"], row["line"]))
        concerned = _concerned_profiles(row, profile_of, quarantined_profiles)
        if row["owner"] is None:
            tied = (key for named in _named_keys(row) for key in owners_of.get(named, ()))
            concerned |= {profile_of[key]: None for key in tied if key in profile_of}
        for profile_id in concerned:
            if profile_id not in affected:
                # The suppressions of an owner that is not involved stay as they are.
                continue
            copy = {**row, "profile_id": profile_id}
            wanted.setdefault((profile_id, row["event_id"], row["line"]), copy)
    key_names = ("profile_id", "event_id", "line")
    obsolete = [dict(zip(key_names, key, strict=True)) for key in sorted(stored - wanted.keys())]
    new = [row for key, row in wanted.items() if key not in stored]
    if obsolete:
        await connection.execute(_DELETE_SUPPRESSIONS, encode_jsonb(obsolete))
    if new:
        await connection.execute(_INSERT_SUPPRESSIONS, encode_jsonb(new))


async def flag_sent_before_late_purchase(
    connection: Any, orders: Sequence[StoredEvent], people: Collection[UUID]
) -> int:
    """Mark messages to ``people`` that were decided on between one of the orders and its arrival.

    Returns how many messages were marked. A message keeps its first mark. Runs no statement where no order
    is late. Called after the orders' suppressions were written.
    Locks held: those of the profiles.
    """
    late = [
        {"event_id": stored.event_id, "time": stored.incoming.time}
        for stored in orders
        if stored.at - stored.incoming.time > LATE_PURCHASE_DELAY
    ]
    return len(await connection.fetch(_FLAG_MESSAGES, encode_jsonb(late), sorted(people))) if late else 0


def _named_keys(row: Any) -> list[str]:
    pairs = [(kind, value) for kind, held in orjson.loads(row["identifiers"]).items() for value in held]
    return [identifier_key(*pair) for pair in (*pairs, *implied_identifiers(pairs))]


def _concerned_profiles(
    row: Any, profile_of: Mapping[str, UUID], quarantined_profiles: Collection[UUID]
) -> dict[UUID, None]:
    others = [profile_of[key] for key in _named_keys(row) if key in profile_of]
    return dict.fromkeys([row["owner"], *(each for each in others if each not in quarantined_profiles)])
