"""Work that waits: outbox rows, stuck runs, unknown messages, quarantines, unconfirmed audience removals."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import fetch_as, from_row

# One index range per channel, at most 10 000 rows of it, so the cost does not grow with the shop. The
# channels are listed, so a channel with many messages hides no other.
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
"""Channel → median and 99th percentile of claim to accept in the last hour, in seconds."""

# Purchases and claims are stamped under the profile's lock, so their order is certain. Messages older than
# a day are not read: a claim becomes unknown long before.
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
"""Marketing messages claimed before and accepted after a purchase of a promoted item, in the last day."""

# At most 1,000 carts, so the cost does not grow with the shop.
UNDESCRIBED_CARTS_SQL = """
SELECT count(*) FROM (SELECT lines FROM cart WHERE closed_at IS NULL AND lines <> '[]'::jsonb LIMIT 1000) c
WHERE EXISTS (SELECT 1 FROM jsonb_array_elements(c.lines) line
  WHERE line -> 'content_verified' IS DISTINCT FROM 'true'::jsonb
    AND NOT EXISTS (SELECT 1 FROM product p WHERE p.verified AND p.name IS NOT NULL AND (
      p.item = COALESCE(line ->> 'product_id', line ->> 'sku') OR p.sku = line ->> 'sku')))
"""
"""Of 1,000 open carts, those with an item of which a message has no name."""

UNDESCRIBED_CARTS_ADVICE = (
    "messages call them 'Your item': send the product feed (Product Updated) with a server key, or send "
    "the cart's events from your server or with identity tokens"
)

# At most the 20,000 newest events, by the key, so the cost does not grow with the shop.
_SELECT_EVENT_PROBLEMS = """
SELECT COALESCE(e.sender, e.source) AS sender, COALESCE(p ->> 'code', 'other') AS code, count(*) AS events
FROM (SELECT sender, source, problems, at FROM event ORDER BY event_id DESC LIMIT 20000) e
CROSS JOIN LATERAL jsonb_array_elements(e.problems) p
WHERE e.at > now() - interval '1 day' AND e.problems <> '[]'::jsonb
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $1
"""

EVENT_PROBLEMS_ADVICE = "see docs/how-to/mend-senders.md: each code has a remedy"


@dataclass(frozen=True, slots=True)
class EventProblems:
    """How often one kind of problem occurred in the events of one sender."""

    sender: str
    """Label of its key, else the source of its events."""
    code: str
    events: int


async def list_event_problems(connection: Any, *, limit: int) -> tuple[EventProblems, ...]:
    """Return the most frequent problems of the last day, of the 20,000 newest events, by sender and code."""
    return tuple(await fetch_as(connection, EventProblems, _SELECT_EVENT_PROBLEMS, limit))


# At most the 20,000 newest events as well.
_SELECT_UNCONFIRMED_LINKS = """
SELECT count(DISTINCT e.identifiers -> 'anonymous_id') FILTER (WHERE p ->> 'code' = 'unconfirmed_device')
    AS devices,
  count(DISTINCT e.identifiers) FILTER (WHERE p ->> 'code' = 'unconfirmed_identifier') AS others
FROM (SELECT identifiers, problems, at FROM event ORDER BY event_id DESC LIMIT 20000) e
CROSS JOIN LATERAL jsonb_array_elements(e.problems) p
WHERE e.at > now() - interval '1 day' AND e.problems <> '[]'::jsonb
"""

UNCONFIRMED_LINKS_ADVICE = (
    "have your server send the anonymousId along, or an identify at login, or give pages an identity token: "
    "docs/how-to/confirm-logins.md"
)


@dataclass(frozen=True, slots=True)
class UnconfirmedLinkCounts:
    """What pages named beside customers in the last day, and nothing confirms."""

    devices: int
    """Browsers and devices."""
    others: int
    """Sets of identifiers with an address or an account that is not linked."""


async def count_unconfirmed_links(connection: Any) -> UnconfirmedLinkCounts:
    """Count, in the 20,000 newest events, what was not linked with customers of the shop's server."""
    return from_row(UnconfirmedLinkCounts, await connection.fetchrow(_SELECT_UNCONFIRMED_LINKS))


