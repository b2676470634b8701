"""Take events in: one Postgres transaction for the events, the person, the facts, the runs and the outbox."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from profiles.bought import Asked, PlainRule
from profiles.database import Database
from profiles.dispatch import Calendar
from profiles.identifiers import ADDRESS_TYPE
from profiles.identity import Resolved, resolve
from profiles.identity_quarantine import warn
from profiles.identity_rules import DEVICE
from profiles.incoming import IncomingEvent, Ingested, Status
from profiles.naming import Named
from profiles.prepared import Prepared, answers_to, first_of_each, insert, message_id_of, messages_of, prepare
from profiles.products import is_of_a_product, keep_products
from profiles.routing import Route
from profiles.shunned import Shunned
from profiles.taken import KnownMessage, Taken
from profiles.telling import Telling

OURS = "waypost/"
"""Sources that begin like this are Waypost's own."""

log = structlog.get_logger(__name__)


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
            prepared = [prepare(event, self._routes) for event in events]
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

    async def _take(self, connection: Any, prepared: Sequence[Prepared]) -> tuple[list[Ingested], Resolved]:
        resolved = Resolved()
        if not prepared:
            return [], resolved
        first = first_of_each(prepared)
        stamped = await insert(connection, list(first.values()), local=self._rules.local)
        news = [p for p in prepared if p.event_id in stamped]
        if news:
            now = next(iter(stamped.values()))[1]
            resolved = await self._apply(connection, news, stamped, Calendar(now, self._rules.local))
        return await answers_to(connection, prepared, first, stamped), resolved

    async def _apply(
        self,
        connection: Any,
        news: Sequence[Prepared],
        stamped: dict[UUID, tuple[datetime, datetime]],
        calendar: Calendar,
    ) -> Resolved:
        messages = await messages_of(connection, news)
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


def _taken(p: Prepared, at: datetime, messages: dict[UUID | None, KnownMessage]) -> Taken:
    return Taken(p.incoming, p.event_id, at, p.typed, messages.get(message_id_of(p.incoming)))


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
