"""Who is who under concurrency: no deadlock surfaces, and people are whom the rules find over everything."""

import asyncio
import random
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.identity.identifiers import keys_digest
from profiles.ingest import resolution
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.resolution import EventIdentifiers
from profiles.state.event_records import IncomingEvent
from tests.support.builders.identities import owner
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order
from tests.support.proof_size import size
from tests.support.queries.identity import named, people, people_in, quarantined_in, resolved
from tests.support.queries.snapshot import forget_all

SPELLED = {
    "user_id": "u-{}",
    "loyalty_id": "L-{}",
    "email": "u{}@example.com",
    "phone": "+4915112345{:03}",
    "anonymous_id": "a-{}",
}

TABLETS = ("tablet-1", "tablet-2")


def traffic(
    facts: IngestHarness, dice: random.Random, batches: int, batch_size: int, crowd: int
) -> list[list[IncomingEvent]]:
    """Batches in which the same few people come by several identifiers, in any order.

    Mostly by their own; now and then by a neighbour's, or on a tablet that all share; and not every sender
    is one to be believed.
    """

    def event() -> IncomingEvent:
        n = dice.randrange(crowd)
        chosen = dice.sample([*SPELLED], dice.choice((1, 2, 2, 3)))
        who = {kind: SPELLED[kind].format(n + (1 if dice.random() < 0.03 else 0)) for kind in chosen}
        if dice.random() < 0.1:
            who["anonymous_id"] = dice.choice(TABLETS)
        said = order(LAMP, order_id=f"o-{dice.random()}")
        happened = facts.event(dice.choice(("Product Viewed", "Order Completed")), said, **who)
        return replace(happened, verified=dice.random() < 0.7)

    return [[event() for _ in range(batch_size)] for _ in range(batches)]


def expected_orders(events: list[IncomingEvent]) -> dict[frozenset[str], int]:
    """How many orders are whose, by the rules over all events at once."""
    graph = resolved(events)
    found: dict[frozenset[str], int] = {}
    for event in events:
        whose = owner(named(event).keys, event.verified, graph)
        if event.type == "Order Completed" and whose is not None:
            person = frozenset(graph.cluster_of(whose))
            found[person] = found.get(person, 0) + 1
    return found


async def orders_in(facts: IngestHarness) -> dict[frozenset[str], int]:
    """How many orders are whose, in Postgres."""
    rows = await facts.rows(
        "SELECT array_agg(i.type || ':' || i.value) AS keys, max(p.orders) AS orders "
        "FROM profile p JOIN identifier i USING (profile_id) WHERE i.status <> 'quarantined' "
        "GROUP BY p.profile_id"
    )
    return {frozenset(row["keys"]): row["orders"] for row in rows if row["orders"]}


@pytest.mark.proof
@pytest.mark.timeout(1800)
async def test_shuffled_batches_at_once_never_deadlock_and_join_the_right_people(database: Database) -> None:
    facts, dice = IngestHarness(database, CARTS), random.Random(20261121)
    work = traffic(facts, dice, size(60, 400), size(10, 25), size(25, 150))
    # Every batch also comes a second time, in another order.
    told = [*work, *(dice.sample(batch, len(batch)) for batch in work)]
    dice.shuffle(told)
    gate = asyncio.Semaphore(8)

    async def take(batch: list[IncomingEvent]) -> None:
        async with gate:
            answers = await facts.ingest(batch)
        assert {answer.status for answer in answers} <= {IngestStatus.ACCEPTED, IngestStatus.DUPLICATE}

    await asyncio.gather(*(take(batch) for batch in told))

    events = [event for batch in work for event in batch]
    graph = resolved(events)
    assert people(graph) == await people_in(database)
    assert graph.quarantined == await quarantined_in(database)
    assert {f"anonymous_id:{tablet}" for tablet in TABLETS} <= graph.quarantined
    assert expected_orders(events) == await orders_in(facts)
    stray = "SELECT count(*) FROM {} t JOIN profile p USING (profile_id) WHERE p.merged_into IS NOT NULL"
    for table in ("purchase", "suppression", "event", "cart", "identifier"):
        assert await facts.values(stray.format(table)) == [0], table


