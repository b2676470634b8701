"""Bring everything that hangs on people in line, after their identifiers and events have moved."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.orders import undo
from profiles.commerce.suppressions import reach
from profiles.consent import effective
from profiles.db.sql import encode
from profiles.merging.rekey import Before, Standing, rekey
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import FOLDED
from profiles.state.cart import as_items
from profiles.state.profile_state import Person, load
from profiles.state.unit_of_work import LIFT, Changes

_CARTS = "SELECT profile_id, cart_id, lines::text AS lines FROM cart WHERE profile_id = ANY($1)"

_RUNS = "SELECT run_id, profile_id, key FROM run WHERE profile_id = ANY($1) AND state <> 'ended'"

_OWNERS = "SELECT event_id, profile_id FROM event WHERE profile_id = ANY($1) AND type = ANY($2)"

_LAPSED = """
UPDATE profile p SET lapsed_after = l.lapsed_after
FROM jsonb_to_recordset($1) AS l(profile_id uuid, lapsed_after timestamptz)
WHERE p.profile_id = l.profile_id AND p.lapsed_after IS DISTINCT FROM l.lapsed_after
"""

_UNDONE = """
SELECT profile_id, event_id, source, id, type, channel, time, at, verified, properties::text AS properties
FROM event WHERE profile_id = ANY($1) AND type IN ('Order Refunded', 'Order Cancelled')
"""

_UNLIFT = (
    "UPDATE purchase SET returned = 0 WHERE profile_id = ANY($1) AND returned > 0",
    "UPDATE suppression s SET lifted_at = NULL FROM purchase p WHERE p.profile_id = ANY($1) "
    "AND s.event_id = p.event_id AND s.line = p.line AND s.lifted_at IS NOT NULL",
)


async def before(connection: Any, involved: Collection[UUID]) -> Before:
    """Read it before anything moves."""
    people = sorted(involved)
    return Before(
        {
            (row["profile_id"], row["cart_id"]): as_items(orjson.loads(row["lines"]))
            for row in await connection.fetch(_CARTS, people)
        },
        {row["run_id"]: (row["profile_id"], row["key"]) for row in await connection.fetch(_RUNS, people)},
        {row["event_id"]: row["profile_id"] for row in await connection.fetch(_OWNERS, people, list(FOLDED))},
    )


async def after(
    connection: Any,
    people: Collection[UUID],
    involved: Collection[UUID],
    was: Before,
    profile_of: dict[str, UUID],
    nobodys: Collection[UUID],
    at: datetime,
) -> None:
    """Fold ``people`` anew from the events that are theirs by now, and tell their live runs what is news.

    ``involved``: they and the profiles they were. ``nobodys``: profiles of keys that are nobody's; no run
    lives on there. Past events start nothing.
    """
    await reach(connection, involved, profile_of, nobodys)
    await connection.execute("DELETE FROM cart WHERE profile_id = ANY($1)", sorted(involved))
    persons = await load(connection, sorted(people))
    for person in persons.values():
        _forget(person)
    told = await replay.history(connection, sorted(people))
    for who, events in told.items():
        replay.retell(persons[who], events)
    await replay.seen(connection, persons)
    changes = Changes()
    for person in persons.values():
        for cart in person.carts.values():
            changes.keep_cart(person, cart)
    standing = Standing(
        persons, {who: [taken for taken, _ in events] for who, events in told.items()}, nobodys
    )
    await rekey(connection, standing, was, involved, at, changes)
    await changes.write(connection, persons)
    await _lapse(connection, sorted(people))
    await _lift(connection, persons)
    await computed.refresh(connection, sorted(people))
    await effective.refresh(connection, sorted(involved), at)
    await leave_audiences(connection, people, at)


def _forget(person: Person) -> None:
    """What is folded from events."""
    person.traits, person.origins, person.seen, person.carts = {}, {}, {}, {}
    person.context_timezone = person.context_locale = None
    person.last_checkout_at = person.sure_checkout_at = person.carts_place = None
    person.email_ordered = 0
    person.changed = True


async def _lapse(connection: Any, people: list[UUID]) -> None:
    known = await replay.lapses(connection, people)
    rows = [{"profile_id": who, "lapsed_after": known.get(who)} for who in people]
    await connection.execute(_LAPSED, encode(rows))


async def _lift(connection: Any, persons: dict[UUID, Person]) -> None:
    """Refunds and cancellations meet the purchases they are about, whoever's they were before."""
    rows = await connection.fetch(_UNDONE, sorted(persons))
    for statement in _UNLIFT:
        await connection.execute(statement, sorted(persons))
    changes = Changes()
    for row in rows:
        undo(persons[row["profile_id"]], replay.bare(row), changes)
    if changes.undone:
        await connection.execute(LIFT, encode(changes.undone))
