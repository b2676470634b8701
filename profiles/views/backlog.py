"""What waits for somebody: outbox rows, stuck runs, unknown messages, quarantines, unconfirmed removals."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

# A plain range of an index for each channel, and never more than 10 000 of its rows, so that the price of
# looking does not grow with the shop. The channels are written out: one with many messages hides no other.
CLAIM_TO_ACCEPT_SQL = """
SELECT jsonb_object_agg(c.channel, q.took) FROM unnest(ARRAY['email', 'sms', 'push']) AS c(channel)
CROSS JOIN LATERAL (
  SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
    ORDER BY EXTRACT(epoch FROM s.accept_recorded_at - s.claim_recorded_at)::float8) AS took
  FROM (SELECT m.accept_recorded_at, m.claim_recorded_at FROM message m
    WHERE m.channel = c.channel AND m.accept_recorded_at > now() - interval '1 hour'
    ORDER BY m.accept_recorded_at DESC LIMIT 10000) s) q
WHERE q.took IS NOT NULL
"""
"""Channel → the median and the 99th percentile of the last hour, in seconds."""

# A purchase is stamped under its person's lock, as a claim is: which came first is never in doubt. Of a
# person's messages only the newest are read: a claim is taken for unknown long before it is a day old.
IN_FLIGHT_AT_PURCHASE_SQL = """
WITH bought AS MATERIALIZED (SELECT b.profile_id, b.event_id, b.line, b.recorded_at FROM purchase b
  WHERE b.recorded_at > now() - interval '1 day'),
met AS MATERIALIZED (SELECT b.profile_id, b.event_id, b.line, m.message_id, m.items FROM bought b
  JOIN message m ON m.profile_id = b.profile_id AND m.claimed_at > b.recorded_at - interval '1 day'
    AND m.claim_recorded_at < b.recorded_at AND m.accept_recorded_at > b.recorded_at
    AND m.message_class = 'marketing')
SELECT count(DISTINCT m.message_id) FROM met m
JOIN suppression s ON s.profile_id = m.profile_id AND s.event_id = m.event_id AND s.line = m.line
WHERE m.items && (array_remove(ARRAY[s.item, s.sku], NULL) || s.parts)
"""
"""Messages that were claimed before, and accepted after a purchase of what they promote, in the last day."""

MAX_REMOVAL_AGE = timedelta(minutes=5)
"""A removal from an ad audience that is not confirmed by then alarms."""

REMOVALS_OVERDUE_ADVICE = (
    "people are shown ads for what they bought or refused: see in the relay's log what the ad "
    "platform answers, and whether a relay runs; it goes on trying"
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures of one instant."""

    undelivered: int
    oldest_s: float
    """Age of the oldest undelivered outbox row, in seconds; 0 where there is none."""
    live_runs: int
    stuck_runs: int
    unknown_messages: int
    quarantined: int
    """Identifiers that are nobody's; an address and its hash are two."""
    quarantined_last_day: int
    """Those that became it within 24 hours, released ones included."""
    stops: list[str]
    """The kind of each kill switch that is on."""
    removals_unconfirmed: int = 0
    """Places in ad audiences that are to end, and that no platform has confirmed to be gone."""
    removals_oldest_s: float = 0.0
    """Since when the oldest of them waits, in seconds."""
    claim_to_accept: dict[str, list[float]] = field(default_factory=dict)
    """Channel → median and 99th percentile of the last hour, in seconds; without those that sent nothing.
    As the next one, empty where it is not asked for."""
    in_flight_at_purchase: int = 0
    """Messages of the last day that a provider took after a purchase of what they promote."""

    @property
    def has_overdue_removals(self) -> bool:
        """Whether a removal from an ad audience waits for too long."""
        return self.removals_oldest_s > MAX_REMOVAL_AGE.total_seconds()


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that waits for an operator."""

    run_id: UUID
    journey: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class RecentQuarantine:
    """An identifier that is nobody's."""

    type: str
    value: str
    quarantined_at: datetime
    """By the clock of Postgres."""


# The quarantined identifiers have an index of their own, and so have the log's rows of them.
_SELECT_BACKLOG = f"""
SELECT o.count AS undelivered, COALESCE(EXTRACT(epoch FROM now() - o.oldest), 0)::float8 AS oldest_s,
  (SELECT count(*) FROM run WHERE state <> 'ended') AS live_runs,
  (SELECT count(*) FROM run WHERE state = 'stuck') AS stuck_runs,
  (SELECT count(*) FROM message WHERE status = 'unknown') AS unknown_messages,
  (SELECT count(*) FROM identifier WHERE status = 'quarantined') AS quarantined,
  (SELECT count(DISTINCT key) FROM identity_log WHERE kind = 'quarantined'
    AND recorded_at > now() - interval '1 day') AS quarantined_last_day,
  ARRAY(SELECT kind FROM kill_switch) AS stops,
  a.count AS removals_unconfirmed,
  COALESCE(EXTRACT(epoch FROM now() - a.oldest), 0)::float8 AS removals_oldest_s,
  CASE WHEN $1 THEN ({CLAIM_TO_ACCEPT_SQL}) END::text AS claim_to_accept,
  CASE WHEN $1 THEN ({IN_FLIGHT_AT_PURCHASE_SQL}) ELSE 0 END AS in_flight_at_purchase
FROM (SELECT count(*), min(recorded_at) AS oldest FROM outbox WHERE delivered_at IS NULL) o,
  (SELECT count(*), min(COALESCE(leaving_at, recorded_at)) AS oldest FROM audience_member
    WHERE state = 'leaving') a
"""  # noqa: S608 - constants

_SELECT_STUCK_RUNS = """
SELECT r.run_id, r.journey, COALESCE(r.detail, o.error) AS reason FROM run r
LEFT JOIN LATERAL (
  SELECT error FROM outbox WHERE lane = r.run_id AND delivered_at IS NULL ORDER BY seq LIMIT 1) o ON true
WHERE r.state = 'stuck' ORDER BY r.entered_at DESC LIMIT $1
"""

# One may have been quarantined, released and quarantined again.
_SELECT_RECENT_QUARANTINES = """
SELECT i.type, i.value, max(l.recorded_at) AS quarantined_at FROM (
  SELECT key, recorded_at FROM identity_log WHERE kind = 'quarantined' ORDER BY recorded_at DESC LIMIT 100) l
JOIN identifier i ON i.type = split_part(l.key, ':', 1) AND i.value = substr(l.key, strpos(l.key, ':') + 1)
WHERE i.status = 'quarantined' GROUP BY i.type, i.value ORDER BY quarantined_at DESC, i.type, i.value LIMIT $1
"""


async def load_backlog(connection: Any, *, include_in_flight: bool = False) -> Backlog:
    """The figures now; ``under_way``: those of messages under way as well, which cost the most."""
    row = dict(await connection.fetchrow(_SELECT_BACKLOG, include_in_flight))
    return Backlog(**row | {"claim_to_accept": orjson.loads(row["claim_to_accept"] or "{}")})


async def list_stuck_runs(connection: Any, limit: int = 20) -> list[StuckRun]:
    """The newest stuck runs and why."""
    return [StuckRun(**row) for row in await connection.fetch(_SELECT_STUCK_RUNS, limit)]


async def list_recent_quarantines(connection: Any, limit: int = 5) -> list[RecentQuarantine]:
    """The identifiers quarantined last that still are, the newest first."""
    return [RecentQuarantine(**row) for row in await connection.fetch(_SELECT_RECENT_QUARANTINES, limit)]
