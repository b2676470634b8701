"""Computed traits, updated by ingest: last seen per channel, and figures of orders and messages.

All are functions of the stored rows, and none of the current time. An event time after the arrival counts as
the arrival.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog

from profiles.db.savepoints import is_one_by_one, savepoint
from profiles.reading.ids import NORMAL_ID_SQL
from profiles.state.event_records import IncomingEvent

log = structlog.get_logger(__name__)

REFRESHING_EVENT_TYPES = frozenset(
    (
        *("Order Completed", "Order Updated", "Order Refunded", "Order Cancelled"),
        *("Message Opened", "Message Clicked", "Message Replied"),
    )
)
"""Events after which ``refresh_computed_traits`` is due; also after a merge, a split and a change of zone."""

_PASSIVE_EVENT_TYPES = ("Message Delivered", "Message Bounced")

_INTERNAL_SOURCE_PREFIX = "waypost/"

_PREFERENCES_SOURCE = "waypost/preferences"
"""The only one of Waypost's own sources that is an action of the profile."""

# ``with_event_seen`` over all events of profiles that gained or lost events.
_SELECT_LAST_SEEN = """
SELECT profile_id, jsonb_object_agg(channel, to_char(last AT TIME ZONE 'UTC',
  'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))::text AS seen
FROM (SELECT profile_id, channel, max(LEAST(time, at)) AS last FROM event
  WHERE profile_id = ANY(ARRAY(SELECT unnest($1::uuid[]))) AND type <> ALL($2)
    AND (NOT starts_with(source, $3) OR source = $4)
  GROUP BY profile_id, channel) e
GROUP BY profile_id
"""

# An order is identified by its order_id, else by its event. Its products need not have been readable.
_ORDER_FIGURES = f"""
SELECT count(*)::int AS orders, max(o.last) AS last_order_at, array_agg(o.first) AS placed FROM (
  SELECT min(LEAST(e.time, e.at)) AS first, max(LEAST(e.time, e.at)) AS last FROM event e
  CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(e.properties -> 'order_id') IN ('string', 'number')
      THEN NULLIF({NORMAL_ID_SQL.format("(e.properties ->> 'order_id')")}, '') END AS order_id) named
  WHERE e.profile_id = v.profile_id AND e.type = 'Order Completed' AND e.superseded_by IS NULL
  GROUP BY named.order_id, CASE WHEN named.order_id IS NULL THEN e.event_id END) o
"""  # noqa: S608 - constant fragment

# An order that two channels report is paid once. Numeric sums do not depend on the order of the rows; the
# bounds keep them in the range of the column's type.
_SPENDING_FIGURES = """
SELECT min(r.first) AS first_order_at,
  GREATEST(-1e300, LEAST(1e300, COALESCE(round(sum(r.paid), 2), 0)))::float8 AS spent
FROM (SELECT min(p.first) AS first, max(p.paid) AS paid
  FROM (SELECT u.order_id, u.event_id, min(LEAST(u.time, u.at)) AS first,
      sum(u.price::numeric * (u.quantity - u.returned)) AS paid
    FROM purchase u WHERE u.profile_id = v.profile_id
      AND NOT EXISTS (SELECT FROM event e WHERE e.event_id = u.event_id AND e.superseded_by IS NOT NULL)
    GROUP BY u.order_id, u.event_id) p
  GROUP BY p.order_id, CASE WHEN p.order_id IS NULL THEN p.event_id END) r
"""

# The day of an order is that of its first report: an ERP system may report it days later.
_VISIT_GAP_FIGURES = """
SELECT CASE WHEN count(gap) >= 2 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) END AS median_gap_days
FROM (SELECT day - lag(day) OVER (ORDER BY day) AS gap FROM (
  SELECT DISTINCT (min(LEAST(u.time, u.at)) AT TIME ZONE 'UTC')::date AS day FROM purchase u
  WHERE u.profile_id = v.profile_id
  GROUP BY u.order_id, CASE WHEN u.order_id IS NULL THEN u.event_id END) visit) between_visits
"""

_ENGAGEMENT_FIGURES = """
SELECT count(*) FILTER (WHERE m.status IN ('opened', 'clicked'))::int AS opens,
  count(*) FILTER (WHERE m.status = 'clicked')::int AS clicks,
  array_agg(m.engaged_at) FILTER (WHERE m.engaged_at IS NOT NULL) AS touched, max(m.engaged_at) AS last
FROM message m WHERE m.profile_id = v.profile_id
"""

