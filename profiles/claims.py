"""The facts a message is decided on, read under the profile's lock, and the claim that licenses the call.

Two statements, never one: the lock first, then the snapshot. A single statement that locks and reads has a
snapshot from before its wait, and misses the purchase it waited for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from profiles.patience import PATIENCE
from profiles.person import lock
from profiles.shelf import SHELF, names_of
from profiles.snapshot import Ask, Snapshot, Standing, address_type, snapshot_of

__all__ = [
    "Ask",
    "Planned",
    "Snapshot",
    "Standing",
    "decision_of",
    "lock_person_of",
    "read_snapshot",
    "read_under_lock",
    "reading",
    "write_decision",
]

READ_BACK = timedelta(days=31)
"""How far back sent messages are read where no cap looks further."""

COUNTED = ("claimed", "unknown", "unknown_final", "sent", "delivered", "bounced", "opened", "clicked")
"""Statuses of a message that counts against the caps."""

# Where a person is vouched for, neither a page's word on their address nor the time it names decides which of
# their addresses is written to. A reading costs by the steps of its plan, whatever they find: so what is not
# asked for is left out of the text, and rows come as they are, to be put in order by who reads them.
_SNAPSHOT = """
WITH mine AS MATERIALIZED (
  SELECT type, value, vouched, CASE WHEN vouched THEN linked_at ELSE since END AS at FROM identifier
  WHERE profile_id = COALESCE($1::uuid, NULLIF(current_setting('waypost.locked', true), '')::uuid))
SELECT CASE WHEN EXISTS (SELECT FROM mine WHERE vouched)
    THEN p.traits - ARRAY[CASE WHEN p.origins #>> '{{email,rank}}' = '1' THEN 'email' END,
      CASE WHEN p.origins #>> '{{phone,rank}}' = '1' THEN 'phone' END]
    ELSE p.traits END::text AS traits, p.context_timezone, p.email_from_order, p.erased_at,
  p.profile_id, r.state AS run_state, r.profile_id AS run_of, r.journey, r.clock_offset_s,
  m.message_id, m.status, m.token, m.channel AS message_channel, m.reason AS message_reason,
  m.items AS message_items, COALESCE(m.planned_at, m.decided_at) AS message_planned_at,
  ARRAY(SELECT json_build_array(type, value, extract(epoch FROM at))::text FROM mine
    WHERE type IN ('email', 'phone', 'push_token')) AS addresses,
  ARRAY(SELECT json_build_array(c.channel, c.topic, c.state, c.source)::text FROM consent_state c
    WHERE c.profile_id = p.profile_id) AS consents,
  ARRAY(SELECT json_build_array(s.event_id, s.line, s.item, s.sku, s.until, s.scope, s.of, s.parts)::text
    FROM suppression s
    WHERE s.profile_id = p.profile_id AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > $5)
  ) AS suppressions,
  COALESCE((SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = $6),
    (SELECT lines FROM cart WHERE profile_id = p.profile_id AND cart_id = r.key AND $6::text IS NOT NULL)
  )::text AS cart,
  ARRAY(SELECT json_build_array(s.channel, s.claimed_at, s.journey, COALESCE(s.topic, 'marketing'),
      s.run_id, s.template, s.items)::text FROM message s
    WHERE s.profile_id = p.profile_id AND s.claimed_at > $7 AND s.message_class = 'marketing'
      AND s.channel <> 'ads' AND s.status = ANY($8) AND (s.run_id, s.step) <> ($2, $3)) AS sent,
  ARRAY(SELECT json_build_array(w.message_id, w.channel, w.journey, COALESCE(w.topic, 'marketing'),
      w.deferred_until, w.expires_at, COALESCE(w.planned_at, w.decided_at), w.value)::text
    FROM message w JOIN run o ON o.run_id = w.run_id AND o.state = 'running'
    WHERE w.profile_id = p.profile_id AND w.status = 'deferred' AND w.message_class = 'marketing'
      AND w.channel <> 'ads' AND w.expires_at > $5 AND w.run_id <> $2) AS waiting,
  ARRAY(SELECT json_build_array(o.address, o.topic)::text FROM opt_out o
    WHERE o.channel = $9 AND o.address = ANY(ARRAY(SELECT value FROM mine WHERE type = $4))
      AND o.state = 'withdrawn') AS opt_outs,
  ARRAY(SELECT json_build_array(a.address, a.problem)::text FROM address_problem a
    WHERE a.channel = $9 AND a.address = ANY(ARRAY(SELECT value FROM mine WHERE type = $4))) AS problems,
  ARRAY(SELECT json_build_array(k.kind, k.name, k.since)::text FROM kill_switch k) AS stops,
  {shelf} AS shelf, {engaged}::text AS engaged, {claims}::int AS claims_last_minute