MAX_REMOVAL_AGE = timedelta(minutes=5)
"""Age from which an unconfirmed removal from an ad audience raises an alarm."""

MAX_DELIVERY_AGE = timedelta(minutes=1)
"""Age from which an undelivered outbox row means that something is down."""

DELIVERIES_OVERDUE_ADVICE = (
    "check whether a relay runs (`waypost alive`) and what its log says; it goes on trying, nothing is lost"
)

REMOVALS_OVERDUE_ADVICE = (
    "people are shown ads for what they bought or refused: see in the relay's log what the ad "
    "platform answers, and whether a relay runs; it goes on trying"
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures at one instant."""

    undelivered: int
    oldest_s: float
    """Age of the oldest undelivered outbox row, in seconds; 0 if there is none.

    Rows of stuck runs wait for an operator, and do not count.
    """
    live_runs: int
    stuck_runs: int
    unknown_messages: int
    quarantined: int
    """Quarantined identifiers; an email address and its hash are two."""
    quarantined_last_day: int
    """Identifiers quarantined within 24 hours, released ones included."""
    stops: list[str]
    """The kind of each kill switch that is on."""
    first_contacts_last_hour: int = 0
    """Messages of the last hour to addresses that no verified event has named."""
    opt_ins_waiting: int = 0
    """Addresses that wait for a message that asks to confirm a consent."""
    removals_unconfirmed: int = 0
    """Memberships in ad audiences with a removal that no platform has confirmed."""
    removals_oldest_s: float = 0.0
    """Age of the oldest of them, in seconds."""
    claim_to_accept: dict[str, list[float]] = field(default_factory=dict)
    """As ``CLAIM_TO_ACCEPT_SQL``. Empty if not requested, as ``in_flight_at_purchase`` is 0."""
    stuck_oldest_s: float = 0.0
    """For how long the oldest stuck run has been stuck, in seconds; 0 if there is none."""
    overdue_error: str | None = None
    """The last error of the oldest undelivered outbox row, if it had one."""
    in_flight_at_purchase: int = 0
    """Messages of the last day that a provider accepted after a purchase of a promoted item."""
    undescribed_carts: int = 0
    """As ``UNDESCRIBED_CARTS_SQL``; 0 if not requested."""

    @property
    def has_overdue_deliveries(self) -> bool:
        """Whether the oldest undelivered row is older than ``MAX_DELIVERY_AGE``."""
        return self.oldest_s > MAX_DELIVERY_AGE.total_seconds()

    @property
    def has_overdue_removals(self) -> bool:
        """Whether an unconfirmed removal from an ad audience is older than ``MAX_REMOVAL_AGE``."""
        return self.removals_oldest_s > MAX_REMOVAL_AGE.total_seconds()


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that an operator has to look at."""

    run_id: UUID
    journey: str
    reason: str | None
    since: datetime | None = None
    """When the relay parked it, by the clock of Postgres; None if a relay of an older version did."""


@dataclass(frozen=True, slots=True)
class RecentQuarantine:
    """A quarantined identifier."""

    type: str
    value: str
    quarantined_at: datetime
    """By the clock of Postgres."""


# Partial indexes cover the quarantined identifiers and their rows in the log.
_SELECT_BACKLOG = f"""
SELECT o.count AS undelivered, COALESCE(EXTRACT(epoch FROM now() - d.recorded_at), 0)::float8 AS oldest_s,
  (SELECT count(*) FROM run WHERE state <> 'ended') AS live_runs,
  s.count AS stuck_runs,
  COALESCE(EXTRACT(epoch FROM now() - s.oldest), 0)::float8 AS stuck_oldest_s,
  d.error AS overdue_error,
  (SELECT count(*) FROM message WHERE status = 'unknown') AS unknown_messages,
  (SELECT count(*) FROM identifier WHERE status = 'quarantined') AS quarantined,
  (SELECT count(DISTINCT key) FROM identity_log WHERE kind = 'quarantined'
    AND recorded_at > now() - interval '1 day') AS quarantined_last_day,
  ARRAY(SELECT kind FROM kill_switch) AS stops,
  (SELECT count(*) FROM first_contact WHERE at > now() - interval '1 hour') AS first_contacts_last_hour,
  (SELECT count(*) FROM opt_in_request WHERE state = 'waiting') AS opt_ins_waiting,
  a.count AS removals_unconfirmed,
  COALESCE(EXTRACT(epoch FROM now() - a.oldest), 0)::float8 AS removals_oldest_s,
  CASE WHEN $1 THEN ({CLAIM_TO_ACCEPT_SQL}) END::text AS claim_to_accept,
  CASE WHEN $1 THEN ({IN_FLIGHT_AT_PURCHASE_SQL}) ELSE 0 END AS in_flight_at_purchase,
  CASE WHEN $1 THEN ({UNDESCRIBED_CARTS_SQL}) ELSE 0 END AS undescribed_carts
FROM (SELECT count(*) FROM outbox WHERE delivered_at IS NULL) o
LEFT JOIN LATERAL (SELECT recorded_at, error FROM outbox q WHERE q.delivered_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.run_id = q.lane AND r.state = 'stuck')
  ORDER BY q.seq LIMIT 1) d ON true,
  (SELECT count(*), min(stuck_at) AS oldest FROM run WHERE state = 'stuck') s,
  (SELECT count(*), min(COALESCE(leaving_at, recorded_at)) AS oldest FROM audience_member
    WHERE state = 'leaving') a
"""  # noqa: S608 - constants

_SELECT_STUCK_RUNS = """
SELECT r.run_id, r.journey, COALESCE(r.detail, o.error) AS reason, r.stuck_at AS since FROM run r
LEFT JOIN LATERAL (
  SELECT error FROM outbox WHERE lane = r.run_id AND delivered_at IS NULL ORDER BY seq LIMIT 1) o ON true
WHERE r.state = 'stuck' ORDER BY r.entered_at DESC LIMIT $1
"""

# An identifier may have been quarantined, released and quarantined again.
_SELECT_RECENT_QUARANTINES = """
SELECT i.type, i.value, max(l.recorded_at) AS quarantined_at FROM (
  SELECT key, recorded_at FROM identity_log WHERE kind = 'quarantined' ORDER BY recorded_at DESC LIMIT 100) l
JOIN identifier i ON i.type = split_part(l.key, ':', 1) AND i.value = substr(l.key, strpos(l.key, ':') + 1)
WHERE i.status = 'quarantined' GROUP BY i.type, i.value ORDER BY quarantined_at DESC, i.type, i.value LIMIT $1
"""


async def load_backlog(connection: Any, *, include_in_flight: bool = False) -> Backlog:
    """Return the current figures; ``include_in_flight``: also the three most expensive ones."""
    row = await connection.fetchrow(_SELECT_BACKLOG, include_in_flight)
    return from_row(Backlog, row, claim_to_accept=orjson.loads(row["claim_to_accept"] or "{}"))


async def list_stuck_runs(connection: Any, limit: int = 20) -> list[StuckRun]:
    """Return the newest stuck runs, with reasons."""
    return await fetch_as(connection, StuckRun, _SELECT_STUCK_RUNS, limit)


async def list_recent_quarantines(connection: Any, limit: int = 5) -> list[RecentQuarantine]:
    """Return the newest quarantines that still hold, newest first."""
    return await fetch_as(connection, RecentQuarantine, _SELECT_RECENT_QUARANTINES, limit)


async def list_live_journeys(connection: Any) -> dict[str, int]:
    """Return journey → number of its live runs."""
    query = "SELECT journey, count(*) AS count FROM run WHERE state <> 'ended' GROUP BY journey"
    return {row["journey"]: row["count"] for row in await connection.fetch(query)}


async def count_undescribed_carts(connection: Any) -> int:
    """Return how many of 1,000 open carts have an item of which a message has no name."""
    return int(await connection.fetchval(UNDESCRIBED_CARTS_SQL))