_PREFERRED_CHANNEL = """
SELECT m.channel AS preferred_channel FROM message m
WHERE m.profile_id = v.profile_id AND m.engaged_at > e.last - interval '180 days'
GROUP BY m.channel ORDER BY count(*) DESC, m.channel <> 'email', m.channel LIMIT 1
"""

_PREFERRED_HOUR = """
SELECT EXTRACT(hour FROM t AT TIME ZONE COALESCE(v.timezone, 'UTC'))::int AS preferred_hour
FROM unnest(o.placed || e.touched) t GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
"""

_COMPUTED_COLUMNS = (
    *("orders", "last_order_at", "first_order_at", "spent", "median_gap_days"),
    *("opens", "clicks", "preferred_channel", "preferred_hour"),
)

_UPDATE_COMPUTED_TRAITS = f"""
UPDATE profile p SET ({", ".join(_COMPUTED_COLUMNS)})
  = ROW({", ".join(f"c.{name}" for name in _COMPUTED_COLUMNS)})
FROM (SELECT v.profile_id, {", ".join(_COMPUTED_COLUMNS)}
  FROM (SELECT profile_id, timezone FROM person
    WHERE profile_id = ANY(ARRAY(SELECT unnest($1::uuid[])))) v
  CROSS JOIN LATERAL ({_ORDER_FIGURES}) o CROSS JOIN LATERAL ({_SPENDING_FIGURES}) s
  CROSS JOIN LATERAL ({_VISIT_GAP_FIGURES}) r CROSS JOIN LATERAL ({_ENGAGEMENT_FIGURES}) e
  LEFT JOIN LATERAL ({_PREFERRED_CHANNEL}) n ON true LEFT JOIN LATERAL ({_PREFERRED_HOUR}) h ON true) c
WHERE p.profile_id = c.profile_id
  AND ({", ".join(f"p.{name}" for name in _COMPUTED_COLUMNS)})
    IS DISTINCT FROM ({", ".join(f"c.{name}" for name in _COMPUTED_COLUMNS)})
"""  # noqa: S608 - constant fragments


def with_event_seen(seen: dict[str, str], incoming: IncomingEvent, at: datetime) -> dict[str, str]:
    """Return channel → when the profile was last seen there, after one event.

    Returns the same object where nothing changes. ``at``: the arrival, which limits the event's own time.
    Deliveries, bounces and what Waypost writes itself (sweeps, consents by an operator) do not count. Times
    are UTC with microseconds, so that text sorts as time. The result does not depend on the order of events.
    """
    by_waypost = (
        incoming.source.startswith(_INTERNAL_SOURCE_PREFIX) and incoming.source != _PREFERENCES_SOURCE
    )
    if by_waypost or incoming.type in _PASSIVE_EVENT_TYPES:
        return seen
    last = min(incoming.time, at).astimezone(UTC).isoformat(timespec="microseconds")
    return seen if last <= seen.get(incoming.channel, "") else {**seen, incoming.channel: last}


async def load_last_seen(connection: Any, profile_ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return ``with_event_seen`` over all events of each profile; a profile without events is left out."""
    sources = (_INTERNAL_SOURCE_PREFIX, _PREFERENCES_SOURCE)
    rows = await connection.fetch(_SELECT_LAST_SEEN, list(profile_ids), list(_PASSIVE_EVENT_TYPES), *sources)
    return {row["profile_id"]: orjson.loads(row["seen"]) for row in rows}


async def refresh_computed_traits(connection: Any, profile_ids: Sequence[UUID]) -> None:
    """Recompute the figures of these profiles' orders and messages, in one statement. Idempotent.

    Called after all other writes of a transaction, for profiles that got an event of
    ``REFRESHING_EVENT_TYPES``, were merged or split, or got another ``timezone``. Rows that are right are
    not written. Merged and erased profiles are skipped.
    Locks held: those of the profiles.
    """
    if not is_one_by_one():
        if profile_ids:
            await connection.execute(_UPDATE_COMPUTED_TRAITS, sorted(set(profile_ids)))
        return
    for profile_id in sorted(set(profile_ids)):
        async with savepoint(connection, partial(_log_outdated, profile_id)):
            await connection.execute(_UPDATE_COMPUTED_TRAITS, [profile_id])


def _log_outdated(profile_id: UUID, error: Exception) -> None:
    log.error("figures of a profile are out of date", profile_id=str(profile_id), error=repr(error)[:300])
