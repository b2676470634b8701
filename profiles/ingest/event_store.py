"""Parsed events before the transaction, the ``event`` rows they become, and the result of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog

from profiles.db.savepoints import execute_for_each, is_one_by_one
from profiles.db.sql import encode_jsonb, fetch_as, new_id
from profiles.events import Event
from profiles.runs.routing import Route, RouteMatches, match_routes
from profiles.state.bounds import MAX_PROBLEMS, Problem, bound_event
from profiles.state.event_records import IncomingEvent, MessageRef, parse_event, trust_of


class IngestStatus(StrEnum):
    """The outcome for one event, as the HTTP contract names it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


NOT_STORED = "not_stored"
"""Code of an event that cannot be stored."""

TOO_MANY_REFUSED = "too_many_refused"
"""Code of an unverified event that was not tried, since too many of its request could not be stored."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The outcome for one event. Results keep the order of the request."""

    id: str
    status: IngestStatus
    event_id: UUID | None = None
    """Waypost's own id of the stored event."""
    detail: str = ""
    """Why it was rejected."""
    code: str = NOT_STORED
    """Of a rejection."""
    out_of_bounds: tuple[Problem, ...] = ()
    """Values that were cut or left out, for the answer to the sender."""
    replayed_events: int = 0
    """Past events that were applied again, since it arrived after them, and identifiers of a large component
    that were read for its link. A measure of what it cost."""
    unconfirmed: tuple[Problem, ...] = ()
    """What it links and no verified event confirms, for the answer to the sender."""


EventName = tuple[str, str]
"""(source, id), by which a channel names an event."""

log = structlog.get_logger(__name__)

_INSERT_EVENTS = """
INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at,
  identifiers, properties, traits, context, verified, by_customer, sender, problems)
SELECT event_id, source, id, decode(hash, 'hex'), type, channel, time,
  CASE WHEN $2 THEN GREATEST(now(), time) ELSE now() END, identifiers, properties, traits, context, verified,
  by_customer, NULLIF(sender, ''), problems
FROM jsonb_to_recordset($1) AS e(event_id uuid, source text, id text, hash text, type text, channel text,
  time timestamptz, identifiers jsonb, properties jsonb, traits jsonb, context jsonb, verified boolean,
  by_customer boolean, sender text, problems jsonb)
ORDER BY source, id
ON CONFLICT (source, id) DO NOTHING RETURNING event_id, at, now() AS now
"""

_SELECT_INSERTED_EVENTS = "SELECT event_id, at, now() AS now FROM event WHERE event_id = ANY($1)"

_SELECT_EXISTING_EVENTS = """
SELECT e.source, e.id, e.event_id, e.content_hash, e.verified, e.by_customer FROM event e
JOIN jsonb_to_recordset($1) AS k(source text, id text) ON e.source = k.source AND e.id = k.id
"""

SUPERSEDED_MARK = "/superseded/"
"""Between the id of a superseded event and its ``event_id``, which makes its (source, id) free."""

# Of two transactions, the second waits here and then finds no row.
_SUPERSEDE_EVENTS = f"""
WITH replaced AS (
  SELECT e.event_id, s.superseded_by
  FROM jsonb_to_recordset($1) AS s(event_id uuid, superseded_by uuid, trust int)
  JOIN event e ON e.event_id = s.event_id WHERE e.superseded_by IS NULL
    AND s.trust > CASE WHEN NOT e.verified THEN 0 WHEN e.by_customer THEN 1 ELSE 2 END
  ORDER BY e.source, e.id FOR UPDATE OF e)
UPDATE event e SET superseded_by = r.superseded_by, id = e.id || '{SUPERSEDED_MARK}' || e.event_id,
  problems = e.problems || jsonb_build_array(jsonb_build_object('journey', '', 'detail', $2::text))
FROM replaced r WHERE e.event_id = r.event_id RETURNING e.event_id, e.superseded_by, e.type
"""  # noqa: S608 - constant text

_SUPERSEDED_PROBLEM = "a more trusted event of the same source and id took its place: it counts in no cart"

SUPERSEDING_PROBLEM = "it took the place of an unverified event that had its source and id"

_SELECT_OWNERS = "SELECT DISTINCT profile_id FROM event WHERE event_id = ANY($1) AND profile_id IS NOT NULL"

_SELECT_MESSAGES = (
    "SELECT message_id, profile_id, run_id, channel, address FROM message WHERE message_id = ANY($1)"
)


@dataclass(slots=True)
class ParsedEvent:
    """An event after parsing and routing, before the transaction."""

    incoming: IncomingEvent
    """As the channel sent it; stored."""
    bounded: IncomingEvent
    """Within ``profiles.state.bounds``; applied."""
    event_id: UUID
    content_hash: bytes
    event: Event | None
    route_matches: RouteMatches
    problems: list[dict[str, Any]] = field(default_factory=list)
    out_of_bounds: tuple[Problem, ...] = ()


