"""Replay: compute profiles anew from their events, in canonical order.

A late event has a profile's carts computed anew from its newest events alone, so that it costs the same
whatever the profile's history. Events before that window change no cart: a cart then loses the lines that
were added before, and never gets one back.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.orders import (
    apply_shared_purchase,
    arrival_key,
    restore_order_lines,
    take_out_on_arrival,
    takes_out_on_arrival,
)
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES, apply_event
from profiles.projection.computed import load_last_seen
from profiles.state import bounds
from profiles.state.bounds import bound_event
from profiles.state.cart import generated_cart_id, generated_event_id, is_generated_cart_id
from profiles.state.event_records import EventSortKey, StoredEvent, incoming_from_row, parse_event
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork

_SLICE_S = 0.005
"""Seconds of replay after which other requests get their turn."""

_USUAL_EVENT_SIZE = 200
"""Characters of the properties of an event that is applied in the usual time. Many lines take more."""

# The sort time of an event is at most its arrival. So all events with a sort time after the arrival of the
# last event before the window arrived later too, and are in it.
# All limits are inside of the scan, which is of an index.
_SELECT_WINDOWS = """
SELECT p.profile_id, (SELECT max(n.at) FROM (
    SELECT c.at, c.scanned, c.replayed, sum(CASE WHEN c.type = ANY($2) AND c.replayed <= $4
        THEN length(c.properties::text) ELSE 0 END) OVER v AS size
    FROM (SELECT *, row_number() OVER w AS scanned, count(*) FILTER (WHERE type = ANY($2)) OVER w AS replayed
      FROM (SELECT at, type, event_id, properties FROM event WHERE profile_id = p.profile_id
        ORDER BY at DESC LIMIT $3) newest
      WINDOW w AS (ORDER BY at DESC, event_id ROWS UNBOUNDED PRECEDING)) c
    WINDOW v AS (ORDER BY c.at DESC, c.event_id ROWS UNBOUNDED PRECEDING)) n
  WHERE n.scanned = $3 OR n.replayed = $4 OR n.size > $5) AS since
FROM unnest($1::uuid[]) AS p(profile_id)
"""

# How an order's lines were resolved on arrival, from the rows of its owner.
_ORDER_LINES_COLUMN = """CASE WHEN e.type IN ('Order Completed', 'Order Updated') THEN (
  SELECT jsonb_object_agg(u.line, jsonb_build_array(u.item, o.scope, o.until)) FROM purchase u
  LEFT JOIN suppression o ON o.profile_id = e.profile_id AND o.event_id = u.event_id AND o.line = u.line
  WHERE u.event_id = e.event_id)::text END"""

_EVENT_FIELDS = (
    "e.profile_id, e.event_id, e.source, e.id, e.type, e.channel, e.time, e.at, e.verified, e.cart_id"
)

_EVENT_COLUMNS = f"{_ORDER_LINES_COLUMN} AS bought, {_EVENT_FIELDS}, e.properties::text AS properties"

# Views of pages and products change only when a profile was last seen, so they are not read. What another
# profile bought is removed from this profile's carts as well, if the order names both. What is before the
# window changes no cart, so that its properties are not read.
_SELECT_HISTORY = f"""
SELECT e.profile_id AS replayed_profile, CASE WHEN NOT b.before THEN {_ORDER_LINES_COLUMN} END AS bought,
  {_EVENT_FIELDS}, CASE WHEN b.before THEN '{{}}' ELSE e.properties::text END AS properties,
  e.traits::text AS traits, e.context::text AS context, e.identifiers::text AS identifiers,
  e.superseded_by IS NOT NULL OR b.before AS is_superseded
FROM unnest($1::uuid[], $3::timestamptz[]) AS w(profile_id, since) JOIN event e ON e.profile_id = w.profile_id
CROSS JOIN LATERAL (SELECT e.type = ANY($2) AND (e.at <= w.since OR e.time <= w.since) AS before) b
WHERE e.type = ANY($2) OR e.traits <> '{{}}'::jsonb OR e.context ?| ARRAY['timezone', 'locale']
UNION ALL
SELECT s.profile_id, {_ORDER_LINES_COLUMN} AS bought, {_EVENT_FIELDS}, e.properties::text AS properties,
  '{{}}', '{{}}', '{{}}', false
