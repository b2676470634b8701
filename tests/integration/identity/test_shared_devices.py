"""Many people on one tablet: each has what is theirs, and what nobody is known to have done is nobody's."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from profiles.ingest.event_store import IngestStatus
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, IngestHarness, order
from tests.support.proof_size import size
from tests.support.queries.identity import of_kind, people, people_in, quarantined_in, resolved

JOURNEYS = (CARTS,)

TABLET = "tablet-of-the-family"

PEOPLE = 200

WITH_LAST_CARTS = """
SELECT i.value AS who, array_agg(DISTINCT line ->> 'product_id') AS items
FROM identifier i JOIN cart c USING (profile_id), jsonb_array_elements(c.lines) AS line
WHERE i.type = 'user_id' AND c.closed_at IS NULL GROUP BY i.value
"""

PURCHASES = """
SELECT i.value AS who, array_agg(DISTINCT p.item) AS items
FROM identifier i JOIN purchase p USING (profile_id) WHERE i.type = 'user_id' GROUP BY i.value
"""


def evening(facts: IngestHarness, n: int, *, verified: bool) -> list[IncomingEvent]:
    """One person at the tablet: looks around before they log in, fills a cart, buys half of it, logs out."""
    me = {"user_id": f"u-{n}", "anonymous_id": TABLET}
    then = timedelta(days=1) - timedelta(minutes=5 * n)

    def at(minute: int, name: str, properties: dict[str, object], **who: str) -> IncomingEvent:
        event = facts.event(name, properties, ago=then - timedelta(minutes=minute), **who)
        return replace(event, verified=verified)

    return [
        at(0, "Product Viewed", {"product_id": f"seen-{n}"}, anonymous_id=TABLET),
        at(1, "Signed In", {}, **me, email=f"u{n}@example.com"),
        at(2, "Product Added", {"product_id": f"kept-{n}"}, **me),
        at(2, "Product Added", {"product_id": f"bought-{n}"}, **me),
        at(3, "Order Completed", order({"product_id": f"bought-{n}"}, order_id=f"o-{n}"), **me),
        at(4, "Product Added", {"product_id": f"nobodys-{n}"}, anonymous_id=TABLET),
    ]


async def taken_in(facts: IngestHarness, events: list[IncomingEvent], dice: random.Random) -> None:
    """In shuffled batches, four at a time."""
    dice.shuffle(events)
    gate = asyncio.Semaphore(4)

    async def take(batch: list[IncomingEvent]) -> None:
        async with gate:
            assert {answer.status for answer in await facts.ingest(batch)} == {IngestStatus.ACCEPTED}

    await asyncio.gather(*(take(events[start : start + 25]) for start in range(0, len(events), 25)))


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verified", [True, False], ids=["servers tell it", "browsers tell it"])
@pytest.mark.parametrize("seed", range(size(1, 5)))
async def test_200_people_on_one_tablet_are_200_people_with_their_own_purchases_and_carts(
    facts: IngestHarness, verified: bool, seed: int
) -> None:
    events = [event for n in range(PEOPLE) for event in evening(facts, n, verified=verified)]
    await taken_in(facts, events, random.Random(seed))

    found = [one for one in await people_in(facts.database) if of_kind(one, "user_id")]
    assert len(found) == PEOPLE
    assert people(resolved(events)) == await people_in(facts.database)
    assert await quarantined_in(facts.database) == {f"anonymous_id:{TABLET}"}
    assert {row["who"]: row["items"] for row in await facts.rows(PURCHASES)} == {
        f"u-{n}": [f"bought-{n}"] for n in range(PEOPLE)
    }
    assert {row["who"]: row["items"] for row in await facts.rows(WITH_LAST_CARTS)} == {
        f"u-{n}": [f"kept-{n}"] for n in range(PEOPLE)
    }


@pytest.mark.parametrize("verified", [True, False], ids=["servers tell it", "browsers tell it"])
async def test_once_a_tablet_is_nobodys_what_is_done_at_it_without_a_login_is_nobodys(
    facts: IngestHarness, verified: bool
) -> None:
    events = [event for n in range(8) for event in evening(facts, n, verified=verified)]
    await taken_in(facts, events, random.Random(4))
    late = facts.event("Product Added", {"product_id": "late"}, anonymous_id=TABLET)
    [answer] = await facts.ingest([replace(late, verified=verified)])

    # The tablet's own profile holds what came before; nobody can be written to under it.
    whose = (
        "SELECT count(*) FROM event e JOIN identifier i USING (profile_id) WHERE {} AND i.type = 'user_id'"
    )
    logged_out = "NOT e.identifiers ? 'user_id'"
    assert await facts.values(whose.format(logged_out)) == [0]
    assert await facts.values("SELECT profile_id FROM event WHERE event_id = $1", answer.event_id) == [None]
    assert "nobody's" in (await facts.problems(answer.event_id))[0]
    reachable = "SELECT count(*) FROM run r JOIN identifier i USING (profile_id) WHERE i.value = $1"
    assert await facts.values(reachable + " AND r.state <> 'ended'", TABLET) == [0]


async def test_two_people_on_one_tablet_are_two_from_the_first_day(facts: IngestHarness) -> None:
    events = [event for n in range(2) for event in evening(facts, n, verified=True)]
    for event in sorted(events, key=lambda event: event.time):
        await facts.ingest([event])

    assert await facts.who("user_id", "u-0") != await facts.who("user_id", "u-1")
    assert {row["who"]: row["items"] for row in await facts.rows(PURCHASES)} == {
        "u-0": ["bought-0"],
        "u-1": ["bought-1"],
    }
    carts = {row["who"]: set(row["items"]) for row in await facts.rows(WITH_LAST_CARTS)}
    assert "kept-1" not in carts["u-0"]
    assert carts["u-1"] == {"kept-1"}
