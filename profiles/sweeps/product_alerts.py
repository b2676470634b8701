"""Sweep for open carts with a product that became cheaper, sold out or came back: writes events for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from profiles.db.database import Database
from profiles.db.sql import encode_jsonb
from profiles.events import BackInStock, Event, Item, OutOfStock, PriceDropped
from profiles.identity.identifiers import JOIN_STRONGEST_IDENTIFIER
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest
from profiles.state.cart import parse_lines
from profiles.state.event_records import IncomingEvent
from profiles.sweeps.history import IS_HISTORY_SQL

PRODUCT_ALERT_SOURCE = "waypost/products"

_SELECT_CHANGES = """
SELECT c.seq, c.item, c.sku, c.was_price, c.price, c.was_in_stock, c.in_stock, c.at, p.name, p.currency,
  p.url, p.image_url, p.price AS price_now, p.in_stock AS in_stock_now, p.verified
FROM product_change c JOIN product p ON p.item = c.item AND p.sku = c.sku
WHERE c.swept_at IS NULL ORDER BY c.seq LIMIT $1
"""

# One condition for each kind of line: by product, or by sku alone.
_SELECT_CARTS = f"""
SELECT c.profile_id, c.cart_id, c.lines::text AS lines, i.type, i.value
FROM cart c JOIN profile p ON p.profile_id = c.profile_id AND p.erased_at IS NULL {JOIN_STRONGEST_IDENTIFIER}
WHERE c.closed_at IS NULL AND (c.lines @> $1::jsonb OR c.lines @> $2::jsonb)
  AND c.updated_at > now() - $3::interval
  AND NOT {IS_HISTORY_SQL.format(profile="c.profile_id")}
  AND ($4::uuid IS NULL OR (c.profile_id, c.cart_id) > ($4, $5))
ORDER BY c.profile_id, c.cart_id LIMIT $6
"""  # noqa: S608 - constant fragments

_UPDATE_SWEPT = "UPDATE product_change SET swept_at = now() WHERE seq = ANY($1) AND swept_at IS NULL"


@dataclass(frozen=True, slots=True)
class ProductAlertRules:
    """Thresholds of product alerts."""

    min_price_drop: float = 0.05
    """Least drop, as a fraction of the earlier price."""
    max_cart_age: timedelta = timedelta(days=90)
    """Carts not updated for longer get no alert."""


DEFAULT_ALERT_RULES = ProductAlertRules()


async def sweep_products(
    database: Database, ingest: Ingest, *, rules: ProductAlertRules = DEFAULT_ALERT_RULES, limit: int = 500
) -> tuple[int, int]:
    """Write ``Price Dropped``, ``Back In Stock`` and ``Out Of Stock`` for at most ``limit`` product changes.

    Carts of profiles known by history alone make none: see ``profiles.sweeps.history``.
    Returns (changes read, events that were new); the first is 0 when no change is left. A change that a later
    one has replaced makes no event. Idempotent: an event's id is the change, the profile and the cart.
    """
    async with database.transaction() as connection:
        changes = await connection.fetch(_SELECT_CHANGES, limit)
    new_events = 0
    for change in changes:
        if event_types := alerts_for(change, rules):
            new_events += await _ingest_alerts(database, ingest, change, event_types, rules, limit)
    if changes:
        async with database.transaction() as connection:
            await connection.execute(_UPDATE_SWEPT, [change["seq"] for change in changes])
    return len(changes), new_events


def alerts_for(change: Any, rules: ProductAlertRules) -> tuple[type[Event], ...]:
    """Return the event types that a change makes, as far as its values are still current.

    A product that no verified event has described makes none: a page's key is public, and its word must not
    write to every customer with that product in the cart.
    """
    event_types: list[type[Event]] = []
    if not change["verified"]:
        return ()
    if change["in_stock"] is not None and change["in_stock"] == change["in_stock_now"]:
        event_types.append(BackInStock if change["in_stock"] else OutOfStock)
    was, price = change["was_price"], change["price"]
    fell = was is not None and price is not None and was - price >= was * rules.min_price_drop and price < was
    # A lower price of a sold-out product makes no event.
    if fell and price == change["price_now"] and change["in_stock_now"] is not False:
        event_types.append(PriceDropped)
    return tuple(event_types)


async def _ingest_alerts(
    database: Database,
    ingest: Ingest,
    change: Any,
    kinds: Sequence[type[Event]],
    rules: ProductAlertRules,
    limit: int,
) -> int:
    by_product, by_sku = (encode_jsonb([{name: change["item"]}]) for name in ("product_id", "sku"))
    new_events, last = 0, (None, None)
    while True:
        async with database.transaction() as connection:
            arguments = (by_product, by_sku, rules.max_cart_age, *last, limit)
            carts = await connection.fetch(_SELECT_CARTS, *arguments)
        events = [
            _alert_event(kind, change, cart, line)
            for cart in carts
            if (line := _matching_line(change, cart)) is not None
            for kind in kinds
        ]
        results = await ingest(events)
        new_events += sum(result.status is IngestStatus.ACCEPTED for result in results)
        if len(carts) < limit:
            return new_events
        last = (carts[-1]["profile_id"], carts[-1]["cart_id"])


def _matching_line(change: Any, cart: Any) -> Item | None:
    """Return the cart's line of the changed product; without a sku on either side, any variant matches."""
    for line in parse_lines(orjson.loads(cart["lines"])):
        same_product = line.key == change["item"] and (not change["sku"] or line.sku in (None, change["sku"]))
        if same_product or line.sku == change["item"]:
            return line
    return None


def _alert_event(kind: type[Event], change: Any, cart: Any, line: Item) -> IncomingEvent:
    name = kind.event_name
    # The event counts as verified, so it takes nothing from a line that no verified event stated.
    known = line if line.content_verified else Item()
    properties = {
        "cart_id": cart["cart_id"],
        "product_id": line.product_id,
        "sku": line.sku,
        "name": known.name or change["name"],
        "price": change["price_now"],
        "url": change["url"] or known.url,
        "image_url": change["image_url"] or known.image_url,
    }
    if kind is PriceDropped:
        properties |= {"was": change["was_price"], "currency": change["currency"]}
    event_id = f"{name}/{change['seq']}/{cart['profile_id']}/{cart['cart_id']}"
    named = ((cart["type"], cart["value"]),)
    stated = {key: value for key, value in properties.items() if value is not None}
    return IncomingEvent(PRODUCT_ALERT_SOURCE, event_id, name, "server", change["at"], named, stated)
