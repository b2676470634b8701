"""Everybody's record in Postgres as plain values, without what hangs on the order of its arrival."""

import re
from typing import Any

import orjson

from profiles.db.database import Database

_MADE = re.compile(r"cart-[0-9a-f]{32}")

_PEOPLE = """
SELECT p.profile_id, p.traits::text AS traits, p.origins::text AS origins, p.context_timezone,
  p.context_locale, p.email_from_order, p.last_checkout_at, p.seen::text AS seen, p.orders, p.spent,
  p.email_ordered, p.first_order_at, p.last_order_at, p.median_gap_days, p.preferred_hour, p.opens, p.clicks,
  p.preferred_channel, p.lapsed_after,
  (SELECT array_agg(type || ':' || value ORDER BY type, value) FROM identifier i
    WHERE i.profile_id = p.profile_id) AS identifiers,
  (SELECT jsonb_object_agg(type || ':' || value, jsonb_build_array(linked_at, vouched, status))
    FROM identifier i WHERE i.profile_id = p.profile_id)::text AS links,
  (SELECT jsonb_agg(jsonb_build_array(cart_id, lines, closed_at IS NULL, updated_at)) FROM cart c
    WHERE c.profile_id = p.profile_id)::text AS carts,
  (SELECT jsonb_agg(jsonb_build_array(e.source, e.id, u.line, u.item, u.sku, u.quantity, u.returned,
      u.order_id) ORDER BY e.source, e.id, u.line) FROM purchase u JOIN event e USING (event_id)
    WHERE u.profile_id = p.profile_id)::text AS purchases,
  (SELECT jsonb_agg(jsonb_build_array(e.source, e.id, s.line, s.item, s.until, s.lifted_at IS NULL,
      s.scope, s.of, s.parts)
      ORDER BY e.source, e.id, s.line) FROM suppression s JOIN event e USING (event_id)
    WHERE s.profile_id = p.profile_id)::text AS suppressions,
  (SELECT jsonb_agg(jsonb_build_array(channel, topic, state, source, time) ORDER BY channel, topic)
    FROM consent_state c WHERE c.profile_id = p.profile_id)::text AS consents,
  (SELECT jsonb_agg(jsonb_build_array(source, id) ORDER BY source, id) FROM event e
    WHERE e.profile_id = p.profile_id)::text AS events,
  (SELECT jsonb_agg(jsonb_build_array(r.journey, e.source, e.id, r.key, r.state, r.outcome)
      ORDER BY r.journey, e.source, e.id, r.key) FROM run r JOIN event e ON e.event_id = r.entry_event
    WHERE r.profile_id = p.profile_id)::text AS runs,
  (SELECT jsonb_agg(jsonb_build_array(message_id, status) ORDER BY message_id) FROM message m
    WHERE m.profile_id = p.profile_id)::text AS messages
FROM profile p WHERE p.merged_into IS NULL
"""

Record = dict[tuple[str, ...], dict[str, Any]]


async def record(database: Database, *, exactly: bool = False) -> Record:
    """Identifiers of each person → all that is known of them.

    Ids that Waypost makes up count as equal, unless ``exactly``: then profile and cart ids are compared too,
    and so are runs and messages, which know of the order of arrival.
    """
    async with database.transaction() as connection:
        rows = [dict(row) for row in await connection.fetch(_PEOPLE)]
    return {tuple(row["identifiers"]): _plain(row, exactly) for row in rows if row["identifiers"]}


def _plain(row: dict[str, Any], exactly: bool) -> dict[str, Any]:
    plain = {
        name: orjson.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
        for name, value in row.items()
    }
    if not exactly:
        del plain["profile_id"], plain["runs"], plain["messages"]
        plain["carts"] = [
            ["made" if _MADE.fullmatch(cart_id) else cart_id, lines, is_open, updated_at]
            for cart_id, lines, is_open, updated_at in plain["carts"] or []
        ]
    if len(row["identifiers"]) == 1:
        # An identifier that stands alone was never linked, and nothing asks since when.
        del plain["links"]
    plain["carts"] = sorted(plain["carts"] or [], key=lambda cart: orjson.dumps(cart))
    return plain


TABLES = (
    *("profile", "identifier", "identity_link", "identity_cut", "identity_log", "event", "cart", "purchase"),
    *("suppression", "consent", "consent_state", "opt_out", "run", "outbox", "message", "decision"),
    *("audience_member", "segment_member", "exposure"),
)


async def forget_all(database: Database) -> None:
    """An empty shop."""
    await erase(database, f"TRUNCATE {', '.join(TABLES)}")


async def erase(database: Database, statement: str) -> None:
    """Do what a ledger refuses to everybody but an erasure."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL waypost.erasing = 'on'")
        await connection.execute(statement)
