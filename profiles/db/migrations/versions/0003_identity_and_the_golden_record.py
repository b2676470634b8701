"""Identity with its evidence, consents as a fold, fields with their origin, and computed traits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"

down_revision = "0002"

branch_labels = None

depends_on = None

# Scalar subqueries only: those a query does not ask for are never run.
_PERSON = r"""
CREATE VIEW person AS SELECT
  p.profile_id,
  p.traits,
  p.orders,
  round(p.spent::numeric, 2) AS spent,
  p.first_order_at,
  p.last_order_at,
  floor(EXTRACT(epoch FROM now() - p.last_order_at) / 86400)::int AS days_since_order,
  p.median_gap_days,
  p.created_at,
  (SELECT max(e.at) FROM event e WHERE e.profile_id = p.profile_id) AS last_event_at,
  (SELECT COALESCE(sum(jsonb_array_length(c.lines)), 0)::int FROM cart c
    WHERE c.profile_id = p.profile_id AND c.closed_at IS NULL) AS open_cart_items,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'email'
    AND i.status <> 'quarantined' AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'email' AND a.address = i.value)) AS reachable_email,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'phone'
    AND i.status <> 'quarantined' AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'sms' AND a.address = i.value)) AS reachable_sms,
  (SELECT zone FROM (VALUES (1, btrim(p.traits ->> 'timezone')), (2, p.context_timezone)) said(place, zone)
    WHERE zone = 'UTC' OR (zone ~ '^([A-Za-z_]+(/[A-Za-z_+-]+){1,2}|Etc/GMT(0|[+-][0-9]{1,2}))$'
      AND pg_input_is_valid('2000-01-01 00:00 ' || zone, 'timestamptz'))
    ORDER BY place LIMIT 1) AS timezone,
  (SELECT tag FROM (VALUES (1, p.traits -> 'locale'), (2, p.traits -> 'language'),
      (3, to_jsonb(p.context_locale))) said(place, word)
    CROSS JOIN LATERAL (SELECT word #>> '{}' AS tag) spelled
    WHERE jsonb_typeof(word) = 'string' AND btrim(tag) <> '' ORDER BY place LIMIT 1) AS locale,
  p.preferred_channel,
  p.preferred_hour,
  p.opens,
  p.clicks,
  (SELECT max(time::timestamptz) FROM jsonb_each_text(p.seen) s(channel, time)) AS last_seen
FROM profile p WHERE p.merged_into IS NULL AND p.erased_at IS NULL
"""

# As revision 0002 made it, for going back.
_PERSON_BEFORE = """
CREATE VIEW person AS SELECT
  p.profile_id,
  p.traits,
  p.orders,
  (SELECT COALESCE(round(sum(u.price * (u.quantity - u.returned))::numeric, 2), 0) FROM purchase u
    WHERE u.profile_id = p.profile_id) AS spent,
  (SELECT min(u.time) FROM purchase u WHERE u.profile_id = p.profile_id) AS first_order_at,
  p.last_order_at,
  floor(EXTRACT(epoch FROM now() - p.last_order_at) / 86400)::int AS days_since_order,
  (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FROM (
    SELECT day - lag(day) OVER (ORDER BY day) AS gap FROM (
      SELECT DISTINCT (u.time AT TIME ZONE 'UTC')::date AS day FROM purchase u
      WHERE u.profile_id = p.profile_id) visit) between_visits
    HAVING count(gap) >= 2) AS median_gap_days,
  p.created_at,
  (SELECT max(e.at) FROM event e WHERE e.profile_id = p.profile_id) AS last_event_at,
  (SELECT COALESCE(sum(jsonb_array_length(c.lines)), 0)::int FROM cart c
    WHERE c.profile_id = p.profile_id AND c.closed_at IS NULL) AS open_cart_items,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'email'
    AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'email' AND a.address = i.value)) AS reachable_email,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.type = 'phone'
    AND NOT EXISTS (SELECT 1 FROM address_problem a
      WHERE a.channel = 'sms' AND a.address = i.value)) AS reachable_sms
FROM profile p WHERE p.merged_into IS NULL AND p.erased_at IS NULL
"""

# Computed traits of the existing profiles, from their orders and messages.
_COMPUTED = r"""
UPDATE profile p SET (orders, last_order_at, first_order_at, spent, median_gap_days, opens, clicks,
    preferred_channel, preferred_hour) =
  ROW(c.orders, c.last_order_at, c.first_order_at, c.spent, c.median_gap_days, c.opens, c.clicks,
    c.preferred_channel, c.preferred_hour)
