"""What an ad platform has confirmed of the places that people have in its audiences."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Membership:
    """One place, before the platform is told of it."""

    state: str
    """joining, in, leaving or out."""
    behind: bool
    """An earlier place of the same person, for the same item in the same audience, is not confirmed gone."""


_MEMBERSHIPS = """
SELECT m.member_id, m.state, EXISTS (SELECT 1 FROM audience_member e
    WHERE e.profile_id = m.profile_id AND e.audience = m.audience AND e.item = m.item
      AND e.state = 'leaving' AND e.member_id <> m.member_id) AS behind
FROM audience_member m WHERE m.member_id = ANY($1)
"""

# A removal that was queued while the platform was told of the entry has the last word.
_CONFIRMED = """
UPDATE audience_member SET
  state = CASE WHEN $2 = 'remove' THEN 'out' WHEN state = 'joining' THEN 'in' ELSE state END,
  left_at = CASE $2 WHEN 'remove' THEN COALESCE(left_at, clock_timestamp()) ELSE left_at END
WHERE member_id = $1
"""


async def memberships(connection: Any, member_ids: Collection[UUID]) -> dict[UUID, Membership]:
    """How these places stand; who is erased has none."""
    if not member_ids:
        return {}
    rows = await connection.fetch(_MEMBERSHIPS, list(member_ids))
    return {row["member_id"]: Membership(row["state"], row["behind"]) for row in rows}


async def confirmed(connection: Any, member_id: UUID, name: str) -> None:
    """The platform has done it (``name``: add or remove). Idempotent: ``left_at`` is the first confirmation,
    by the clock of Postgres."""
    await connection.execute(_CONFIRMED, member_id, name)