def prepare_event(incoming: IncomingEvent, routes: Sequence[Route], *, filtered: bool) -> ParsedEvent:
    """Parse an event and match it with journeys. What a journey's code raises is a problem of the event."""
    bounded, faults = bound_event(incoming)
    event, fault = parse_event(incoming.type, bounded.properties, verified=incoming.verified)
    asked = match_routes(event, routes, filtered=filtered) if event is not None else RouteMatches()
    problems = [*incoming.problems, *faults, *asked.problems]
    if fault:
        problems.append({"journey": "", "detail": fault})
    return ParsedEvent(incoming, bounded, new_id(), incoming.content_hash(), event, asked, problems, faults)


def deduplicate(prepared: Sequence[ParsedEvent]) -> dict[EventName, ParsedEvent]:
    """Return the first event of each (source, id), of those with the greatest trust."""
    first: dict[EventName, ParsedEvent] = {}
    for p in prepared:
        name = (p.incoming.source, p.incoming.id)
        if p.incoming.trust > first.setdefault(name, p).incoming.trust:
            first[name] = p
    return first


@dataclass(slots=True)
class InsertedEvents:
    """What became of the events of one transaction."""

    arrivals: dict[UUID, tuple[datetime, datetime]] = field(default_factory=dict)
    """Id of a new event → instant of its arrival, and the transaction's now."""
    existing: dict[EventName, Any] = field(default_factory=dict)
    """(source, id) of an event that is not new → the stored event's row."""
    superseded: dict[UUID, UUID] = field(default_factory=dict)
    """Stored event → the new, more trusted event that took its place."""
    refused: dict[UUID, str] = field(default_factory=dict)
    """Event that cannot be stored → Postgres's error."""
    superseded_types: set[str] = field(default_factory=set)
    replayed: dict[UUID, int] = field(default_factory=dict)
    """Event → past events of its profile that were applied again, and identifiers that were read for it."""
    unconfirmed: dict[UUID, tuple[Problem, ...]] = field(default_factory=dict)
    """New event → what it links and no verified event confirms."""

    async def load_superseded_owners(self, connection: Any) -> list[UUID]:
        """Return the profiles that the superseded events belong to now."""
        if not self.superseded:
            return []
        return [row["profile_id"] for row in await connection.fetch(_SELECT_OWNERS, list(self.superseded))]


async def insert_events(
    connection: Any, first: Mapping[EventName, ParsedEvent], *, local: bool
) -> InsertedEvents:
    """Insert the events that are new. A more trusted one takes the place of one that is stored.

    The other event is kept, under another id. ``local``: the clock may be moved, so an event with a
    later time arrives at that time. In a block of ``one_by_one``, events that cannot be stored are left out.
    Locks held: the rows of the inserted and of the superseded events, each in order of (source, id).
    """
    result = InsertedEvents()
    missing = dict(first)
    while missing:
        rows = [_event_row(p) for p in missing.values()]
        if is_one_by_one():
            inserted = await _insert_one_by_one(connection, rows, local, result)
        else:
            inserted = await connection.fetch(_INSERT_EVENTS, encode_jsonb(rows), local)
        result.arrivals |= {row["event_id"]: (row["at"], row["now"]) for row in inserted}
        missing = {
            name: p
            for name, p in missing.items()
            if p.event_id not in result.arrivals and p.event_id not in result.refused
        }
        if not missing:
            break
        names = encode_jsonb([{"source": source, "id": event_id} for source, event_id in missing])
        existing = {
            (row["source"], row["id"]): row for row in await connection.fetch(_SELECT_EXISTING_EVENTS, names)
        }
        result.existing |= existing
        missing = {
            name: p
            for name, p in missing.items()
            # One that is not found lost its name to a more trusted event between the two statements.
            if name not in existing or p.incoming.trust > _stored_trust(existing[name])
        }
        await _supersede_events(connection, missing, existing, result)
    return result


def _stored_trust(row: Any) -> int:
    return trust_of(verified=row["verified"], by_customer=row["by_customer"])


async def _insert_one_by_one(
    connection: Any, rows: Sequence[dict[str, Any]], local: bool, result: InsertedEvents
) -> Any:
    in_order = sorted(rows, key=lambda row: (row["source"], row["id"]))
    statement = _INSERT_EVENTS.replace("$2", str(local)).partition(" RETURNING")[0]
    errors = await execute_for_each(connection, statement, in_order)
    result.refused |= {in_order[position]["event_id"]: error for position, error in errors.items()}
    return await connection.fetch(_SELECT_INSERTED_EVENTS, [row["event_id"] for row in rows])


