"""Who is who under concurrency: no deadlock surfaces, and the graph is what joining by hand gives."""

import asyncio
import os
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles import identity
from profiles.database import Database
from profiles.incoming import IncomingEvent, Status
from tests.facts import CARTS, LAMP, Facts, order

FULL = os.environ.get("WAYPOST_PROOF") == "full"
Pair = tuple[str, str]


def joined(groups: Iterable[Iterable[Pair]]) -> set[frozenset[Pair]]:
    """The people that groups of identifiers make, by union-find."""
    parent: dict[Pair, Pair] = {}

    def root(one: Pair) -> Pair:
        parent.setdefault(one, one)
        while parent[one] != one:
            one = parent[one]
        return one

    for group in groups:
        first, *others = group
        for other in (first, *others):
            parent[root(other)] = root(first)
    people: dict[Pair, set[Pair]] = {}
    for one in list(parent):
        people.setdefault(root(one), set()).add(one)
    return {frozenset(person) for person in people.values()}


async def people(facts: Facts) -> set[frozenset[Pair]]:
    """The people in Postgres."""
    rows = await facts.rows("SELECT profile_id, type, value FROM identifier")
    found: dict[object, set[Pair]] = {}
    for row in rows:
        found.setdefault(row["profile_id"], set()).add((row["type"], row["value"]))
    return {frozenset(person) for person in found.values()}


def traffic(
    facts: Facts, dice: random.Random, batches: int, size: int, crowd: int
) -> list[list[IncomingEvent]]:
    """Batches in which the same few people come by several identifiers, in any order."""
    kinds = ("user_id", "email", "phone", "anonymous_id")
    spelled = {
        "user_id": "u-{}",
        "email": "u{}@example.com",
        "phone": "+4915112345{:03}",
        "anonymous_id": "a-{}",
    }

    def event() -> IncomingEvent:
        # Mostly one person's own identifiers; now and then a neighbour's, which merges the two.
        n = dice.randrange(crowd)
        chosen = dice.sample(kinds, dice.choice((1, 2, 2, 3)))
        named = {kind: spelled[kind].format(n + (1 if dice.random() < 0.03 else 0)) for kind in chosen}
        said = order(LAMP, order_id=f"o-{dice.random()}")
        return facts.event(dice.choice(("Product Viewed", "Order Completed")), said, **named)

    return [[event() for _ in range(size)] for _ in range(batches)]


@pytest.mark.proof
async def test_shuffled_batches_at_once_never_deadlock_and_join_the_right_people(database: Database) -> None:
    facts, dice = Facts(database, CARTS), random.Random(20261121)
    batches, size, crowd = (400, 25, 150) if FULL else (100, 10, 25)
    work = traffic(facts, dice, batches, size, crowd)
    gate = asyncio.Semaphore(8)

    async def take(batch: list[IncomingEvent]) -> None:
        async with gate:
            answers = await facts.ingest(batch)
        assert {answer.status for answer in answers} <= {Status.ACCEPTED, Status.DUPLICATE}

    # Every batch also comes a second time, in another order.
    again = [dice.sample(batch, len(batch)) for batch in work]
    await asyncio.gather(*(take(batch) for pair in zip(work, again, strict=True) for batch in pair))

    events = [event for batch in work for event in batch]
    assert await people(facts) == joined(event.identifiers for event in events)
    purchases = sum(event.type == "Order Completed" for event in events)
    assert await facts.values("SELECT count(*) FROM purchase") == [purchases]
    assert await facts.values("SELECT sum(orders)::int FROM profile WHERE merged_into IS NULL") == [purchases]
    stray = "SELECT count(*) FROM {} t JOIN profile p USING (profile_id) WHERE p.merged_into IS NOT NULL"
    for table in ("purchase", "suppression", "event", "cart", "identifier"):
        assert await facts.values(stray.format(table)) == [0], table


async def test_first_contact_from_many_sides_at_once_makes_one_person(database: Database) -> None:
    facts = Facts(database)
    await asyncio.gather(*(facts.happens("Seen", email="a@x.org", anonymous_id=f"a-{n}") for n in range(12)))

    assert len(await people(facts)) == 1
    assert await facts.values("SELECT count(*) FROM profile") == [1]


async def test_without_the_upserts_row_lock_one_address_would_be_two_people(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: look first, insert later, and whoever came in between is overlooked."""
    naive = identity._UPSERT.replace(
        "ON CONFLICT (type, value) DO UPDATE SET value = excluded.value",
        "ON CONFLICT (type, value) DO NOTHING",
    )
    facts = Facts(database)
    await facts.happens("Seen", email="a@x.org")
    monkeypatch.setattr(identity, "_UPSERT", naive)

    with pytest.raises(KeyError):
        async with database.transaction() as connection:
            await identity.resolve(
                connection, identity.grouped([((("email", "a@x.org"),), None, identity._NEVER)])
            )


WEB, CARD, BOTH = {"email": "a@x.org"}, {"user_id": "42"}, {"email": "a@x.org", "user_id": "42"}
TILL, LINKED = {"phone": "+4915112345678"}, {"email": "a@x.org", "phone": "+4915112345678"}
STORY = (
    ("Product Added", {"product_id": "p-1", "cart_id": "c"}, WEB),
    ("Order Completed", {"order_id": "o-1", "products": [{"product_id": "p-1"}]}, CARD),
    (
        "Order Completed",
        {"order_id": "o-2", "products": [{"product_id": "p-2"}, {"product_id": "p-3"}]},
        CARD,
    ),
    ("Order Refunded", {"order_id": "o-2", "products": [{"product_id": "p-3"}]}, BOTH),
    ("Order Completed", {"order_id": "o-3", "products": [{"product_id": "p-4"}]}, TILL),
    ("Order Cancelled", {"order_id": "o-3"}, LINKED),
    ("Order Completed", {"order_id": "o-4", "products": [{"sku": "s-5"}]}, {"anonymous_id": "somebody else"}),
)


@pytest.mark.proof
@settings(
    max_examples=150 if FULL else 15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations(range(len(STORY))),
    repeated=st.lists(st.sampled_from(range(len(STORY))), max_size=4),
    cuts=st.sets(st.integers(1, len(STORY) + 3), max_size=4),
)
async def test_any_order_with_any_repetition_gives_the_same_suppressions_and_people(
    database: Database, order: list[int], repeated: list[int], cuts: set[int]
) -> None:
    facts = Facts(database, CARTS)
    await facts.rows("TRUNCATE profile, identifier, event, cart, purchase, suppression, run, outbox")
    told = [
        facts.event(name, dict(said), event_id=f"e-{n}", **named)
        for n in (*order, *repeated)
        for name, said, named in (STORY[n],)
    ]
    told = [type(e)(e.source, e.id, e.type, e.channel, facts.now, e.identifiers, e.properties) for e in told]
    edges = [0, *sorted(cut for cut in cuts if cut < len(told)), len(told)]
    for start, end in pairwise(edges):
        await facts.ingest(told[start:end])

    assert await facts.suppressed("email", "a@x.org") == ["p-1", "p-2"]
    assert await facts.suppressed("anonymous_id", "somebody else") == ["s-5"]
    assert await people(facts) == {
        frozenset({("email", "a@x.org"), ("user_id", "42"), ("phone", "+4915112345678")}),
        frozenset({("anonymous_id", "somebody else")}),
    }
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL ORDER BY 1") == [1, 3]
