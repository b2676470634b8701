"""New events told to the people they are about, in the order in which they happened, and to their runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles import computed, consent_state, consents, orders, refold
from profiles.audiences import leave_audiences
from profiles.bought import ORDER, Asked, read_orders
from profiles.changes import Changes
from profiles.dispatch import Calendar, dispatch
from profiles.fold import FOLDED, Folded, fold
from profiles.identity import Resolved
from profiles.overtaken import mark_overtaken
from profiles.person import Person, load
from profiles.routing import Interest
from profiles.taken import Place, Taken

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
            telling.late = await refold.history(connection, late)
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
                refold.retell(person, [one])

    def _one(self, position: int, person: Person) -> None:
        taken = self.takens[position]
        if person.profile_id == self.resolved.owners[position]:
            self.folded[position] = fold(person, taken, self.changes)
            return
        # Somebody else whom it names, too: what was bought is not promoted to them either, and a no is a no.
        if taken.incoming.type == ORDER:
            carts = orders.take_out(person, taken, self.changes)
            self.touched[position, person.profile_id] = carts
        if consents.leave_with(person, taken, self.changes):
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
        await consent_state.refresh(connection, self.speaking | news, at)
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
