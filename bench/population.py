"""A population generated in Postgres: profiles, identifiers with their evidence, events, carts, purchases."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg

_BULK_LOAD_SETTINGS = {
    "synchronous_commit": "off",
    "work_mem": "256MB",
    "maintenance_work_mem": "256MB",
    "jit": "off",
}

_ONE_IN = {"user_id": 3, "cart": 8, "order": 5}
"""One in so many people has it."""
_UNNAMED_ONE_IN = 10
"""One in so many people has no identifier but a browser's anonymous id."""

# The people arrive over a year, so that no window of the limits contains more than a share of them.
_CREATE_PEOPLE = f"""
CREATE UNLOGGED TABLE made AS SELECT *, encode(sha256(email::bytea), 'hex') AS email_sha256 FROM (
  SELECT n, ('018f0001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS profile_id,
    ('018f0002-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS event_id,
    md5('browser-' || n) AS browser,
    CASE WHEN n % {_UNNAMED_ONE_IN} <> 0 THEN 'person' || n || '@example.com' END AS email,
    CASE WHEN n % {_UNNAMED_ONE_IN} <> 0 AND n % {_ONE_IN["user_id"]} = 0 THEN 'u-' || n END AS user_id,
    n % {_ONE_IN["cart"]} = 1 AS has_cart, n % {_ONE_IN["order"]} = 2 AS has_bought,
    now() - interval '1 year' + interval '360 days' * n / $1 AS time
  FROM generate_series(1, $1::bigint) n) people
"""

_CART_LINES_SQL = """jsonb_build_array(jsonb_build_object('product_id', 'p-' || n % 200,
  'sku', 'p-' || n % 200 || '-red', 'name', 'Lamp number ' || n % 200, 'price', 10 + n % 200,
  'quantity', 1))"""

_INSERT_BY_TABLE = {
    "profile": """
    INSERT INTO profile (profile_id, traits, origins, context_timezone, email_from_order, last_order_at,
      orders, last_checkout_at, first_order_at, spent, seen, carts_time, carts_key, created_at)
    SELECT profile_id, '{"first_name": "Ada", "city": "Berlin"}',
      jsonb_build_object('first_name', said, 'city', said, 'context.timezone', said), 'Europe/Berlin',
      has_bought AND email IS NOT NULL, bought, has_bought::int, bought, bought,
      CASE WHEN has_bought THEN 10 + n % 200 ELSE 0 END, jsonb_build_object('web', said -> 'time'),
      CASE WHEN has_cart OR has_bought THEN time END,
      CASE WHEN has_cart OR has_bought THEN '0' || chr(31) || 'shop/web' || chr(31) || 'p-' || n END, time
    FROM made CROSS JOIN LATERAL (SELECT CASE WHEN has_bought THEN time END AS bought, jsonb_build_object(
      'time', to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), 'source', 'shop/web',
      'event_id', 'p-' || n, 'rank', 2) AS said OFFSET 0) s
    """,
    "identifier": """
    INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, vouched, created_at)
    SELECT 'anonymous_id', browser, profile_id, profile_id, time, time, false, time FROM made
    UNION ALL SELECT 'email', email, profile_id, profile_id, time, time, true, time FROM made
      WHERE email IS NOT NULL
    UNION ALL SELECT 'email_sha256', email_sha256, profile_id, profile_id, time, time, false, time FROM made
      WHERE email IS NOT NULL
    UNION ALL SELECT 'user_id', user_id, profile_id, profile_id, time, time, true, time FROM made
      WHERE user_id IS NOT NULL
    """,
    "identity_link": """
    INSERT INTO identity_link (digest, verified, keys, time, source, id, event_id, at)
    SELECT sha256(convert_to(array_to_string(keys, chr(31)), 'UTF8')), true, keys, time, 'shop/web',
      'p-' || n, event_id, time
    FROM made CROSS JOIN LATERAL (SELECT array_remove(ARRAY['user_id:' || user_id, 'email:' || email,
      'anonymous_id:' || browser, 'email_sha256:' || email_sha256], NULL) AS keys OFFSET 0) k
    WHERE email IS NOT NULL
    """,
    "event": f"""
    INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at, profile_id, cart_id,
      identifiers, properties, traits, context)
    SELECT event_id, 'shop/web', 'p-' || n, sha256(('p-' || n)::bytea),
      CASE WHEN has_bought THEN 'Order Completed' WHEN has_cart THEN 'Cart Viewed' ELSE 'Signed In' END,
      'web', time, time, profile_id, CASE WHEN has_cart THEN 'cart-' || n END,
      jsonb_build_object('anonymous_id', jsonb_build_array(browser))
        || CASE WHEN email IS NULL THEN '{{}}' ELSE jsonb_build_object('email', jsonb_build_array(email)) END
        || CASE WHEN user_id IS NULL THEN '{{}}'
          ELSE jsonb_build_object('user_id', jsonb_build_array(user_id)) END,
      CASE WHEN has_bought THEN jsonb_build_object('order_id', 'o-p-' || n, 'products', {_CART_LINES_SQL})
        WHEN has_cart THEN jsonb_build_object('cart_id', 'cart-' || n, 'products', {_CART_LINES_SQL})
        ELSE '{{}}' END,
      '{{"first_name": "Ada", "city": "Berlin"}}', '{{"timezone": "Europe/Berlin"}}'
    FROM made
    """,
    "cart": f"""
    INSERT INTO cart (profile_id, cart_id, lines, updated_at)
    SELECT profile_id, 'cart-' || n, {_CART_LINES_SQL}, time FROM made WHERE has_cart AND NOT has_bought
    """,
    "purchase": """
    INSERT INTO purchase (event_id, line, profile_id, order_id, item, sku, name, price, quantity, returned,
      channel, time, at)
    SELECT event_id, 0, profile_id, 'o-p-' || n, 'p-' || n % 200, 'p-' || n % 200 || '-red',
      'Lamp number ' || n % 200, 10 + n % 200, 1, 0, 'web', time, time
    FROM made WHERE has_bought
    """,
    "suppression": """
    INSERT INTO suppression (profile_id, event_id, line, item, sku, order_id, until, reason)
    SELECT profile_id, event_id, 0, 'p-' || n % 200, 'p-' || n % 200 || '-red', 'o-p-' || n,
      time + interval '365 days', 'purchased'
    FROM made WHERE has_bought
    """,
}

