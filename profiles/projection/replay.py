"""Replay: compute profiles anew from their events, in canonical order."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.orders import apply_shared_purchase, restore_order_lines
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES, apply_event
from profiles.projection.computed import load_last_seen
from profiles.state.bounds import bound_event
from profiles.state.cart import generated_cart_id, is_generated_cart_id
from profiles.state.event_records import StoredEvent, incoming_from_row, parse_event
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork

# How an order's lines were resolved on arrival, from the rows of its owner.
_ORDER_LINES_COLUMN = """CASE WHEN e.type IN ('Order Completed', 'Order Updated') THEN (
  SELECT jsonb_object_agg(u.line, jsonb_build_array(u.item, o.scope)) FROM purchase u
  LEFT JOIN suppression o ON o.profile_id = e.profile_id AND o.event_id = u.event_id AND o.line = u.line
  WHERE u.event_id = e.event_id)::text END AS bought"""

# Views of pages and products change only when a profile was last seen, so they are not read. What another
# profile bought is removed from this profile's carts as well, if the order names both.
_SELECT_HISTORY = f"""
SELECT e.profile_id AS replayed_profile, {_ORDER_LINES_COLUMN}, e.profile_id, e.event_id, e.source, e.id,
  e.type, e.channel, e.time, e.at, e.verified, e.cart_id, e.properties::text AS properties,
  e.traits::text AS traits, e.context::text AS context, e.identifiers::text AS identifiers,
  e.superseded_by IS NOT NULL AS is_superseded
FROM event e WHERE e.profile_id = ANY($1) AND (e.type = ANY($2) OR e.traits <> '{{}}'::jsonb
  OR e.context ?| ARRAY['timezone', 'locale'])
UNION ALL
SELECT s.profile_id, {_ORDER_LINES_COLUMN}, e.profile_id, e.event_id, e.source, e.id, e.type, e.channel,
  e.time, e.at, e.verified, e.cart_id, e.properties::text, '{{}}', '{{}}', '{{}}', false
FROM event e JOIN (SELECT DISTINCT profile_id, event_id FROM suppression WHERE profile_id = ANY($1)) s
  ON s.event_id = e.event_id AND s.profile_id IS DISTINCT FROM e.profile_id AND e.superseded_by IS NULL
"""  # noqa: S608 - constant fragment

_SELECT_LAPSES = """
SELECT profile_id, max(substring(id FROM '[^/]+$')::timestamptz) AS lapsed_after FROM event
WHERE profile_id = ANY($1) AND type = 'Customer Lapsed' AND source = 'waypost/sweep'
  AND verified GROUP BY profile_id
"""


async def load_history(
    connection: Any, profile_ids: Collection[UUID]
) -> dict[UUID, list[tuple[StoredEvent, bool]]]:
    """Return each profile's events that change its state, in canonical order, with whether it is its own."""
    history: dict[UUID, list[tuple[StoredEvent, bool]]] = {profile_id: [] for profile_id in profile_ids}
    for row in await connection.fetch(_SELECT_HISTORY, list(profile_ids), list(ORDER_SENSITIVE_EVENT_TYPES)):
        own = row["profile_id"] == row["replayed_profile"]
        history[row["replayed_profile"]].append((_to_stored_event(row), own))
    for events in history.values():
        events.sort(key=lambda pair: pair[0].sort_key)
        own_cart_ids = {generated_cart_id(stored.event_id) for stored, own in events if own}
        for position, (stored, own) in enumerate(events):
            if is_generated_cart_id(stored.cart_id) and stored.cart_id not in own_cart_ids:
                events[position] = replace(stored, has_foreign_cart_id=True), own
    return history


def replay_events(person: ProfileState, events: Iterable[tuple[StoredEvent, bool]]) -> None:
    """Apply past events to a profile. What they wrote when they arrived stays as it is."""
    unwritten = UnitOfWork()
    for stored, own in events:
        if own:
            apply_event(person, stored, unwritten)
        else:
            apply_shared_purchase(person, stored, unwritten)


async def reload_last_seen(connection: Any, profiles: dict[UUID, ProfileState]) -> None:
    """Set when each profile was last seen on each channel, over all its events."""
    for profile_id, channels in (await load_last_seen(connection, sorted(profiles))).items():
        profiles[profile_id].last_seen = channels


async def load_lapsed_orders(connection: Any, profile_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return the time of the order after which each profile was last declared lapsed."""
    return dict(await connection.fetch(_SELECT_LAPSES, list(profile_ids)))


def _to_stored_event(row: Any) -> StoredEvent:
    incoming, _ = bound_event(incoming_from_row(row))
    properties = incoming.properties
    bought = None if row["bought"] is None else restore_order_lines(properties, orjson.loads(row["bought"]))
    event = parse_event(row["type"], properties, verified=incoming.verified)[0]
    stored = StoredEvent(incoming, row["event_id"], row["at"], event, None, row["cart_id"])
    return replace(stored, order_lines=bought, is_superseded=row["is_superseded"])
