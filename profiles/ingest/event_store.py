"""Parsed events before the transaction, the ``event`` rows they become, and the result of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from profiles.db.sql import encode_jsonb, fetch_as, new_id
from profiles.events import Event
from profiles.runs.routing import Route, RouteMatches, match_routes
from profiles.state.event_records import IncomingEvent, MessageRef, parse_event


class IngestStatus(StrEnum):
    """The outcome for one event, as the HTTP contract names it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The outcome for one event. Results keep the order of the request."""

    id: str
    status: IngestStatus
    event_id: UUID | None = None
    """Waypost's own id of the stored event."""
    detail: str = ""
    """Why it was rejected."""


_INSERT_EVENTS = """
INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at,
  identifiers, properties, traits, context, verified, problems)
SELECT event_id, source, id, decode(hash, 'hex'), type, channel, time,
  CASE WHEN $2 THEN GREATEST(now(), time) ELSE now() END, identifiers, properties, traits, context, verified,
  problems
FROM jsonb_to_recordset($1) AS e(event_id uuid, source text, id text, hash text, type text, channel text,
  time timestamptz, identifiers jsonb, properties jsonb, traits jsonb, context jsonb, verified boolean,
  problems jsonb)
ORDER BY source, id
ON CONFLICT (source, id) DO NOTHING RETURNING event_id, at, now() AS now
"""

_SELECT_EXISTING_EVENTS = """
SELECT e.source, e.id, e.event_id, e.content_hash FROM event e
JOIN jsonb_to_recordset($1) AS k(source text, id text) ON e.source = k.source AND e.id = k.id
"""

_SELECT_MESSAGES = (
    "SELECT message_id, profile_id, run_id, channel, address FROM message WHERE message_id = ANY($1)"
)


@dataclass(slots=True)
class ParsedEvent:
    """An event after parsing and routing, before the transaction."""

    incoming: IncomingEvent
    event_id: UUID
    content_hash: bytes
    event: Event | None
    route_matches: RouteMatches
    problems: list[dict[str, Any]] = field(default_factory=list)


def prepare_event(incoming: IncomingEvent, routes: Sequence[Route], *, filtered: bool) -> ParsedEvent:
    """Parse an event and match it with journeys. What a journey's code raises is a problem of the event."""
    event, fault = parse_event(incoming.type, incoming.properties, verified=incoming.verified)
    asked = match_routes(event, routes, filtered=filtered) if event is not None else RouteMatches()
    problems = [*incoming.problems, *asked.problems]
    if fault:
        problems.append({"journey": "", "detail": fault})
    return ParsedEvent(incoming, new_id(), incoming.content_hash(), event, asked, problems)


def deduplicate(prepared: Sequence[ParsedEvent]) -> dict[tuple[str, str], ParsedEvent]:
    """Return the first event of each (source, id)."""
    first: dict[tuple[str, str], ParsedEvent] = {}
    for p in prepared:
        first.setdefault((p.incoming.source, p.incoming.id), p)
    return first


async def insert_events(
    connection: Any, events: Sequence[ParsedEvent], *, local: bool
) -> dict[UUID, tuple[datetime, datetime]]:
    """Insert the new events; return their ids → instant of arrival, and the transaction's now.

    ``local``: the clock may be moved, so an event with a later time arrives at that time.
    """
    rows = await connection.fetch(_INSERT_EVENTS, encode_jsonb([_event_row(p) for p in events]), local)
    return {row["event_id"]: (row["at"], row["now"]) for row in rows}


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
        "problems": p.problems,
    }


async def to_results(
    connection: Any,
    prepared: Sequence[ParsedEvent],
    first: dict[tuple[str, str], ParsedEvent],
    inserted: dict[UUID, tuple[datetime, datetime]],
) -> list[IngestResult]:
    """Return the result of each event in the order given: accepted, duplicate or conflict.

    A duplicate has the content of the stored event, a conflict has other content.
    """
    known = {name: (p.event_id, p.content_hash) for name, p in first.items() if p.event_id in inserted}
    missing = [{"source": s, "id": i} for s, i in first if (s, i) not in known]
    if missing:
        for row in await connection.fetch(_SELECT_EXISTING_EVENTS, encode_jsonb(missing)):
            known[row["source"], row["id"]] = (row["event_id"], bytes(row["content_hash"]))
    results = []
    for p in prepared:
        event_id, content = known[p.incoming.source, p.incoming.id]
        status = IngestStatus.DUPLICATE if content == p.content_hash else IngestStatus.CONFLICT
        status = IngestStatus.ACCEPTED if event_id == p.event_id else status
        results.append(IngestResult(p.incoming.id, status, event_id))
    return results


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
