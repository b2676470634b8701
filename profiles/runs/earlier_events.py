"""Events that came before the run they are about: a cancellation before its order, a delivery before both."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE
from profiles.events import Event
from profiles.runs.routing import EarlierEvents, Route, RouteMatch
from profiles.state.bounds import bound_event
from profiles.state.clock import StackClock
from profiles.state.event_records import StoredEvent, incoming_from_row, parse_event

MAX_EARLIER_EVENTS = 200
"""Events of one profile that are read, the verified ones first and then the latest."""

# The same condition as the index's. Events of this transaction have no profile yet.
_SELECT_EARLIER_EVENTS = f"""
SELECT e.profile_id, e.event_id, e.source, e.id, e.type, e.channel, e.time, e.at, e.verified, e.by_customer,
  e.cart_id, e.properties::text AS properties
FROM unnest($1::uuid[]) AS asked(profile_id) CROSS JOIN LATERAL (
  SELECT * FROM event WHERE profile_id = asked.profile_id AND type = ANY($2)
    AND {RARE_EVENT_TYPES_PREDICATE} AND superseded_by IS NULL
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
        if _may_name_key(name, match.route)
    }


def _may_name_key(name: str, route: Route) -> bool:
    """Return whether an event of this type can name a run's key: it declares its property."""
    declared = Event.registry.get(name)
    if declared is None or name.startswith("Message "):
        return False
    return route.key_property is None or route.key_property in declared.model_fields


async def load_earlier_events(
    connection: Any, types_by_profile: Mapping[UUID, Collection[str]]
) -> dict[UUID, EarlierEvents]:
    """Read each profile's stored events of these types, in the order of their arrival.

    One round trip; none if nothing is asked for. Locks held: the profiles'.
    """
    found: dict[UUID, EarlierEvents] = {}
    profile_ids = [profile_id for profile_id, types in types_by_profile.items() if types]
    if not profile_ids:
        return found
    types = sorted(set().union(*types_by_profile.values()))
    for row in await connection.fetch(_SELECT_EARLIER_EVENTS, profile_ids, types):
        incoming, _ = bound_event(incoming_from_row(row))
        event, _ = parse_event(incoming.type, incoming.properties, verified=incoming.verified)
        stored = StoredEvent(incoming, row["event_id"], row["at"], event, None, row["cart_id"])
        found.setdefault(row["profile_id"], EarlierEvents()).append(stored)
    return found