FROM unnest($1::uuid[], $3::timestamptz[]) AS w(profile_id, since)
JOIN (SELECT DISTINCT profile_id, event_id FROM suppression WHERE profile_id = ANY($1)) s
  ON s.profile_id = w.profile_id
JOIN event e ON s.event_id = e.event_id AND s.profile_id IS DISTINCT FROM e.profile_id
  AND e.superseded_by IS NULL AND e.at > w.since AND e.time > w.since
"""  # noqa: S608 - constant fragment

# The same since an instant, for the carts alone. A purchase of the past may act when it arrives.
_SELECT_CART_HISTORY = f"""
SELECT w.profile_id AS replayed_profile, {_EVENT_COLUMNS}, e.superseded_by IS NOT NULL AS is_superseded
FROM unnest($1::uuid[], $3::timestamptz[]) AS w(profile_id, since)
JOIN event e ON e.profile_id = w.profile_id AND e.at > w.since AND e.type = ANY($2)
  AND (e.time > w.since OR e.type IN ('Order Completed', 'Order Updated'))
UNION ALL
SELECT s.profile_id, {_EVENT_COLUMNS}, false
FROM unnest($1::uuid[], $3::timestamptz[]) AS w(profile_id, since)
JOIN (SELECT DISTINCT profile_id, event_id FROM suppression WHERE profile_id = ANY($1)) s
  ON s.profile_id = w.profile_id
JOIN event e ON s.event_id = e.event_id AND s.profile_id IS DISTINCT FROM e.profile_id
  AND e.superseded_by IS NULL AND e.at > w.since
"""  # noqa: S608 - constant fragment

_SELECT_OWNED = "SELECT profile_id, event_id FROM event WHERE event_id = ANY($1) AND profile_id = ANY($2)"

_SELECT_LAPSES = """
SELECT profile_id, max(substring(id FROM '[^/]+$')::timestamptz) AS lapsed_after FROM event
WHERE profile_id = ANY($1) AND type = 'Customer Lapsed' AND source = 'waypost/sweep'
  AND verified GROUP BY profile_id
"""


PastEvents = list[tuple[StoredEvent, bool]]
"""Events of a profile in canonical order, with whether each is its own."""


@dataclass(frozen=True, slots=True)
class CartWindow:
    """The newest events of a profile, from which its carts are computed anew."""

    since: datetime | None
    """Events with this sort time or an earlier one change no cart. None: the window holds all events."""
    events: PastEvents
    cost: int = 0
    """What it costs to apply them, in events of the usual size."""


async def load_history(connection: Any, profile_ids: Collection[UUID]) -> dict[UUID, CartWindow]:
    """Return all events of each profile that change its state, in canonical order. For merges and splits.

    Events of carts and orders before the window are without properties, and as if they were superseded: they
    count as checkouts, and change no cart.
    """
    starts = await load_window_starts(connection, profile_ids)
    return await _load_windows(connection, _SELECT_HISTORY, starts)


async def load_window_starts(connection: Any, profile_ids: Collection[UUID]) -> dict[UUID, datetime | None]:
    """Return the start of each profile's ``CartWindow``; None for all of its events."""
    # The next event after as many decides: with no more than that, the window holds all.
    limits = (bounds.MAX_SCANNED_EVENTS + 1, bounds.MAX_REPLAYED_EVENTS + 1, bounds.MAX_REPLAYED_SIZE)
    types = list(ORDER_SENSITIVE_EVENT_TYPES)
    rows = await connection.fetch(_SELECT_WINDOWS, list(profile_ids), types, *limits)
    return {row["profile_id"]: row["since"] for row in rows}


async def load_cart_windows(
    connection: Any, starts: Mapping[UUID, datetime | None]
) -> dict[UUID, CartWindow]:
    """Return the newest events of each profile that change its carts. ``starts``: the windows' beginnings.

    In time and memory bounded by ``MAX_REPLAYED_EVENTS`` and ``MAX_REPLAYED_SIZE`` for each profile. Gives
    way to other tasks.
    """
    return await _load_windows(connection, _SELECT_CART_HISTORY, starts) if starts else {}


