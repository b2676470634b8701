"""Messages that promoted what had been bought by then, as it turns out once a purchase is heard of late."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from profiles.changes import encode
from profiles.taken import Taken

LATE = timedelta(minutes=1)
"""A purchase that takes no longer to be heard of is not late."""

# By the key, which is what a message keeps of an item: of a product's variants any will do.
_MARK = """
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


async def mark_overtaken(connection: Any, orders: Sequence[Taken], people: Collection[UUID]) -> int:
    """Mark what went out to ``people`` after one of the orders was made and before it was heard of.

    Returns how many messages were marked; a message keeps its first mark. Needs the people's locks and the
    orders' suppressions, and asks nothing where no order is late.
    """
    late = [
        {"event_id": taken.event_id, "time": taken.incoming.time}
        for taken in orders
        if taken.at - taken.incoming.time > LATE
    ]
    return len(await connection.fetch(_MARK, encode(late), sorted(people))) if late else 0
