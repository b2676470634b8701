"""Who is in which ad audience for which item, and what the ad platform has yet to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.changes import encode
from profiles.ids import new_id
from profiles.statements import NOTIFY


@dataclass(frozen=True, slots=True)
class Place:
    """One item a person would be shown ads for."""

    item: str
    sku: str | None


_JOIN = """
WITH wanted AS (SELECT * FROM jsonb_to_recordset($1) AS w(member_id uuid, item text, sku text)),
joined AS (
  INSERT INTO audience_member (member_id, audience, item, sku, profile_id, run_id, state, joined_at)
  SELECT w.member_id, $2, w.item, w.sku, $3, $4, 'joining', $5 FROM wanted w
  WHERE NOT EXISTS (SELECT 1 FROM audience_member a
    WHERE a.run_id = $4 AND a.audience = $2 AND a.item = w.item AND a.state IN ('joining', 'in'))
  RETURNING member_id)
INSERT INTO outbox (lane, kind, name, payload)
SELECT member_id, 'audience', 'add', jsonb_build_object('audience', $2::text) FROM joined
"""

_TOLD = """
UPDATE audience_member SET
  state = CASE WHEN $2 = 'remove' THEN 'out' WHEN state = 'joining' THEN 'in' ELSE state END,
  left_at = CASE $2 WHEN 'remove' THEN now() ELSE left_at END
WHERE member_id = $1
"""


async def join(
    connection: Any, *, audience: str, profile_id: UUID, run_id: UUID, places: Sequence[Place], at: datetime
) -> None:
    """Enter a person for items, through the outbox. Idempotent per run and item; needs the profile's lock."""
    rows = [{"member_id": new_id(), "item": place.item, "sku": place.sku} for place in places]
    await connection.execute(_JOIN, encode(rows), audience, profile_id, run_id, at)
    await connection.execute(NOTIFY)


async def tell_sandbox(connection: Any, member_id: UUID, audience: str, name: str) -> None:
    """The sandbox ad platform's own books: add or remove, idempotent; then the membership is settled."""
    if name == "add":
        await connection.execute(
            "INSERT INTO sandbox_audience (audience, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            audience, member_id,
        )  # fmt: skip
    else:
        await connection.execute(
            "DELETE FROM sandbox_audience WHERE audience = $1 AND member_id = $2", audience, member_id
        )
    await connection.execute(_TOLD, member_id, name)
