"""Two profiles turn out to be one person: everything moves, nothing is lost, and no stranger comes along."""

from datetime import timedelta

import pytest

from policy.reentry import Once
from profiles.db.database import Database
from profiles.db.locks import lock_profiles
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness, RoutedJourney, order
from tests.support.queries.identity import people_in

JOURNEYS = (CARTS,)

ADA, PHONE = "ada@example.com", "+4915112345678"


def number(n: int) -> str:
    """The phone number of the n-th person."""
    return f"+49151123456{n:02}"


@pytest.mark.parametrize("said_no", ["email", "phone"])
async def test_the_stricter_consent_stands_whoever_gave_it(facts: IngestHarness, said_no: str) -> None:
    for kind, value in (("email", ADA), ("phone", PHONE)):
        await facts.happens("A", traits={"consents": {"email": kind != said_no}}, **{kind: value})
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values(
        "SELECT state FROM consent_state WHERE profile_id = $1 AND channel = 'email'",
        await facts.who("email", ADA),
    ) == ["withdrawn"]


async def test_carts_under_one_id_are_one_cart_with_all_that_was_put_into_it(facts: IngestHarness) -> None:
    """As if both had been one from the first: two lamps and one more are three."""
    await facts.happens("Product Added", LAMP | {"cart_id": "c", "quantity": 2}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, phone=PHONE)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, phone=PHONE)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.carts() == {"c": ["chair", "lamp"]}
    assert await facts.values("SELECT lines -> 0 ->> 'quantity' FROM cart") == ["3"]


async def test_what_one_had_bought_takes_the_other_out_of_its_audience(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", order(LAMP), email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, phone=PHONE)
    [run] = await facts.runs()
    await facts.joined(run["run_id"], "lamp")
    await facts.joined(run["run_id"], "chair")
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values("SELECT item || ' ' || state FROM audience_member ORDER BY item") == [
        "chair in",
        "lamp leaving",
    ]
    assert await facts.values("SELECT name FROM outbox WHERE kind = 'audience'") == ["remove"]


@pytest.mark.parametrize("first", ["email", "phone"])
async def test_of_two_live_runs_of_a_person_the_older_stays(database: Database, first: str) -> None:
    facts = IngestHarness(database, PEOPLE)
    people = {"email": ADA, "phone": PHONE}
    # The older profile may have the younger run.
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", phone=PHONE)
    for kind in sorted(people, key=lambda kind: kind != first):
        await facts.happens("Order Completed", order(LAMP, order_id=kind), **{kind: people[kind]})
    older, younger = (run["run_id"] for run in await facts.runs())
    await facts.happens("Product Viewed", LAMP, email=ADA, phone=PHONE)

    [live] = await facts.runs()
    [ended] = await facts.runs("ended")
    survivor = await facts.who("email", ADA)
    assert (live["run_id"], live["key"], live["profile_id"]) == (older, str(survivor), survivor)
    assert (ended["run_id"], ended["outcome"]) == (younger, "merged")
    assert await facts.outbox(younger) == ["start: Order Completed", "End Run"]
    assert await facts.outbox(older) == ["start: Order Completed", "Product Viewed"]


async def test_reentry_counts_the_entries_of_both(database: Database) -> None:
    facts = IngestHarness(database, RoutedJourney("once", ("Order Completed",), (), "person", Once()))
    await facts.happens("Order Completed", order(LAMP), phone=PHONE)
    [run] = await facts.runs()
    await facts.sent(run["run_id"])
    await facts.close(run["run_id"])
    await facts.happens("Seen", email=ADA)
    await facts.happens("Order Completed", order(LAMP, order_id="o-2"), email=ADA, phone=PHONE)

    assert await facts.runs() == []


async def test_inherited_events_start_nothing(database: Database) -> None:
    quiet, watched = IngestHarness(database, source="before"), IngestHarness(database, CARTS)
    await quiet.happens("Product Added", LAMP | {"cart_id": "c"}, phone=PHONE)
    await watched.happens("Signed In", email=ADA, phone=PHONE)

    assert await watched.carts() == {"c": ["lamp"]}
    assert await watched.runs() == []


async def test_a_chain_of_merges_ends_at_the_oldest(facts: IngestHarness) -> None:
    for n in range(4):
        await facts.happens("Seen", email=f"u{n}@x.org")
    oldest = await facts.who("email", "u0@x.org")
    profiles = [await facts.who("email", f"u{n}@x.org") for n in range(4)]
    for n in (2, 1, 0):
        await facts.happens("Linked", email=f"u{n}@x.org", phone=number(n))
        await facts.happens("Linked", email=f"u{n + 1}@x.org", phone=number(n))

    assert {await facts.who("email", f"u{n}@x.org") for n in range(4)} == {oldest}
    async with facts.database.transaction() as connection:
        assert set((await lock_profiles(connection, profiles)).values()) == {oldest}


async def test_a_merge_within_one_batch_leaves_no_identifier_astray(facts: IngestHarness) -> None:
    """The batch's later group merges the profile that an earlier group was given to."""
    for name in ("a", "b"):
        await facts.happens("Seen", email=f"{name}@x.org")
    await facts.happens("Seen", loyalty_id="link", email="b@x.org")
    batch = [
        facts.event("Seen", email="b@x.org", anonymous_id="new-of-b"),
        facts.event("Seen", email="a@x.org", anonymous_id="new-of-a"),
        facts.event("Linked", email="a@x.org", loyalty_id="link"),
        facts.event("Seen", email="c@x.org", phone=PHONE),
        facts.event("Linked", email="c@x.org", loyalty_id="link"),
    ]
    await facts.ingest(batch)

    oldest = await facts.who("email", "a@x.org")
    assert await facts.values("SELECT DISTINCT profile_id FROM identifier") == [oldest]
    assert await facts.values("SELECT DISTINCT profile_id FROM event") == [oldest]


async def test_groups_that_meet_only_in_postgres_are_merged_without_stragglers(facts: IngestHarness) -> None:
    """Two groups of one batch share no value, yet their identifiers point at the same profiles."""
    for n in range(2):
        await facts.happens("Seen", loyalty_id=f"L{n}", email=f"u{n}@x.org", phone=number(n))
    await facts.ingest(
        [
            facts.event("Seen", email="u1@x.org", anonymous_id="n-1"),
            facts.event("Linked", loyalty_id="L1", phone=number(0), anonymous_id="n-2"),
        ]
    )

    assert len(await people_in(facts.database)) == 1


async def test_closed_carts_stay_on_file(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    await facts.happens("Order Completed", order(LAMP), phone=PHONE)
    await facts.happens("Seen", email=ADA, ago=timedelta(days=1))
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values("SELECT closed_at IS NOT NULL FROM cart") == [True]


async def test_a_merged_person_is_in_every_segment_of_the_two_since_the_earlier_time(
    facts: IngestHarness,
) -> None:
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", phone=PHONE)
    ada, other = await facts.who("email", ADA), await facts.who("phone", PHONE)
    for person, days, segments in ((ada, 1, ("a", "both")), (other, 2, ("b", "both"))):
        await facts.rows(
            "INSERT INTO segment_member (segment, profile_id, since) "
            "SELECT unnest($1::text[]), $2, now() - $3::interval",
            segments,
            person,
            timedelta(days=days),
        )
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert [
        (row["segment"], row["profile_id"], row["days"])
        for row in await facts.rows(
            "SELECT segment, profile_id, round(EXTRACT(epoch FROM now() - since) / 86400)::int AS days "
            "FROM segment_member ORDER BY segment"
        )
    ] == [("a", ada, 1), ("b", ada, 2), ("both", ada, 2)]