async def test_first_contact_from_many_sides_at_once_makes_one_person(facts: IngestHarness) -> None:
    await asyncio.gather(*(facts.happens("Seen", email="a@x.org", anonymous_id=f"a-{n}") for n in range(10)))

    assert len(await people_in(facts.database)) == 1
    assert await facts.values("SELECT count(*) FROM profile WHERE merged_into IS NULL") == [1]


async def test_of_more_devices_at_once_than_one_person_has_the_others_stay_alone(
    facts: IngestHarness,
) -> None:
    events = [facts.event("Seen", email="a@x.org", anonymous_id=f"a-{n}") for n in range(13)]
    await asyncio.gather(*(facts.ingest([event]) for event in random.Random(7).sample(events, 13)))

    assert people(resolved(events)) == await people_in(facts.database)
    assert len(await people_in(facts.database)) == 4


async def test_without_the_upserts_row_lock_one_address_would_be_two_people(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: look first, insert later, and whoever came in between is overlooked."""
    update = re.compile(r"ON CONFLICT \(type, value\) DO UPDATE SET .*?(?=\s+RETURNING)", re.DOTALL)
    naive = update.sub("ON CONFLICT (type, value) DO NOTHING", resolution._UPSERT_IDENTIFIERS, count=1)
    assert naive != resolution._UPSERT_IDENTIFIERS
    await facts.happens("Seen", email="a@x.org")
    monkeypatch.setattr(resolution, "_UPSERT_IDENTIFIERS", naive)

    with pytest.raises(KeyError):
        async with facts.database.transaction() as connection:
            await resolution.resolve_identities(connection, [named(facts.event("Seen", email="a@x.org"))])


def said_by(*identifiers: tuple[str, str], at: int = 0) -> EventIdentifiers:
    """What an event names."""
    facts = IngestHarness.__new__(IngestHarness)
    facts.source, facts._events = "test", at
    return replace(named(facts.event("Seen")), keys=tuple(f"{kind}:{value}" for kind, value in identifiers))


def test_events_of_a_batch_that_share_an_identifier_are_weighed_together() -> None:
    ada, bob = ("email", "ada@x.org"), ("email", "bob@x.org")
    card, tablet = ("loyalty_id", "L-1"), ("anonymous_id", "t-1")
    told = [said_by(ada), said_by(bob, tablet), said_by(), said_by(card, ada), said_by(tablet), said_by(card)]

    assert sorted(group.positions for group in resolution.group_by_identifier(told)) == [[0, 3, 5], [1, 4]]


def test_of_two_events_that_say_the_same_the_earlier_one_is_the_cause() -> None:
    pair = ("loyalty_id", "L-1"), ("email", "ada@x.org")
    later, earlier = said_by(*pair, at=1), said_by(*pair, at=2)
    earlier = replace(earlier, time=later.time.replace(year=2020))
    [group] = resolution.group_by_identifier([later, earlier])

    assert {(keys_digest(later.keys), True): 1} == group.links


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
@pytest.mark.timeout(1800)
@settings(
    max_examples=size(8, 150),
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
    facts = IngestHarness(database, CARTS)
    await forget_all(database)
    told = [
        replace(facts.event(name, dict(said), event_id=f"e-{n}", **who), time=facts.now)
        for n in (*order, *repeated)
        for name, said, who in (STORY[n],)
    ]
    edges = [0, *sorted(cut for cut in cuts if cut < len(told)), len(told)]
    for start, end in pairwise(edges):
        await facts.ingest(told[start:end])

    assert await facts.suppressed("email", "a@x.org") == ["p-1", "p-2"]
    assert await facts.suppressed("anonymous_id", "somebody else") == ["s-5"]
    assert people(resolved(told)) == await people_in(database)
    assert len(await people_in(database)) == 2
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL ORDER BY 1") == [1, 3]