async def _load_windows(
    connection: Any, statement: str, starts: Mapping[UUID, datetime | None]
) -> dict[UUID, CartWindow]:
    begin = [each or datetime.min.replace(tzinfo=UTC) for each in starts.values()]
    rows = await connection.fetch(statement, list(starts), list(ORDER_SENSITIVE_EVENT_TYPES), begin)
    histories = await _to_histories(connection, starts, rows)
    costs = Counter[UUID]()
    for row in rows:
        costs[row["replayed_profile"]] += max(1, len(row["properties"]) // _USUAL_EVENT_SIZE)
    return {
        profile_id: CartWindow(starts[profile_id], events, costs[profile_id])
        for profile_id, events in histories.items()
    }


async def _to_histories(
    connection: Any, profile_ids: Collection[UUID], rows: Sequence[Any]
) -> dict[UUID, PastEvents]:
    histories: dict[UUID, PastEvents] = {profile_id: [] for profile_id in profile_ids}
    slice_end = time.monotonic() + _SLICE_S
    for row in rows:
        own = row["profile_id"] == row["replayed_profile"]
        histories[row["replayed_profile"]].append((_to_stored_event(row), own))
        if time.monotonic() > slice_end:
            await asyncio.sleep(0)
            slice_end = time.monotonic() + _SLICE_S
    own_cart_ids = await _load_own_cart_ids(connection, histories)
    for profile_id, events in histories.items():
        events.sort(key=lambda pair: pair[0].sort_key)
        for position, (stored, own) in enumerate(events):
            if is_generated_cart_id(stored.cart_id) and (profile_id, stored.cart_id) not in own_cart_ids:
                events[position] = replace(stored, has_foreign_cart_id=True), own
    return histories


async def _load_own_cart_ids(connection: Any, histories: Mapping[UUID, PastEvents]) -> set[tuple[UUID, str]]:
    """Return (profile, generated cart id) where the cart began with an event that is the profile's own.

    A statement is run only for carts that began before the window, or with another profile's event.
    """
    known = {
        (profile_id, generated_cart_id(stored.event_id))
        for profile_id, events in histories.items()
        for stored, own in events
        if own
    }
    began = (
        generated_event_id(stored.cart_id)
        for profile_id, events in histories.items()
        for stored, _ in events
        if stored.cart_id and (profile_id, stored.cart_id) not in known
    )
    unknown = {event_id for event_id in began if event_id is not None}
    if unknown:
        rows = await connection.fetch(_SELECT_OWNED, sorted(unknown), list(histories))
        known |= {(row["profile_id"], generated_cart_id(row["event_id"])) for row in rows}
    return known


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One past event at its place in the canonical order, or a purchase at the place of its arrival."""

    key: EventSortKey
    stored: StoredEvent
    own: bool
    """Whether the event is the profile's own."""
    is_arrival: bool = False


def to_steps(events: Iterable[tuple[StoredEvent, bool]]) -> list[ReplayStep]:
    """Return the steps by which past events are applied, in order."""
    steps = []
    for stored, own in events:
        steps.append(ReplayStep(stored.sort_key, stored, own))
        if not stored.is_superseded and takes_out_on_arrival(stored):
            steps.append(ReplayStep(arrival_key(stored), stored, own, is_arrival=True))
    return sorted(steps, key=lambda step: step.key)


def replay_events(person: ProfileState, events: Iterable[tuple[StoredEvent, bool]]) -> None:
    """Apply past events to a profile. What they wrote when they arrived stays as it is."""
    unwritten = UnitOfWork()
    for step in to_steps(events):
        replay_step(person, step, unwritten)


def replay_step(person: ProfileState, step: ReplayStep, unwritten: UnitOfWork) -> None:
    """Apply one step to a profile. ``unwritten``: takes what the event wrote when it arrived."""
    if step.is_arrival:
        take_out_on_arrival(person, step.stored, unwritten)
    elif step.own:
        apply_event(person, step.stored, unwritten)
    else:
        apply_shared_purchase(person, step.stored, unwritten)


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
