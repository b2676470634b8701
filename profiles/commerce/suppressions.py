"""For whom a purchase suppresses: its owner, and everybody else whom its event names."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import encode_jsonb
from profiles.identity.identifiers import identifier_key, implied_identifiers
from profiles.state.event_records import StoredEvent

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


async def sync_suppressions(
    connection: Any,
    involved: Collection[UUID],
    profile_of: Mapping[str, UUID],
    quarantined_profiles: Collection[UUID],
) -> None:
    """Give every suppression of these people to those whom it concerns by now, and to nobody else.

    The union of two people's where they are joined; to each their own, and what names both, where they are
    parted. The caller holds their locks, and has moved their events.
    """
    wanted: dict[tuple[UUID, UUID, int], dict[str, Any]] = {}
    there: dict[tuple[UUID, UUID, int], None] = {}
    people = {*involved, *profile_of.values()}
    for row in await connection.fetch(_SELECT_SUPPRESSIONS, sorted(involved)):
        there[row["profile_id"], row["event_id"], row["line"]] = None
        kept = {name: row[name] for name in row.keys() if name not in ("owner", "identifiers")}  # noqa: SIM118
        for who in _concerned_profiles(row, profile_of, quarantined_profiles):
            if who not in people:
                # An owner of whom nothing has changed keeps what is theirs.
                continue
            wanted.setdefault((who, row["event_id"], row["line"]), {**kept, "profile_id": who})
    gone = [
        {"profile_id": who, "event_id": event, "line": line}
        for who, event, line in there
        if (who, event, line) not in wanted
    ]
    new = [row for place, row in wanted.items() if place not in there]
    if gone:
        await connection.execute(_DELETE_SUPPRESSIONS, encode_jsonb(gone))
    if new:
        await connection.execute(_INSERT_SUPPRESSIONS, encode_jsonb(new))


def _concerned_profiles(
    row: Any, profile_of: Mapping[str, UUID], quarantined_profiles: Collection[UUID]
) -> dict[UUID, None]:
    pairs = [(kind, value) for kind, held in orjson.loads(row["identifiers"]).items() for value in held]
    named = [identifier_key(kind, value) for kind, value in (*pairs, *implied_identifiers(tuple(pairs)))]
    others = dict.fromkeys(profile_of[one] for one in named if one in profile_of)
    return dict.fromkeys([row["owner"], *(who for who in others if who not in quarantined_profiles)])


LATE_PURCHASE_DELAY = timedelta(minutes=1)
"""A purchase that takes no longer to be heard of is not late."""

# By the key, which is what a message keeps of an item: of a product's variants any will do.
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


async def flag_sent_before_late_purchase(
    connection: Any, orders: Sequence[StoredEvent], people: Collection[UUID]
) -> int:
    """Mark what went out to ``people`` after one of the orders was made and before it was heard of.

    Returns how many messages were marked; a message keeps its first mark. Needs the people's locks and the
    orders' suppressions, and asks nothing where no order is late.
    """
    late = [
        {"event_id": taken.event_id, "time": taken.incoming.time}
        for taken in orders
        if taken.at - taken.incoming.time > LATE_PURCHASE_DELAY
    ]
    return len(await connection.fetch(_FLAG_MESSAGES, encode_jsonb(late), sorted(people))) if late else 0