# Building an index over existing rows is several times faster than maintaining it row by row.
_SELECT_INDEXES = """
SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', $1::text, conname) AS drop,
  format('ALTER TABLE %I ADD CONSTRAINT %I %s', $1, conname, pg_get_constraintdef(oid)) AS make
FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u')
UNION ALL
SELECT format('DROP INDEX %I', indexname), indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename = $1
  AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass)
"""


@dataclass(frozen=True, slots=True)
class Population:
    """The people stored before the measurement, numbered from 1."""

    count: int
    seconds: float
    """Seconds to create them, with indexes and statistics."""
    bytes: int
    """Size of the database."""


def person_identifiers(number: int) -> dict[str, str]:
    """Return all identifiers of a person, as they are in the person's events."""
    identifiers = {
        "anonymous_id": hashlib.md5(f"browser-{number}".encode(), usedforsecurity=False).hexdigest()
    }
    if is_named(number):
        identifiers["email"] = f"person{number}@example.com"
        if number % _ONE_IN["user_id"] == 0:
            identifiers["user_id"] = f"u-{number}"
    return identifiers


def is_named(number: int) -> bool:
    """Return whether the person has more identifiers than an anonymous id."""
    return number % _UNNAMED_ONE_IN != 0


def has_open_cart(number: int) -> bool:
    """Return whether the person has a cart that was not bought."""
    return number % _ONE_IN["cart"] == 1 and number % _ONE_IN["order"] != 2


def person_profile_id(number: int) -> UUID:
    """Return the profile id of the person."""
    return UUID(f"018f0001-0000-7000-8000-{number:012x}")


async def populate(database_url: str, count: int) -> Population:
    """Fill an empty, migrated database with ``count`` people, vacuumed and analysed.

    Tables are filled concurrently without indexes, which are created afterwards.
    """
    begun = time.perf_counter()
    async with asyncpg.create_pool(
        database_url, min_size=0, max_size=2, server_settings=_BULK_LOAD_SETTINGS
    ) as pool:
        await pool.execute(_CREATE_PEOPLE, count)
        await pool.execute("ANALYZE made")
        await asyncio.gather(*(_fill(pool, table) for table in _INSERT_BY_TABLE))
        await pool.execute("DROP TABLE made")
        await pool.execute("CHECKPOINT")
        size = await pool.fetchval("SELECT pg_database_size(current_database())")
    return Population(count, time.perf_counter() - begun, size)


async def _fill(pool: asyncpg.Pool, table: str) -> None:
    async with pool.acquire() as connection:
        indexes = await connection.fetch(_SELECT_INDEXES, table)
        for index in indexes:
            await connection.execute(index["drop"])
        await connection.execute(_INSERT_BY_TABLE[table])
        for index in indexes:
            await connection.execute(index["make"])
        await connection.execute(f"VACUUM (ANALYZE) {table}")