async def _supersede_events(
    connection: Any,
    new_events: Mapping[EventName, ParsedEvent],
    existing: Mapping[EventName, Any],
    result: InsertedEvents,
) -> None:
    pairs = [
        {"event_id": existing[name]["event_id"], "superseded_by": p.event_id, "trust": p.incoming.trust}
        for name, p in new_events.items()
        if name in existing
    ]
    if not pairs:
        return
    rows = await connection.fetch(_SUPERSEDE_EVENTS, encode_jsonb(pairs), _SUPERSEDED_PROBLEM)
    result.superseded |= {row["event_id"]: row["superseded_by"] for row in rows}
    result.superseded_types.update(row["type"] for row in rows)


def _event_row(p: ParsedEvent) -> dict[str, Any]:
    incoming = p.incoming
    identifiers: dict[str, list[str]] = {}
    for kind, value in incoming.identifiers:
        identifiers.setdefault(kind, []).append(value)
    return {
        "event_id": p.event_id,
        "source": incoming.source,
        "id": incoming.id,
        "hash": p.content_hash.hex(),
        "type": incoming.type,
        "channel": incoming.channel,
        "time": incoming.time,
        "identifiers": identifiers,
        "properties": incoming.properties,
        "traits": incoming.traits,
        "context": incoming.context,
        "verified": incoming.verified,
        "by_customer": incoming.by_customer,
        "sender": incoming.sender,
        "problems": p.problems[:MAX_PROBLEMS],
    }


def to_results(
    prepared: Sequence[ParsedEvent], first: Mapping[EventName, ParsedEvent], inserted: InsertedEvents
) -> list[IngestResult]:
    """Return the result of each event in the order given: accepted, duplicate or conflict.

    A duplicate has the content of the stored event, a conflict has other content.
    """
    known = {
        name: (row["event_id"], bytes(row["content_hash"])) for name, row in inserted.existing.items()
    } | {name: (p.event_id, p.content_hash) for name, p in first.items() if p.event_id in inserted.arrivals}
    results = []
    for p in prepared:
        if error := inserted.refused.get(first[p.incoming.source, p.incoming.id].event_id):
            results.append(rejected(p.incoming, f"Postgres cannot store this event: {error}"))
            continue
        event_id, content = known[p.incoming.source, p.incoming.id]
        status = IngestStatus.DUPLICATE if content == p.content_hash else IngestStatus.CONFLICT
        status = IngestStatus.ACCEPTED if event_id == p.event_id else status
        results.append(
            IngestResult(
                p.incoming.id,
                status,
                event_id,
                out_of_bounds=p.out_of_bounds,
            )
        )
    return results


def with_replayed(results: Sequence[IngestResult], inserted: InsertedEvents) -> list[IngestResult]:
    """Return the results with how many past events were applied again for each."""
    if not inserted.replayed:
        return list(results)
    counts = inserted.replayed
    return [
        replace(result, replayed_events=counts[result.event_id]) if result.event_id in counts else result
        for result in results
    ]


def with_unconfirmed(results: list[IngestResult], inserted: InsertedEvents) -> list[IngestResult]:
    """Return the results, those of new events with what they link and no verified event confirms."""
    if not inserted.unconfirmed:
        return results
    return [
        replace(result, unconfirmed=inserted.unconfirmed[result.event_id])
        if result.status is IngestStatus.ACCEPTED and result.event_id in inserted.unconfirmed
        else result
        for result in results
    ]


def rejected(incoming: IncomingEvent, detail: str, code: str = NOT_STORED) -> IngestResult:
    """Return the result of an event that is not stored."""
    log.warning("event could not be taken in", source=incoming.source, code=code, error=detail[:300])
    return IngestResult(incoming.id, IngestStatus.REJECTED, detail=detail[:300], code=code)


async def load_messages(connection: Any, new_events: Sequence[ParsedEvent]) -> dict[UUID | None, MessageRef]:
    """Read the messages that events refer to, by id; unknown ids are missing."""
    message_ids = sorted({message_id for p in new_events if (message_id := message_id_from(p.incoming))})
    if not message_ids:
        return {}
    messages = await fetch_as(connection, MessageRef, _SELECT_MESSAGES, message_ids)
    return {message.message_id: message for message in messages}


def message_id_from(incoming: IncomingEvent) -> UUID | None:
    """Return the id of the message that a ``Message …`` event refers to, if it is a UUID."""
    if not incoming.type.startswith("Message "):
        return None
    try:
        return UUID(str(incoming.properties.get("message_id")))
    except ValueError:
        return None