FROM (SELECT v.profile_id, orders, last_order_at, first_order_at, spent, median_gap_days, opens, clicks,
    preferred_channel, preferred_hour
  FROM (SELECT profile_id, timezone FROM person) v
  CROSS JOIN LATERAL (
SELECT count(*)::int AS orders, max(o.last) AS last_order_at, array_agg(o.first) AS placed FROM (
  SELECT min(LEAST(e.time, e.at)) AS first, max(LEAST(e.time, e.at)) AS last FROM event e
  CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(e.properties -> 'order_id')
      WHEN 'string' THEN NULLIF(btrim(e.properties ->> 'order_id', E' \t\n\r\f\v'), '')
      WHEN 'number' THEN substring(e.properties ->> 'order_id' FROM '^-?[0-9]+$') END AS order_id) named
  WHERE e.profile_id = v.profile_id AND e.type = 'Order Completed'
  GROUP BY named.order_id, CASE WHEN named.order_id IS NULL THEN e.event_id END) o
) o CROSS JOIN LATERAL (
SELECT min(r.first) AS first_order_at,
  GREATEST(-1e300, LEAST(1e300, COALESCE(round(sum(r.paid), 2), 0)))::float8 AS spent
FROM (SELECT min(p.first) AS first, max(p.paid) AS paid
  FROM (SELECT u.order_id, u.event_id, min(LEAST(u.time, u.at)) AS first,
      sum(u.price::numeric * (u.quantity - u.returned)) AS paid
    FROM purchase u WHERE u.profile_id = v.profile_id GROUP BY u.order_id, u.event_id) p
  GROUP BY p.order_id, CASE WHEN p.order_id IS NULL THEN p.event_id END) r
) s CROSS JOIN LATERAL (
SELECT CASE WHEN count(gap) >= 2 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) END AS median_gap_days
FROM (SELECT day - lag(day) OVER (ORDER BY day) AS gap FROM (
  SELECT DISTINCT (LEAST(u.time, u.at) AT TIME ZONE 'UTC')::date AS day FROM purchase u
  WHERE u.profile_id = v.profile_id) visit) between_visits
) r
  CROSS JOIN LATERAL (
SELECT count(*) FILTER (WHERE m.status IN ('opened', 'clicked'))::int AS opens,
  count(*) FILTER (WHERE m.status = 'clicked')::int AS clicks,
  array_agg(m.engaged_at) FILTER (WHERE m.engaged_at IS NOT NULL) AS touched, max(m.engaged_at) AS last
FROM message m WHERE m.profile_id = v.profile_id
) e
  LEFT JOIN LATERAL (
SELECT m.channel AS preferred_channel FROM message m
WHERE m.profile_id = v.profile_id AND m.engaged_at > e.last - interval '180 days'
GROUP BY m.channel ORDER BY count(*) DESC, m.channel <> 'email', m.channel LIMIT 1
) n ON true LEFT JOIN LATERAL (
SELECT EXTRACT(hour FROM t AT TIME ZONE COALESCE(v.timezone, 'UTC'))::int AS preferred_hour
FROM unnest(o.placed || e.touched) t GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
) h ON true) c
WHERE p.profile_id = c.profile_id
"""

_PROVIDERS = (
    "'gmail.com', 'googlemail.com', 'outlook.com', 'outlook.de', 'outlook.fr', 'outlook.es', 'outlook.it', "
    "'outlook.co.uk', 'hotmail.com', 'hotmail.de', 'hotmail.fr', 'hotmail.es', 'hotmail.it', "
    "'hotmail.co.uk', 'live.com', 'live.de', 'live.fr', 'live.nl', 'live.co.uk', 'msn.com', 'passport.com', "
    "'icloud.com', 'me.com', 'mac.com', 'fastmail.com', 'fastmail.fm', 'proton.me', 'protonmail.com', "
    "'protonmail.ch', 'pm.me'"
)
"""Of mailboxes that are written in several ways."""


def _stamp() -> sa.Column[object]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _identifiers()
    _links()
    _cuts_and_log()
    _consents()
    _spellings()
    _together()
    _profiles()
    _products()
    _what_is_known_already()
    op.execute("DROP VIEW person")
    op.execute(_PERSON)
    op.execute(_COMPUTED)


def _identifiers() -> None:
    op.add_column("identifier", sa.Column("origin", sa.Uuid(), nullable=True))
    op.add_column("identifier", _time("since", nullable=True))
    op.add_column("identifier", _time("linked_at", nullable=True))
    op.add_column("identifier", sa.Column("status", sa.Text(), server_default="good", nullable=False))
    op.add_column(
        "identifier", sa.Column("vouched", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute("UPDATE identifier SET origin = profile_id, since = created_at, linked_at = created_at")
    for name in ("origin", "since", "linked_at"):
        op.alter_column("identifier", name, nullable=False)
    op.create_index(
        "identifier_quarantined",
        "identifier",
        ["type", "value"],
        postgresql_where=sa.text("status = 'quarantined'"),
    )
    op.add_column(
        "event", sa.Column("verified", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("run", sa.Column("on_merge", sa.Text(), server_default="continue", nullable=False))


def _links() -> None:
    op.create_table(
        "identity_link",
        sa.Column("link_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.ARRAY(sa.Text()), nullable=False),
        _time("time"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        _time("at"),
        _stamp(),
        sa.PrimaryKeyConstraint("link_id"),
        sa.UniqueConstraint("digest", "verified", name="identity_link_digest"),
    )
    op.create_index(
        "identity_link_keys",
        "identity_link",
        ["keys"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    # The senders of stored events are not known, so their links count as unverified.
    op.execute(
        """
        WITH named AS (
          SELECT e.event_id, LEAST(e.time, e.at) AS time, e.source, e.id, e.at, k.keys FROM event e
          JOIN LATERAL (SELECT array_agg(t.type || ':' || v.value ORDER BY array_position(
              ARRAY['user_id', 'loyalty_id', 'email', 'phone', 'anonymous_id'], t.type), v.value COLLATE "C")
              AS keys
            FROM jsonb_each(e.identifiers) t(type, held), jsonb_array_elements_text(t.held) v(value)) k
            ON array_length(k.keys, 1) > 1)
        INSERT INTO identity_link (digest, verified, keys, time, source, id, event_id, at)
        SELECT DISTINCT ON (keys) sha256(convert_to(array_to_string(keys, chr(31)), 'UTF8')), false, keys,
          time, source, id, event_id, at
        FROM named ORDER BY keys, time, source COLLATE "C", id COLLATE "C"
        """
    )


def _spellings() -> None:
    """Addresses get the one spelling of a mailbox beside the one they came in, so that both find it."""
    for table, column, columns in (
        ("identifier", "value", "type, value, profile_id, origin, since, linked_at, created_at"),
        ("opt_out", "address", "channel, address, topic, source, state, time, at"),
        ("address_problem", "address", "channel, address, problem, at"),
    ):
        kind = "type" if table == "identifier" else "channel"
        respelled = columns.replace(column, "spelled", 1)
        op.execute(
            f"""
            INSERT INTO {table} ({columns})
            SELECT {respelled} FROM (SELECT *, CASE
                WHEN domain IN ('gmail.com', 'googlemail.com')
                  THEN replace(split_part(local, '+', 1), '.', '') || '@gmail.com'
                ELSE split_part(local, '+', 1) || '@' || domain END AS spelled
              FROM (SELECT *, lower(split_part({column}, '@', 1)) AS local,
                  lower(split_part({column}, '@', 2)) AS domain FROM {table} WHERE {kind} = 'email') parts
              WHERE domain IN ({_PROVIDERS})) new
            WHERE spelled <> {column} AND spelled NOT LIKE '@%' ON CONFLICT DO NOTHING
            """  # noqa: S608 - constant names
        )


def _together() -> None:
    # Identifiers of one profile stay together, unless a rule forbids it.
    op.execute(
        """
        INSERT INTO identity_link (digest, verified, keys, time, source, id, event_id, at)
        SELECT sha256(convert_to(array_to_string(keys, chr(31)), 'UTF8')), false, keys, since,
          'waypost/upgrade', profile_id::text, profile_id, since
        FROM (SELECT profile_id, min(since) AS since, array_agg(type || ':' || value ORDER BY
            array_position(ARRAY['user_id', 'loyalty_id', 'email', 'phone', 'anonymous_id'], type),
            value COLLATE "C") AS keys
          FROM identifier GROUP BY profile_id HAVING count(*) > 1) people
        ON CONFLICT (digest, verified) DO NOTHING
        """
    )


def _cuts_and_log() -> None:
    op.create_table(
        "identity_cut",
        sa.Column("cut_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("one", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("at"),
        _time("lifted_at", nullable=True),
        _stamp(),
        sa.PrimaryKeyConstraint("cut_id"),
    )
    op.create_index("identity_cut_one", "identity_cut", ["one"])
    op.create_index("identity_cut_other", "identity_cut", ["other"])
    op.create_table(
        "identity_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _time("at"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=True),
        sa.Column("other_profile_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("other_key", sa.Text(), nullable=True),
        sa.Column("cause", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        _stamp(),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_identity_log_profile_id", "identity_log", ["profile_id"])
    op.create_index("ix_identity_log_other_profile_id", "identity_log", ["other_profile_id"])
    op.create_index(
        "identity_log_quarantined",
        "identity_log",
        ["recorded_at"],
        postgresql_where=sa.text("kind = 'quarantined'"),
    )
    op.execute(
        """
        CREATE FUNCTION identity_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'identity_log is append-only: write another row'; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER identity_log_stays BEFORE UPDATE OR DELETE ON identity_log "
        "FOR EACH ROW EXECUTE FUNCTION identity_log_stays()"
    )