FROM profile p JOIN run r ON r.run_id = $2 LEFT JOIN message m ON m.run_id = $2 AND m.step = $3
WHERE p.profile_id = COALESCE($1::uuid, NULLIF(current_setting('waypost.locked', true), '')::uuid)
"""

_ENGAGED = """(SELECT jsonb_object_agg(e.channel, e.count) FROM (SELECT channel, count(*) FROM message
  WHERE profile_id = p.profile_id AND engaged_at > $5 - interval '90 days' GROUP BY channel) e)"""

_CLAIMS = """(SELECT count(*) FROM message b WHERE b.channel = $9 AND b.status = ANY($8)
  AND b.claimed_at > $5 - interval '1 minute' AND b.claimed_at < $5 + interval '1 minute'
  AND (b.run_id, b.step) <> ($2, $3))"""


@lru_cache
def reading(*, choosing: bool, budgeted: bool) -> str:
    """The second of the gate's two statements: everything that bears on a message."""
    engaged, claims = _ENGAGED if choosing else "NULL", _CLAIMS if budgeted else "NULL"
    return _SNAPSHOT.format(shelf=SHELF.format("$10"), engaged=engaged, claims=claims)


def lock_person_of(ask: Ask) -> str:
    """The first of the gate's two statements, to begin the transaction with: see ``lock_person_of_run``."""
    return f"SELECT lock_person_of_run('{ask.run_id}', {PATIENCE})"


async def read_under_lock(connection: Any, ask: Ask) -> Snapshot | None:
    """Read under the lock that ``lock_person_of`` took; None where there is no such run.

    Holds the lock until COMMIT. Where the run has gone to somebody else meanwhile, by a merge or a split,
    they are locked and read instead; so is its person where nobody is locked yet.
    """
    snapshot = await read_snapshot(connection, None, ask)
    if snapshot is None:
        await connection.execute(lock_person_of(ask))
        snapshot = await read_snapshot(connection, None, ask)
    while snapshot is not None and snapshot.run_of != snapshot.profile_id:
        now = (await lock(connection, [snapshot.run_of]))[snapshot.run_of]
        if now == snapshot.profile_id:
            break
        snapshot = await read_snapshot(connection, now, ask)
    return snapshot


async def read_snapshot(connection: Any, profile_id: UUID | None, ask: Ask) -> Snapshot | None:
    """The second statement; call it only with the profile's lock held. None: the one locked to begin with."""
    row = await connection.fetchrow(
        reading(choosing=ask.choosing, budgeted=ask.budgeted),
        profile_id,
        ask.run_id,
        ask.step,
        address_type(ask.channel),
        ask.at,
        ask.cart_id,
        ask.at - max(READ_BACK, ask.counting_back),
        list(COUNTED),
        ask.channel,
        names_of(ask.promoted),
    )
    return None if row is None else snapshot_of(row, ask)


@dataclass(frozen=True, slots=True)
class Planned:
    """A message as it is written down: the row, and the decision about it."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    status: str
    """claimed, withheld or deferred."""
    verdict: str
    """allow, withhold or defer."""
    at: datetime
    items: tuple[str, ...] = ()
    items_removed: tuple[str, ...] = ()
    reason: str | None = None
    detail: str = ""
    checks: tuple[object, ...] = ()
    """Each of name, passed and detail."""
    until: datetime | None = None
    address: str | None = None
    token: UUID | None = None
    decision_id: UUID | None = None
    policy: str | None = None
    """Version of the policy."""
    basis: dict[str, Any] | None = None
    """What the verdict stood on; no address, no name."""
    topic: str | None = None
    value: float = 0.0
    """What the message is worth, to decide between equals that want one slot."""
    expires_at: datetime | None = None


def decision_of(planned: Planned) -> str:
    """The claim (or the refusal) and the decision, as one statement to end the transaction with.

    Under the lock still held. Nothing that anybody typed ends the literal: no quotation mark is left in it.
    """
    document = orjson.dumps(planned, default=str).decode().replace("'", r"\u0027")
    return f"SELECT write_decision('{document}')"


async def write_decision(connection: Any, planned: Planned) -> None:
    """The same, in a transaction that goes on."""
    await connection.execute(decision_of(planned))
