"""Two profiles turn out to be one person: everything moves to the older one, in one transaction.

The caller holds both profiles' locks. Consents become the stricter of the two, caps add up because the
messages move, and where both have a live run of one key the older stays and the other ends as ``merged``.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.carts import merged
from profiles.changes import encode
from profiles.events import END_RUN
from profiles.person import load
from profiles.statements import CARTS, NOTIFY

MERGED = "merged"

# A row locked by an event that waits for these profiles stays behind, and is followed by merged_into.
_IDENTIFIERS = """
UPDATE identifier SET profile_id = $1 WHERE (type, value) IN
  (SELECT type, value FROM identifier WHERE profile_id = $2 ORDER BY type, value FOR UPDATE SKIP LOCKED)
"""

_MOVES = tuple(
    f"UPDATE {table} SET profile_id = $1 WHERE profile_id = $2"  # noqa: S608 - constant names
    for table in (
        "event",
        "purchase",
        "suppression",
        "consent",
        "message",
        "decision",
        "audience_member",
        "exposure",
    )
)

# Who was in a segment as either of the two has been in it since the earlier time: nobody enters by a merge.
_SEGMENTS = """
WITH gone AS (DELETE FROM segment_member WHERE profile_id = $2 RETURNING segment, since)
INSERT INTO segment_member (segment, profile_id, since) SELECT segment, $1, since FROM gone
ON CONFLICT (segment, profile_id) DO UPDATE SET since = LEAST(segment_member.since, excluded.since)
"""

_RUN_CLASHES = """
SELECT l.run_id, l.entered_at, s.run_id AS other_id, s.entered_at AS other_entered_at
FROM run l JOIN run s ON s.journey = l.journey AND s.profile_id = $1 AND s.state <> 'ended'
  AND (s.key = l.key OR (s.key = $1::uuid::text AND l.key = $2::uuid::text))
WHERE l.profile_id = $2 AND l.state <> 'ended' ORDER BY l.run_id
"""

_END_RUN = """
WITH ended AS (
  UPDATE run SET state = 'ended', outcome = $2, detail = $3, ended_at = $4
  WHERE run_id = $1 AND state <> 'ended' RETURNING run_id)
INSERT INTO outbox (lane, kind, name, payload)
SELECT run_id, 'signal', $5::text, jsonb_build_object('outcome', $2::text, 'reason', $3::text) FROM ended
"""

_MOVE_RUNS = """
UPDATE run SET profile_id = $1, key = CASE WHEN key = $2::uuid::text THEN $1::uuid::text ELSE key END
WHERE profile_id = $2
"""

_CONSENTS = """
WITH latest AS (SELECT DISTINCT ON (profile_id, channel, topic) profile_id, channel, topic, state, time
  FROM consent WHERE profile_id IN ($1, $2) ORDER BY profile_id, channel, topic, seq DESC)
INSERT INTO consent (profile_id, channel, topic, state, source, time, at)
SELECT $1, channel, topic, 'withdrawn', 'merge', max(time), $3::timestamptz
FROM latest WHERE state = 'withdrawn' GROUP BY channel, topic
"""

# What one of the two had bought, the other is no longer shown; a no to ads counts for both.
_LEAVE_AUDIENCES = """
WITH leaving AS (UPDATE audience_member a SET state = 'leaving', reason = why.reason
  FROM (SELECT m.member_id, CASE WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.profile_id = $1
          AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > $2)
          AND (s.item IN (m.item, m.sku) OR s.sku IN (m.item, m.sku))) THEN 'purchased'
        WHEN EXISTS (SELECT 1 FROM (SELECT DISTINCT ON (channel, topic) state FROM consent
          WHERE profile_id = $1 AND channel IN ('ads', 'all') ORDER BY channel, topic, seq DESC) c
          WHERE c.state = 'withdrawn') THEN 'opted_out' END AS reason
        FROM audience_member m WHERE m.profile_id = $1 AND m.state IN ('joining', 'in')) why
  WHERE a.member_id = why.member_id AND why.reason IS NOT NULL
  RETURNING a.member_id, a.audience, a.reason)
INSERT INTO outbox (lane, kind, name, payload)
SELECT member_id, 'audience', 'remove', jsonb_build_object('audience', audience, 'reason', reason)
FROM leaving
"""

_PROFILE = """
WITH gone AS (UPDATE profile SET merged_into = $1 WHERE profile_id = $2 RETURNING *)
UPDATE profile p SET traits = gone.traits || p.traits,
  context_timezone = COALESCE(p.context_timezone, gone.context_timezone),
  email_from_order = p.email_from_order OR gone.email_from_order,
  last_order_at = GREATEST(p.last_order_at, gone.last_order_at), orders = p.orders + gone.orders,
  lapsed_after = GREATEST(p.lapsed_after, gone.lapsed_after)
FROM gone WHERE p.profile_id = $1
"""

_MOVE_CLOSED_CARTS = """
UPDATE cart l SET profile_id = $1 WHERE l.profile_id = $2 AND l.closed_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM cart s WHERE s.profile_id = $1 AND s.cart_id = l.cart_id)
"""


async def merge(connection: Any, survivor: UUID, loser: UUID, *, at: datetime) -> None:
    """Move all that is ``loser``'s to ``survivor``. Idempotent only by its caller's locks: call it once."""
    await connection.execute(_IDENTIFIERS, survivor, loser)
    await _carts(connection, survivor, loser)
    # Before the ledger rows move, while it still shows whose word was whose.
    await connection.execute(_CONSENTS, survivor, loser, at)
    for move in _MOVES:
        await connection.execute(move, survivor, loser)
    await connection.execute(_SEGMENTS, survivor, loser)
    await connection.execute(_LEAVE_AUDIENCES, survivor, at)
    await _runs(connection, survivor, loser, at)
    await connection.execute(_PROFILE, survivor, loser)
    await connection.execute(NOTIFY)


async def _carts(connection: Any, survivor: UUID, loser: UUID) -> None:
    persons = await load(connection, [survivor, loser])
    mine, theirs = persons[survivor].carts, persons[loser].carts
    await connection.execute(_MOVE_CLOSED_CARTS, survivor, loser)
    rows: list[dict[str, Any]] = []
    for cart_id, cart in theirs.items():
        twin = mine.get(cart_id)
        lines = merged(twin.lines, cart.lines) if twin else cart.lines
        rows.append(
            {
                "profile_id": survivor,
                "cart_id": cart_id,
                "lines": [line.model_dump(exclude_none=True) for line in lines],
                "updated_at": max(cart.updated_at, twin.updated_at) if twin else cart.updated_at,
                "closed_at": None,
            }
        )
    if rows:
        await connection.execute(CARTS, encode(rows))
    await connection.execute("DELETE FROM cart WHERE profile_id = $1", loser)


async def _runs(connection: Any, survivor: UUID, loser: UUID, at: datetime) -> None:
    for clash in await connection.fetch(_RUN_CLASHES, survivor, loser):
        mine = (clash["other_entered_at"], clash["other_id"])
        theirs = (clash["entered_at"], clash["run_id"])
        younger = max(mine, theirs)[1]
        why = "the person has an older run of the same key"
        await connection.execute(_END_RUN, younger, MERGED, why, at, END_RUN)
    await connection.execute(_MOVE_RUNS, survivor, loser)
