"""Fold people anew from their events, in the order in which they happened."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.orders import read_again, take_out
from profiles.projection.apply import FOLDED, fold
from profiles.projection.computed import last_seen
from profiles.state.cart import is_made, made_by
from profiles.state.event_records import IncomingEvent, Taken, typed
from profiles.state.profile_state import Person
from profiles.state.unit_of_work import Changes

# How an order's lines were read when it came in: its owner's rows tell.
_BOUGHT = """CASE WHEN e.type = 'Order Completed' THEN (
  SELECT jsonb_object_agg(u.line, jsonb_build_array(u.item, o.scope)) FROM purchase u
  LEFT JOIN suppression o ON o.profile_id = e.profile_id AND o.event_id = u.event_id AND o.line = u.line
  WHERE u.event_id = e.event_id)::text END AS bought"""

# Views of pages and products leave no trace but when somebody was last seen. What somebody else bought, whom
# an event named beside this person, is taken out of this person's carts as well.
_EVENTS = f"""
SELECT e.profile_id AS whose, {_BOUGHT}, e.profile_id, e.event_id, e.source, e.id, e.type, e.channel,
  e.time, e.at, e.verified, e.cart_id, e.properties::text AS properties, e.traits::text AS traits,
  e.context::text AS context, e.identifiers::text AS identifiers
FROM event e WHERE e.profile_id = ANY($1) AND (e.type = ANY($2) OR e.traits <> '{{}}'::jsonb
  OR e.context ?| ARRAY['timezone', 'locale'])
UNION ALL
SELECT s.profile_id, {_BOUGHT}, e.profile_id, e.event_id, e.source, e.id, e.type, e.channel, e.time, e.at,
  e.verified,
  e.cart_id, e.properties::text, '{{}}', '{{}}', '{{}}'
FROM event e JOIN (SELECT DISTINCT profile_id, event_id FROM suppression WHERE profile_id = ANY($1)) s
  ON s.event_id = e.event_id AND s.profile_id IS DISTINCT FROM e.profile_id
"""  # noqa: S608 - constant fragment

_LAPSED = """
SELECT profile_id, max(substring(id FROM '[^/]+$')::timestamptz) AS lapsed_after FROM event
WHERE profile_id = ANY($1) AND type = 'Customer Lapsed' AND source = 'waypost/sweep'
  AND verified GROUP BY profile_id
"""


async def history(connection: Any, profile_ids: Collection[UUID]) -> dict[UUID, list[tuple[Taken, bool]]]:
    """Each person's events that leave a trace, in their order; with whether it is their own."""
    found: dict[UUID, list[tuple[Taken, bool]]] = {who: [] for who in profile_ids}
    for row in await connection.fetch(_EVENTS, list(profile_ids), list(FOLDED)):
        found[row["whose"]].append((_taken(row), row["profile_id"] == row["whose"]))
    for events in found.values():
        events.sort(key=lambda pair: pair[0].place)
        mine = {made_by(taken.event_id) for taken, own in events if own}
        for position, (taken, own) in enumerate(events):
            if is_made(taken.cart_id) and taken.cart_id not in mine:
                events[position] = replace(taken, lent=True), own
    return found


def retell(person: Person, events: Iterable[tuple[Taken, bool]]) -> None:
    """Fold past events into a person; what they wrote when they came stays as it is."""
    unwritten = Changes()
    for taken, own in events:
        if own:
            fold(person, taken, unwritten)
        else:
            take_out(person, taken, unwritten)


async def seen(connection: Any, persons: dict[UUID, Person]) -> None:
    """When each person was last heard of on each channel, over all their events."""
    for who, channels in (await last_seen(connection, sorted(persons))).items():
        persons[who].seen = channels


async def lapses(connection: Any, profile_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """The order after which each person was last declared lapsed."""
    rows = await connection.fetch(_LAPSED, list(profile_ids))
    return {row["profile_id"]: row["lapsed_after"] for row in rows}


def bare(row: Any) -> Taken:
    """An event as far as a row without identifiers and traits tells."""
    properties = orjson.loads(row["properties"])
    said = (row["source"], row["id"], row["type"], row["channel"], row["time"])
    return Taken(
        IncomingEvent(*said, (), properties, verified=row["verified"]), row["event_id"], row["at"], None
    )


def _taken(row: Any) -> Taken:
    properties = orjson.loads(row["properties"])
    named = orjson.loads(row["identifiers"])
    incoming = IncomingEvent(
        source=row["source"],
        id=row["id"],
        type=row["type"],
        channel=row["channel"],
        time=row["time"],
        identifiers=tuple((kind, value) for kind, held in named.items() for value in held),
        properties=properties,
        traits=orjson.loads(row["traits"]),
        context=orjson.loads(row["context"]),
        verified=row["verified"],
    )
    bought = None if row["bought"] is None else read_again(properties, orjson.loads(row["bought"]))
    event = typed(row["type"], properties)[0]
    return Taken(incoming, row["event_id"], row["at"], event, None, row["cart_id"], bought=bought)
