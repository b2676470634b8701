"""Events that came before the run they are about: a cancellation before its order, a delivery before both."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE, encode_jsonb
from profiles.runs.routing import EarlierEvents, RouteMatch
from profiles.state.bounds import bound_event
from profiles.state.clock import StackClock
from profiles.state.event_records import StoredEvent, incoming_from_row, parse_event

MAX_EARLIER_EVENTS = 200
"""Events of one profile that are read, the verified ones first and then the latest."""

# The same condition as the index's.
_SELECT_EARLIER_EVENTS = f"""
SELECT w.profile_id AS owner, e.event_id, e.source, e.id, e.type, e.channel, e.time, e.at, e.verified,
  e.by_customer, e.cart_id, e.properties::text AS properties
FROM jsonb_to_recordset($1) AS w(profile_id uuid, types text[]) CROSS JOIN LATERAL (
  SELECT * FROM event WHERE profile_id = w.profile_id AND type = ANY(w.types) AND {RARE_EVENT_TYPES_PREDICATE}
    AND event_id <> ALL($2) AND superseded_by IS NULL
  ORDER BY verified DESC, at DESC, event_id DESC LIMIT {MAX_EARLIER_EVENTS}) e
ORDER BY e.at, e.event_id
"""  # noqa: S608 - constant fragment


def earlier_event_types(stored: StoredEvent, matches: Iterable[RouteMatch], calendar: StackClock) -> set[str]:
    """Return the types of events that may have come before a run that this event starts.

    None where it can start no run with a key of its own, such as an order number.
    """
    if not calendar.may_start_run(stored.incoming.time):
        return set()
    return {
        name
        for match in matches
        if match.starts and match.key is not None
        for name in match.route.listen_names - match.route.start_names
        if not name.startswith("Message ")
    }


async def load_earlier_events(
    connection: Any, types_by_profile: Mapping[UUID, Collection[str]], without: Collection[UUID] = ()
) -> dict[UUID, EarlierEvents]:
    """Read each profile's stored events of these types, in the order of their arrival.

    ``without``: ids of events to leave out. One round trip; none if nothing is asked for. Locks held: the
    profiles'.
    """
    found: dict[UUID, EarlierEvents] = {}
    asked = [
        {"profile_id": profile_id, "types": sorted(types)}
        for profile_id, types in types_by_profile.items()
        if types
    ]
    if not asked:
        return found
    for row in await connection.fetch(_SELECT_EARLIER_EVENTS, encode_jsonb(asked), list(without)):
        incoming, _ = bound_event(incoming_from_row(row))
        event, _ = parse_event(incoming.type, incoming.properties, verified=incoming.verified)
        stored = StoredEvent(incoming, row["event_id"], row["at"], event, None, row["cart_id"])
        found.setdefault(row["owner"], EarlierEvents()).append(stored)
    return found
