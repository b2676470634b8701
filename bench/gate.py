"""Decisions of the send gate a second, under contention, beside the least that a locking transaction does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate import Claim, Gate
from bench.at_once import seconds_for
from bench.report import Comparison, Measure, rate
from bench.servers import Servers
from bench.sizes import Sizes
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.changes import encode
from profiles.claims import READ_BACK
from profiles.database import Database
from profiles.events import Item
from profiles.ids import new_id

NAME = "gate"
WRITERS = (1, 8, 40)
PEOPLE = 200
"""More than writers, so that no two of these ever wait for one another."""

_WARM_UP = 80
_FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
_APART = READ_BACK + timedelta(days=1)
"""So far apart, a decision counts no more earlier messages than a real one would."""
_LIMITS = Limits(caps=tuple(replace(cap, limit=10**6) for cap in Limits().caps))
"""The shipped caps, checked in full and never reached, so that every decision goes all the way to a claim."""

_PEOPLE = """
INSERT INTO profile (profile_id, traits, email_from_order, last_checkout_at, created_at)
SELECT profile_id, '{"timezone": "Europe/Berlin"}', true, $2, $2
FROM jsonb_to_recordset($1) AS p(profile_id uuid)
"""
_ADDRESSES = """
INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, vouched, created_at)
SELECT 'email', 'person-' || profile_id || '@example.com', profile_id, profile_id, $2, $2, true, $2
FROM jsonb_to_recordset($1) AS p(profile_id uuid)
"""
_CARTS = """
INSERT INTO cart (profile_id, cart_id, lines, updated_at)
SELECT profile_id, 'cart', '[{"product_id": "p-1", "sku": "p-1-red", "quantity": 1}]', $2
FROM jsonb_to_recordset($1) AS p(profile_id uuid)
"""
_RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, entered_at)
SELECT run_id, 'cart-abandonment', run_id::text, profile_id, 'running', run_id::text, run_id, $2
FROM jsonb_to_recordset($1) AS p(profile_id uuid, run_id uuid)
"""
_BARE_TABLE = (
    "CREATE TABLE bare_decision (id uuid PRIMARY KEY, profile_id uuid NOT NULL, at timestamptz NOT NULL)"
)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Person:
    """A profile and its run."""

    profile_id: UUID
    run_id: UUID


@dataclass(frozen=True, slots=True)
class _Asked:
    """One decision to be taken."""

    person: Person
    at: datetime
    """The run's now."""
    request: SendMessage


def steps(sizes: Sizes) -> int:
    """How often ``measure`` tells of progress."""
    return sizes.repeats * len(WRITERS) * 2


async def measure(servers: Servers, sizes: Sizes, tell: Tell) -> list[Comparison]:
    """Claims by ``Gate.claim`` and bare transactions, on the same pool and the same profiles.

    Raises RuntimeError when a message is not allowed: a refusal would be another, shorter way.
    """
    found: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    async with servers.database() as url, _pool(url) as database:
        people = await _people(database, PEOPLE)
        numbers = count()
        ours, bare = partial(_claim, Gate(database, _LIMITS)), partial(_bare, database)
        for work in (ours, bare):
            await _decide(work, people, numbers, 8, _WARM_UP)
        for _ in range(sizes.repeats):
            for writers in WRITERS:
                for whose, chosen in (("distinct profiles", people), ("one profile", people[:1])):
                    tell(f"{NAME}: {writers} writers, {whose}")
                    rates = found.setdefault((whose, writers), ([], []))
                    for work, values in zip((ours, bare), rates, strict=True):
                        values.append(await _decide(work, chosen, numbers, writers, sizes.decisions))
    return [
        Comparison(
            NAME,
            f"{writers} writer{'s' if writers > 1 else ''}, {whose}",
            "decisions/s",
            Measure(tuple(ours_rates)),
            Measure(tuple(bare_rates)),
            note="all wait for one lock" if whose == "one profile" and writers > 1 else "",
        )
        for (whose, writers), (ours_rates, bare_rates) in sorted(found.items())
    ]


@asynccontextmanager
async def _pool(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=max(WRITERS))
    try:
        yield database
    finally:
        await database.close()


async def _people(database: Database, number: int) -> list[Person]:
    people = [Person(new_id(), new_id()) for _ in range(number)]
    rows = encode([{"profile_id": person.profile_id, "run_id": person.run_id} for person in people])
    async with database.transaction() as connection:
        for statement in (_PEOPLE, _ADDRESSES, _CARTS, _RUNS):
            await connection.execute(statement, rows, _FIRST)
        await connection.execute(_BARE_TABLE)
    return people


async def _decide(
    work: Callable[[_Asked], Awaitable[None]],
    people: Sequence[Person],
    numbers: "count[int]",
    writers: int,
    decisions: int,
) -> float:
    asked = [_asked(number, people) for number, _ in zip(numbers, range(decisions), strict=False)]
    return rate(decisions, await seconds_for(asked, [work] * writers))


def _asked(number: int, people: Sequence[Person]) -> _Asked:
    person = people[number % len(people)]
    # The calendar starts again long before datetimes end.
    at = _FIRST + (number % 50_000) * _APART
    request = SendMessage(
        run_id=str(person.run_id),
        step=f"step {number}",
        journey="cart-abandonment",
        template="cart_reminder",
        channel=Channel.EMAIL,
        promoting=(Item(product_id="p-1", sku="p-1-red"),),
        expires_at=at + timedelta(days=2),
        cart_id="cart",
    )
    return _Asked(person, at, request)


async def _claim(gate: Gate, asked: _Asked) -> None:
    answer = await gate.claim(asked.request, MessageClass.MARKETING, "marketing", asked.at)
    if not isinstance(answer, Claim):
        raise RuntimeError(f"expected the gate to allow {asked.request.step}; got {answer}")


async def _bare(database: Database, asked: _Asked) -> None:
    """Lock a row, read a row, insert a row, commit."""
    async with database.transaction() as connection:
        profile_id, run_id = asked.person.profile_id, asked.person.run_id
        await _locked(connection, profile_id)
        await connection.fetchrow("SELECT state, journey FROM run WHERE run_id = $1", run_id)
        await connection.execute(
            "INSERT INTO bare_decision VALUES ($1, $2, $3)", new_id(), profile_id, asked.at
        )


async def _locked(connection: Any, profile_id: UUID) -> None:
    await connection.fetchrow(
        "SELECT merged_into FROM profile WHERE profile_id = $1 FOR NO KEY UPDATE", profile_id
    )