def _consents() -> None:
    op.add_column(
        "consent", sa.Column("verified", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("consent", sa.Column("voice", sa.Text(), nullable=True))
    op.add_column(
        "consent",
        sa.Column("named", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_index(
        "consent_withdrawn_by",
        "consent",
        ["named"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("state = 'withdrawn'"),
    )
    op.create_table(
        "consent_state",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        _time("time"),
        _time("at"),
        _stamp(),
        sa.PrimaryKeyConstraint("profile_id", "channel", "topic"),
    )
    op.execute(
        """
        INSERT INTO consent_state (profile_id, channel, topic, state, source, event_id, time, at)
        SELECT DISTINCT ON (profile_id, channel, topic) profile_id, channel, topic, state, source, event_id,
          time, at
        FROM consent ORDER BY profile_id, channel, topic, seq DESC
        """
    )
    op.add_column("opt_out", sa.Column("state", sa.Text(), server_default="withdrawn", nullable=False))
    op.add_column("opt_out", _time("time", nullable=True))
    op.execute("UPDATE opt_out SET time = at")
    op.alter_column("opt_out", "time", nullable=False)


def _products() -> None:
    op.add_column(
        "product", sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def _profiles() -> None:
    for column in (
        sa.Column("origins", sa.dialects.postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("context_locale", sa.Text(), nullable=True),
        _time("last_checkout_at", nullable=True),
        _time("sure_checkout_at", nullable=True),
        _time("first_order_at", nullable=True),
        sa.Column("spent", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("median_gap_days", sa.Float(), nullable=True),
        sa.Column("seen", sa.dialects.postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("opens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("clicks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("preferred_channel", sa.Text(), nullable=True),
        sa.Column("preferred_hour", sa.Integer(), nullable=True),
        _time("carts_time", nullable=True),
        sa.Column("carts_key", sa.Text(), nullable=True),
    ):
        op.add_column("profile", column)


def _what_is_known_already() -> None:
    # Values of the columns above for existing profiles, from their stored events.
    op.execute(
        """
        UPDATE profile p SET last_checkout_at = c.last, sure_checkout_at = c.last FROM (
          SELECT profile_id, max(LEAST(time, at)) AS last FROM event
          WHERE type IN ('Order Completed', 'Checkout Started') GROUP BY profile_id) c
        WHERE c.profile_id = p.profile_id
        """
    )
    op.execute(
        """
        UPDATE profile p SET seen = s.seen FROM (
          SELECT profile_id, jsonb_object_agg(channel, last) AS seen FROM (
            SELECT profile_id, channel, to_char(max(LEAST(time, at)) AT TIME ZONE 'UTC',
              'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS last FROM event
            WHERE profile_id IS NOT NULL AND type NOT IN ('Message Delivered', 'Message Bounced')
              AND (source NOT LIKE 'waypost/%' OR source = 'waypost/preferences')
            GROUP BY profile_id, channel) c GROUP BY profile_id) s
        WHERE s.profile_id = p.profile_id
        """
    )
    op.execute(
        """
        UPDATE profile p SET carts_time = c.time, carts_key = c.key FROM (
          SELECT DISTINCT ON (profile_id) profile_id, LEAST(time, at) AS time,
            '1' || chr(31) || source || chr(31) || id AS key
          FROM event WHERE type IN ('Product Added', 'Product Removed', 'Cart Viewed', 'Checkout Started',
            'Price Dropped', 'Order Completed')
          ORDER BY profile_id, LEAST(time, at) DESC, source COLLATE "C" DESC, id COLLATE "C" DESC) c
        WHERE c.profile_id = p.profile_id
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW person")
    op.execute(_PERSON_BEFORE)
    for name in (
        *("origins", "context_locale", "last_checkout_at", "sure_checkout_at", "first_order_at", "spent"),
        "median_gap_days",
        *("seen", "opens", "clicks", "preferred_channel", "preferred_hour", "carts_time", "carts_key"),
    ):
        op.drop_column("profile", name)
    op.drop_column("product", "verified")
    op.execute("DELETE FROM opt_out WHERE state <> 'withdrawn'")
    for table, names in (
        ("opt_out", ("state", "time")),
        ("consent", ("verified", "voice", "named")),
        ("event", ("verified",)),
        ("run", ("on_merge",)),
    ):
        for name in names:
            op.drop_column(table, name)
    op.drop_table("consent_state")
    op.drop_table("identity_log")
    op.execute("DROP FUNCTION identity_log_stays")
    op.drop_table("identity_cut")
    op.drop_table("identity_link")
    op.drop_index("identifier_quarantined", table_name="identifier")
    for name in ("origin", "since", "linked_at", "status", "vouched"):
        op.drop_column("identifier", name)
