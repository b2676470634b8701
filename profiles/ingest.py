"""Take events in: one Postgres transaction for the events, the person, the facts, the runs and the outbox."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from profiles.bought import Asked, PlainRule
from profiles.changes import encode
from profiles.database import Database
from profiles.declared import typed
from profiles.dispatch import Calendar
from profiles.events import Event
from profiles.identifiers import ADDRESS_TYPE
from profiles.identity import Resolved, resolve
from profiles.identity_quarantine import warn
from profiles.identity_rules import DEVICE
from profiles.ids import new_id
from profiles.incoming import IncomingEvent, Ingested, Status
from profiles.naming import Named
from profiles.products import is_of_a_product, keep_products
from profiles.routing import Interests, Route, interests
from profiles.shunned import Shunned
from profiles.taken import KnownMessage, Taken
from profiles.telling import Telling

OURS = "waypost/"
"""Sources that begin like this are Waypost's own."""

log = structlog.get_logger(__name__)

_INSERT = """
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

_KNOWN = """
SELECT e.source, e.id, e.event_id, e.content_hash FROM event e
JOIN jsonb_to_recordset($1) AS k(source text, id text) ON e.source = k.source AND e.id = k.id
"""

_MESSAGES = "SELECT message_id, profile_id, run_id, channel, address FROM message WHERE message_id = ANY($1)"


@dataclass(frozen=True, slots=True)
class Rules:
    """What ingest goes by besides the events."""

    local: bool = False
    """A local stack: time may be travelled."""
    suppression_window: timedelta | None = timedelta(days=365)
    """How long a purchase keeps its item from being promoted; None: for good."""
    suppression: Asked | None = None
    """What the shop says of a purchase of one item; None: the window above, and the product."""
    overtaken: Callable[[int], object] | None = None
    """Hears, after COMMIT, how many messages a purchase overtook that was heard of late."""

    @property
    def rule_of(self) -> Asked:
        """How long and how far a purchase suppresses."""
        plain = PlainRule(self.suppression_window)
        return self.suppression or (lambda product, sku, category, group: plain)


@dataclass(slots=True)
class _Prepared:
    """An event with all that author code and parsing say of it, before the transaction."""

    incoming: IncomingEvent
    event_id: UUID
    hash: bytes
    typed: Event | None
    interests: Interests
    problems: list[dict[str, Any]] = field(default_factory=list)


class Ingest:
    """The one way in. Idempotent on (source, id): a replay changes nothing and says so."""

    def __init__(self, database: Database, routes: Sequence[Route], rules: Rules | None = None) -> None:
        self._database = database
        self._routes = tuple(routes)
        self._rules = rules or Rules()
        self._shunned = Shunned()

    async def __call__(self, events: Sequence[IncomingEvent]) -> list[Ingested]:
        """Take events in, in the order given, in one transaction; answers come in the same order.

        Returns only after COMMIT. Should one event of several be one that cannot be stored, the others are
        taken in without it, in transactions of their own. Raises for all else, such as Postgres away: what
        was not answered may be sent again, and what had been written by then is a duplicate.
        """
        try:
            prepared = [self._prepare(event) for event in events]
            answers, resolved = await self._database.run(lambda connection: self._take(connection, prepared))
        except Exception as error:
            if not _is_the_events_fault(error):
                raise
            if len(events) == 1:
                log.warning("event could not be taken in", source=events[0].source, error=repr(error)[:300])
                return [Ingested(events[0].id, Status.REJECTED, detail=_reason(error))]
        else:
            # What a transaction found holds once it is committed.
            self._shunned.add(resolved.shunned, resolved.attested)
            warn(resolved.settled.newly)
            if self._rules.overtaken and resolved.overtaken:
                self._rules.overtaken(resolved.overtaken)
            return answers
        middle = len(events) // 2
        return [*await self(events[:middle]), *await self(events[middle:])]

    def _prepare(self, incoming: IncomingEvent) -> _Prepared:
        event, fault = typed(incoming.type, incoming.properties)
        asked = interests(event, self._routes) if event is not None else Interests()
        problems = [*incoming.problems, *asked.problems]
        if fault:
            problems.append({"journey": "", "detail": fault})
        return _Prepared(incoming, new_id(), incoming.content_hash(), event, asked, problems)

    async def _take(self, connection: Any, prepared: Sequence[_Prepared]) -> tuple[list[Ingested], Resolved]:
        resolved = Resolved()
        if not prepared:
            return [], resolved
        first = _first_of_each(prepared)
        stamped = await self._insert(connection, list(first.values()))
        news = [p for p in prepared if p.event_id in stamped]
        if news:
            now = next(iter(stamped.values()))[1]
            resolved = await self._apply(connection, news, stamped, Calendar(now, self._rules.local))
        return await _answers(connection, prepared, first, stamped), resolved

    async def _insert(
        self, connection: Any, events: list[_Prepared]
    ) -> dict[UUID, tuple[datetime, datetime]]:
        found = await connection.fetch(_INSERT, encode([_row(p) for p in events]), self._rules.local)
        return {row["event_id"]: (row["at"], row["now"]) for row in found}

    async def _apply(
        self,
        connection: Any,
        news: Sequence[_Prepared],
        stamped: dict[UUID, tuple[datetime, datetime]],
        calendar: Calendar,
    ) -> Resolved:
        messages = await _messages_of(connection, news)
        takens = [_taken(p, stamped[p.event_id][0], messages) for p in news]
        unnamed = await keep_products(connection, takens)
        resolved = await resolve(connection, [self._named(taken) for taken in takens])
        # A new statement, after the locks: what they waited for is visible now.
        telling = await Telling.of(connection, takens, resolved, self._rules.rule_of)
        for taken, ready in zip(takens, news, strict=True):
            row = {"event_id": taken.event_id, "profile_id": None, "cart_id": None}
            telling.changes.events[taken.event_id] = {**row, "problems": list(ready.problems)}
        telling.fold()
        for position, (taken, ready) in enumerate(zip(takens, news, strict=True)):
            if not is_of_a_product(taken) and position not in resolved.owners:
                telling.changes.problem(taken.event_id, "", _names_nobody(taken))
            telling.dispatch(position, ready.interests.of, calendar)
        for taken in unnamed:
            telling.changes.problem(taken.event_id, "", "a product without product_id and sku cannot be kept")
        resolved.overtaken = await telling.write(connection, calendar.now)
        return resolved

    def _named(self, taken: Taken) -> Named:
        """Whom an event names: by its identifiers, and by a message of ours."""
        said, message = taken.incoming, taken.message
        place: dict[str, Any] = {"source": said.source, "id": said.id, "time": taken.time, "at": taken.at}
        if is_of_a_product(taken):
            return Named.by((), event_id=taken.event_id, verified=said.verified, **place)
        # What Waypost writes itself says nothing new of who is who.
        named, verified = list(said.identifiers), said.verified and not said.source.startswith(OURS)
        if named and message is not None and message.address and message.channel in ADDRESS_TYPE:
            address = (ADDRESS_TYPE[message.channel], message.address)
            # Its id went to that address and nowhere else: who knows it has read that mail, on this device.
            # Who else they say they are it does not prove.
            verified = verified or all(kind in DEVICE or (kind, value) == address for kind, value in named)
            named.append(address)
        return Named.by(
            named,
            shunned=self._shunned,
            profile_id=message.profile_id if message else None,
            message_id=message.message_id if message else None,
            event_id=taken.event_id,
            verified=verified,
            **place,
        )


def _names_nobody(taken: Taken) -> str:
    if taken.incoming.identifiers:
        return "what it names is shared by so many that it is nobody's: it counts for no one"
    return "it names nobody: no identifier, and no message of ours"


def _row(p: _Prepared) -> dict[str, Any]:
    said = p.incoming
    identifiers: dict[str, list[str]] = {}
    for kind, value in said.identifiers:
        identifiers.setdefault(kind, []).append(value)
    return {
        "event_id": p.event_id,
        "source": said.source,
        "id": said.id,
        "hash": p.hash.hex(),
        "type": said.type,
        "channel": said.channel,
        "time": said.time,
        "identifiers": identifiers,
        "properties": said.properties,
        "traits": said.traits,
        "context": said.context,
        "verified": said.verified,
        "problems": p.problems,
    }


def _taken(p: _Prepared, at: datetime, messages: dict[UUID | None, KnownMessage]) -> Taken:
    return Taken(p.incoming, p.event_id, at, p.typed, messages.get(_message_id(p.incoming)))


def _first_of_each(prepared: Sequence[_Prepared]) -> dict[tuple[str, str], _Prepared]:
    first: dict[tuple[str, str], _Prepared] = {}
    for p in prepared:
        first.setdefault((p.incoming.source, p.incoming.id), p)
    return first


async def _answers(
    connection: Any,
    prepared: Sequence[_Prepared],
    first: dict[tuple[str, str], _Prepared],
    stamped: dict[UUID, tuple[datetime, datetime]],
) -> list[Ingested]:
    known = {name: (p.event_id, p.hash) for name, p in first.items() if p.event_id in stamped}
    missing = [{"source": s, "id": i} for s, i in first if (s, i) not in known]
    if missing:
        for row in await connection.fetch(_KNOWN, encode(missing)):
            known[row["source"], row["id"]] = (row["event_id"], bytes(row["content_hash"]))
    answers = []
    for p in prepared:
        event_id, content = known[p.incoming.source, p.incoming.id]
        if event_id == p.event_id:
            answers.append(Ingested(p.incoming.id, Status.ACCEPTED, event_id))
        else:
            status = Status.DUPLICATE if content == p.hash else Status.CONFLICT
            answers.append(Ingested(p.incoming.id, status, event_id))
    return answers


async def _messages_of(connection: Any, news: Sequence[_Prepared]) -> dict[UUID | None, KnownMessage]:
    asked = sorted({found for p in news if (found := _message_id(p.incoming))})
    if not asked:
        return {}
    return {
        row["message_id"]: KnownMessage(
            row["message_id"], row["profile_id"], row["run_id"], row["channel"], row["address"]
        )
        for row in await connection.fetch(_MESSAGES, asked)
    }


def _message_id(incoming: IncomingEvent) -> UUID | None:
    if not incoming.type.startswith("Message "):
        return None
    try:
        return UUID(str(incoming.properties.get("message_id")))
    except ValueError:
        return None


def _is_the_events_fault(error: BaseException) -> bool:
    """Whether an event can never be stored. Whatever else goes wrong must not cost a client its event."""
    if isinstance(error, asyncpg.PostgresError):
        # 22 data, 23 constraint, 54 a limit of Postgres's own.
        return (error.sqlstate or "")[:2] in ("22", "23", "54")
    if isinstance(error, asyncpg.InterfaceError | OSError):
        return False
    return isinstance(error, ValueError | OverflowError | RecursionError | orjson.JSONEncodeError)


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        return f"Postgres cannot store this event: {error}"[:300]
    return f"this event could not be taken in: {error!r}"[:300]
