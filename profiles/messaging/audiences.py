"""Ad audiences: which profile is a member for which item, and what is confirmed by the ad platform."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import NOTIFY_OUTBOX, encode_jsonb, new_id
from profiles.state.unit_of_work import OutboxKind


@dataclass(frozen=True, slots=True)
class Membership:
    """The state of one member, read before the platform is called."""

    state: str
    """joining, in, leaving or out."""
    awaits_earlier_removal: bool
    """The removal of an earlier member with the same profile, item and audience is not confirmed."""


_INSERT_MEMBERS = f"""
WITH wanted AS (SELECT * FROM jsonb_to_recordset($1) AS w(member_id uuid, item text, sku text)),
joined AS (
  INSERT INTO audience_member (member_id, audience, item, sku, profile_id, run_id, state, joined_at)
  SELECT w.member_id, $2, w.item, w.sku, $3, $4, 'joining', $5 FROM wanted w
  WHERE NOT EXISTS (SELECT 1 FROM audience_member a
    WHERE a.run_id = $4 AND a.audience = $2 AND a.item = w.item AND a.state IN ('joining', 'in'))
  RETURNING member_id)
INSERT INTO outbox (lane, kind, name, payload)
SELECT member_id, '{OutboxKind.AUDIENCE}', 'add', jsonb_build_object('audience', $2::text) FROM joined
"""  # noqa: S608 - constant names

# The same conditions as in ``policy.checks.suppression``, for all items at once. A withdrawal of ads counts
# as well, because a merge or a split may have made it effective.
_REMOVE_MEMBERS = f"""
WITH owned AS (SELECT s.* FROM suppression s WHERE s.profile_id = ANY($1) AND s.lifted_at IS NULL
  AND (s.until IS NULL OR s.until > $2)),
place AS (SELECT m.*, ARRAY(SELECT o.item FROM product o WHERE o.sku = m.item) || m.item AS products
  FROM audience_member m WHERE m.profile_id = ANY($1) AND m.state IN ('joining', 'in')),
listed AS (SELECT m.member_id, o.* FROM place m JOIN product o ON o.item = ANY(m.products)),
why AS (SELECT m.member_id, CASE
    WHEN EXISTS (SELECT 1 FROM owned s WHERE s.profile_id = m.profile_id AND (CASE s.scope
          WHEN 'variant' THEN s.of IN (m.item, m.sku) OR (m.sku IS NULL AND s.item = ANY(m.products))
          ELSE s.item = ANY(m.products) OR s.item = m.sku OR s.sku IN (m.item, m.sku) OR (s.item = s.sku
            AND EXISTS (SELECT 1 FROM listed t WHERE t.member_id = m.member_id AND t.sku = s.sku)) END
        OR s.parts && m.products OR m.sku = ANY(s.parts)
        OR EXISTS (SELECT 1 FROM listed t
          WHERE t.member_id = m.member_id AND lower(btrim(s.of)) = lower(btrim(
          CASE s.scope WHEN 'group' THEN t.item_group WHEN 'category' THEN t.category END)))))
      OR EXISTS (SELECT 1 FROM listed t WHERE t.member_id = m.member_id AND cardinality(t.bundle) > 0
        AND NOT EXISTS (SELECT 1 FROM unnest(t.bundle) part WHERE NOT EXISTS (SELECT 1 FROM owned s
          WHERE s.profile_id = m.profile_id AND (part IN (s.item, s.sku) OR part = ANY(s.parts)))))
      THEN 'purchased'
    WHEN EXISTS (SELECT 1 FROM consent_state c WHERE c.profile_id = m.profile_id
      AND c.channel IN ('ads', 'all') AND c.state = 'withdrawn') THEN 'opted_out' END AS reason
  FROM place m),
leaving AS (UPDATE audience_member a SET state = 'leaving', reason = why.reason, leaving_at = now() FROM why
  WHERE a.member_id = why.member_id AND why.reason IS NOT NULL
  RETURNING a.member_id, a.audience, a.reason)
INSERT INTO outbox (lane, kind, name, payload)
SELECT member_id, '{OutboxKind.AUDIENCE}', 'remove',
  jsonb_build_object('audience', audience, 'reason', reason) FROM leaving RETURNING lane
"""  # noqa: S608 - constant names

_SELECT_MEMBERSHIPS = """
SELECT m.member_id, m.state, EXISTS (SELECT 1 FROM audience_member e
    WHERE e.profile_id = m.profile_id AND e.audience = m.audience AND e.item = m.item
      AND e.state = 'leaving' AND e.member_id <> m.member_id) AS behind
FROM audience_member m WHERE m.member_id = ANY($1)
"""

# A removal that was queued while the member was added at the platform prevails.
_UPDATE_CONFIRMED = """
UPDATE audience_member SET
  state = CASE WHEN $2 = 'remove' THEN 'out' WHEN state = 'joining' THEN 'in' ELSE state END,
  left_at = CASE $2 WHEN 'remove' THEN COALESCE(left_at, clock_timestamp()) ELSE left_at END
WHERE member_id = $1
"""


async def add_to_audience(
    connection: Any,
    *,
    audience: str,
    profile_id: UUID,
    run_id: UUID,
    items: Sequence[tuple[str, str | None]],
    at: datetime,
) -> None:
    """Add a profile to an audience for some items (key, sku), through the outbox.

    Idempotent per run and item. Locks held: that of the profile.
    """
    rows = [{"member_id": new_id(), "item": item, "sku": sku} for item, sku in items]
    await connection.execute(_INSERT_MEMBERS, encode_jsonb(rows), audience, profile_id, run_id, at)
    await connection.execute(NOTIFY_OUTBOX)


async def leave_audiences(connection: Any, people: Collection[UUID], at: datetime) -> None:
    """Remove profiles from audiences for items that may not be promoted to them any more, through the outbox.

    ``at``: the transaction's now. Idempotent: a member that is already leaving gets no second outbox row.
    Locks held: those of the profiles.
    """
    if await connection.fetch(_REMOVE_MEMBERS, sorted(people), at):
        await connection.execute(NOTIFY_OUTBOX)


async def load_memberships(connection: Any, member_ids: Collection[UUID]) -> dict[UUID, Membership]:
    """Return the states of these members. Members of erased profiles have none."""
    if not member_ids:
        return {}
    rows = await connection.fetch(_SELECT_MEMBERSHIPS, list(member_ids))
    return {row["member_id"]: Membership(row["state"], row["behind"]) for row in rows}


async def record_confirmation(connection: Any, member_id: UUID, action: str) -> None:
    """Record that the platform confirmed an add or remove. Idempotent: the first one's time stays."""
    await connection.execute(_UPDATE_CONFIRMED, member_id, action)
