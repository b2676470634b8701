"""Take events in: one Postgres transaction for the events, the person, the facts, the runs and the outbox."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from profiles.commerce import orders
from profiles.commerce.catalog import is_of_a_product, keep_products
from profiles.commerce.orders import ORDER, Asked, PlainRule, read_orders
from profiles.commerce.suppressions import mark_overtaken
from profiles.consent import declarations, effective
from profiles.db.database import Database
from profiles.identity.identifiers import ADDRESS_TYPE, DEVICE
from profiles.identity.quarantine import Shunned, warn
from profiles.ingest.event_store import (
    Ingested,
    Prepared,
    Status,
    answers_to,
    first_of_each,
    insert,
    message_id_of,
    messages_of,
    prepare,
)
from profiles.ingest.resolution import Named, Resolved, resolve
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import FOLDED, fold
from profiles.runs.routing import Folded, Interest, Route, dispatch
from profiles.state.clock import Calendar
from profiles.state.event_records import IncomingEvent, KnownMessage, Place, Taken
from profiles.state.profile_state import Person, load
from profiles.state.unit_of_work import Changes

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


_FORGET_CARTS = "DELETE FROM cart WHERE profile_id = ANY($1)"


@dataclass(slots=True)
class Telling:
    """The new events of one transaction and everybody they are about, under lock."""

    takens: Sequence[Taken]
    resolved: Resolved
    persons: dict[UUID, Person]
    late: dict[UUID, list[tuple[Taken, bool]]] = field(default_factory=dict)
    """People to whom something happened before what their carts were folded from → all that is known."""
    zones: dict[UUID, Any] = field(default_factory=dict)
    """What each person's zone was before."""
    changes: Changes = field(default_factory=Changes)
    folded: dict[int, Folded] = field(default_factory=dict)
    speaking: set[UUID] = field(default_factory=set)
    """People whose word on consent is another by now."""
    touched: dict[tuple[int, UUID], tuple[str, ...]] = field(default_factory=dict)
    """(event, somebody else whom it names) → their carts that it changed."""

    @classmethod
    async def of(
        cls, connection: Any, takens: Sequence[Taken], resolved: Resolved, rule_of: Asked
    ) -> "Telling":
        """Read the people; a statement of its own, after the locks. ``rule_of``: how purchases suppress."""
        people = {*resolved.owners.values(), *(who for others in resolved.others.values() for who in others)}
        takens = await read_orders(connection, takens, rule_of)
        telling = cls(takens, resolved, await load(connection, sorted(people)))
        telling.zones = {who: person.zone for who, person in telling.persons.items()}
        if late := telling._late():
            telling.late = await replay.history(connection, late)
        return telling

    def _late(self) -> list[UUID]:
        found: dict[UUID, None] = {}
        for position, taken in enumerate(self.takens):
            if taken.incoming.type not in FOLDED:
                continue
            for who in self._concerned(position):
                last = self.persons[who].carts_place
                if last is not None and taken.place < last:
                    found[who] = None
        return list(found)

    def _concerned(self, position: int) -> tuple[UUID, ...]:
        mine = self.resolved.owners.get(position)
        return () if mine is None else (mine, *self.resolved.others.get(position, ()))

    def fold(self) -> None:
        """Apply every event to its person, in the order in which they happened."""
        for who, past in self.late.items():
            person = self.persons[who]
            person.carts, person.carts_place = {}, None
            person.changed = True
            # Past events are folded for the carts alone; what else they did is done.
            self._between(person, past)
        for position in sorted(range(len(self.takens)), key=lambda one: self.takens[one].place):
            for who in self._concerned(position):
                if who not in self.late:
                    self._one(position, self.persons[who])
        for who in self.late:
            person = self.persons[who]
            for place in [place for place in self.changes.carts if place[0] == who]:
                del self.changes.carts[place]
            for cart in person.carts.values():
                self.changes.keep_cart(person, cart)

    def _between(self, person: Person, past: list[tuple[Taken, bool]]) -> None:
        """Past and new events of one person in one line."""
        news = {
            position: taken
            for position, taken in enumerate(self.takens)
            if person.profile_id in self._concerned(position)
        }
        line: list[tuple[Place, tuple[Taken, bool] | int]] = [
            *((pair[0].place, pair) for pair in past),
            *((taken.place, position) for position, taken in news.items()),
        ]
        for _, one in sorted(line, key=lambda entry: entry[0]):
            if isinstance(one, int):
                self._one(one, person)
            else:
                replay.retell(person, [one])

    def _one(self, position: int, person: Person) -> None:
        taken = self.takens[position]
        if person.profile_id == self.resolved.owners[position]:
            self.folded[position] = fold(person, taken, self.changes)
            return
        # Somebody else whom it names, too: what was bought is not promoted to them either, and a no is a no.
        if taken.incoming.type == ORDER:
            carts = orders.take_out(person, taken, self.changes)
            self.touched[position, person.profile_id] = carts
        if declarations.leave_with(person, taken, self.changes):
            self.speaking.add(person.profile_id)

    def dispatch(self, position: int, interests: tuple[Interest, ...], calendar: Calendar) -> None:
        """Tell an event to the runs that it concerns, and start those that it starts."""
        taken = self.takens[position]
        if position not in self.folded:
            return
        person = self.persons[self.resolved.owners[position]]
        folded = self.folded[position].by_now(person.renamed) if person.profile_id in self.late else None
        folded = folded or self.folded[position]
        whose = {"profile_id": person.profile_id, "cart_id": folded.cart_id}
        self.changes.events[taken.event_id] |= whose
        dispatch(person, taken, folded, interests, calendar, self.changes)
        for who in self.resolved.others.get(position, ()):
            carts = self.touched.get((position, who), ())
            if carts:
                dispatch(
                    self.persons[who],
                    taken,
                    Folded(None, carts),
                    interests,
                    calendar,
                    self.changes,
                    starts=False,
                )

    async def write(self, connection: Any, at: datetime) -> int:
        """Write all of it, and work out what follows from it; how many messages a late purchase overtook."""
        if self.late:
            await connection.execute(_FORGET_CARTS, sorted(self.late))
        await self.changes.write(connection, self.persons)
        orders = [position for position, taken in enumerate(self.takens) if taken.incoming.type == ORDER]
        buyers = dict.fromkeys(who for position in orders for who in self._concerned(position))
        if shown := [who for who in buyers if self.persons[who].audiences]:
            await leave_audiences(connection, shown, at)
        overtaken = await mark_overtaken(connection, [self.takens[position] for position in orders], buyers)
        self.speaking |= {row["profile_id"] for row in self.changes.inserts["consent"]}
        # Whether a word counts hangs on when and by whom identifiers were linked, too; and it counts for a
        # new address. Somebody who has never said anything has nothing to weigh.
        news = {
            who
            for who in self.resolved.grown | self.resolved.settled.weighed
            if who not in self.persons or self.persons[who].has_spoken
        }
        await effective.refresh(connection, self.speaking | news, at)
        due = {
            self.resolved.owners[position]
            for position, taken in enumerate(self.takens)
            if position in self.resolved.owners and taken.incoming.type in computed.REFRESHED_BY
        }
        due |= {
            who
            for who, person in self.persons.items()
            if person.has_habits and person.zone != self.zones[who]
        }
        await computed.refresh(connection, sorted(due))
        return overtaken
