"""The SQL behind ``Changes``: each statement takes its rows as one jsonb parameter, $1."""


def _insert(table: str, columns: str, conflict: str = "") -> str:
    return (
        f"INSERT INTO {table} ({columns}) SELECT {columns} "  # noqa: S608 - constant names
        f"FROM jsonb_populate_recordset(NULL::{table}, $1) {conflict}"
    )


INSERTS = {
    "purchase": _insert(
        "purchase",
        "event_id, line, profile_id, order_id, item, sku, name, price, quantity, returned, channel, time, at",
    ),
    "suppression": _insert(
        "suppression", "profile_id, event_id, line, item, sku, order_id, until, reason, scope, of, parts"
    ),
    "consent": _insert(
        "consent",
        "profile_id, channel, topic, state, source, text_version, method, jurisdiction, verified, voice, "
        "named, event_id, time, at",
    ),
    "outbox": _insert("outbox", "lane, kind, name, event_id, payload, trigger"),
}
"""In the order of the rows, which is the order of the events."""

# A complaint weighs more than a bounce.
ADDRESS_PROBLEMS = _insert(
    "address_problem",
    "channel, address, problem, at",
    "ON CONFLICT (channel, address) DO UPDATE SET problem = excluded.problem, at = excluded.at "
    "WHERE address_problem.problem <> 'complained'",
)

RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, clock_offset_s, signals,
  entered_at, on_merge)
SELECT run_id, journey, key, profile_id, 'running', workflow_id, entry_event, clock_offset_s, 0, entered_at,
  on_merge
FROM jsonb_populate_recordset(NULL::run, $1) ORDER BY journey, key, run_id
ON CONFLICT (journey, key) WHERE state <> 'ended' DO NOTHING RETURNING run_id
"""

CARTS = _insert(
    "cart",
    "profile_id, cart_id, lines, updated_at, closed_at",
    "ON CONFLICT (profile_id, cart_id) DO UPDATE "
    "SET lines = excluded.lines, updated_at = excluded.updated_at, closed_at = excluded.closed_at",
)

PROFILES = """
UPDATE profile p SET traits = c.traits, origins = c.origins, context_timezone = c.context_timezone,
  context_locale = c.context_locale, email_from_order = c.email_from_order,
  last_checkout_at = c.last_checkout_at, sure_checkout_at = c.sure_checkout_at,
  email_ordered = c.email_ordered, seen = c.seen, carts_time = c.carts_time, carts_key = c.carts_key
FROM jsonb_populate_recordset(NULL::profile, $1) c WHERE p.profile_id = c.profile_id
"""

EVENTS = """
UPDATE event e SET profile_id = c.profile_id, cart_id = c.cart_id, problems = c.problems
FROM jsonb_populate_recordset(NULL::event, $1) c WHERE e.event_id = c.event_id
"""

MESSAGES = """
UPDATE message m SET status = CASE WHEN m.status = ANY(c.lower) THEN c.status ELSE m.status END,
  engaged_at = GREATEST(m.engaged_at, c.engaged_at), complained_at = LEAST(m.complained_at, c.complained_at)
FROM jsonb_to_recordset($1) AS c(message_id uuid, status text, lower text[], engaged_at timestamptz,
  complained_at timestamptz)
WHERE m.message_id = c.message_id
  AND (m.status = ANY(c.lower) OR c.engaged_at IS NOT NULL OR c.complained_at IS NOT NULL)
"""

SIGNALS = """
UPDATE run r SET signals = c.signals FROM jsonb_populate_recordset(NULL::run, $1) c WHERE r.run_id = c.run_id
"""

LEAVE = """
UPDATE audience_member a SET state = 'leaving', reason = c.reason, leaving_at = now()
FROM jsonb_to_recordset($1) AS c(member_id uuid, reason text) WHERE a.member_id = c.member_id
"""

RARE_EVENTS = (
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)
"""All but the events that come by the dozen, which an index of a person's cases can do without."""

STRONGEST_IDENTIFIER = """
JOIN LATERAL (SELECT type, value FROM identifier WHERE profile_id = p.profile_id
  AND status <> 'quarantined' ORDER BY array_position(ARRAY['user_id', 'loyalty_id', 'email', 'phone',
    'push_token', 'anonymous_id', 'email_sha256'], type), value
  LIMIT 1) i ON true
"""
"""Joins to a profile ``p`` the identifier ``i`` by which Waypost's own events name the person."""

NOTIFY = "SELECT pg_notify('waypost_outbox', '')"

# Where both name a variant, only that variant came back: the customer still has the others. A product that is
# named without a quantity came back once on each line that fits; one with a quantity, line by line, as far as
# it goes. What is given back in part is still owned. Whom else the purchase suppressed for is freed as well.
LIFT = """
WITH undone AS (SELECT profile_id, order_id, event_id, item, sku, verified, max(at) AS at,
    count(*) FILTER (WHERE quantity IS NULL) AS times, COALESCE(sum(quantity), 0) AS quantity
  FROM jsonb_to_recordset($1) AS u(profile_id uuid, order_id text, event_id uuid,
    item text, sku text, quantity int, at timestamptz, verified boolean)
  GROUP BY profile_id, order_id, event_id, item, sku, verified),
fitting AS (SELECT p.event_id, p.line, u.item, u.times, u.quantity, GREATEST(u.at, p.at) AS at,
    p.quantity - p.returned AS there,
    COALESCE(sum(p.quantity - p.returned) OVER (PARTITION BY p.event_id, u.item, u.sku, u.verified, u.event_id
      ORDER BY p.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
  FROM purchase p JOIN undone u ON p.profile_id = u.profile_id AND p.order_id = u.order_id
    AND (u.event_id IS NULL OR p.event_id = u.event_id)
    AND (u.verified OR NOT (SELECT e.verified FROM event e WHERE e.event_id = p.event_id))
    AND (u.item IS NULL
      OR CASE WHEN p.sku IS NULL OR u.sku IS NULL THEN p.item = u.item ELSE p.sku = u.sku END)),
given_back AS (SELECT event_id, line, max(at) AS at, sum(CASE WHEN item IS NULL THEN there
      ELSE times + LEAST(there, GREATEST(0, quantity - before)) END)::int AS quantity
  FROM fitting GROUP BY event_id, line),
returned AS (UPDATE purchase p SET returned = LEAST(p.quantity, p.returned + r.quantity) FROM given_back r
  WHERE p.event_id = r.event_id AND p.line = r.line
  RETURNING p.event_id, p.line, p.returned >= p.quantity AS wholly, r.at)
UPDATE suppression s SET lifted_at = r.at FROM returned r
WHERE r.wholly AND s.event_id = r.event_id AND s.line = r.line AND s.lifted_at IS NULL
"""
