"""Two profiles turn out to be one person: everything moves, nothing is lost, and no stranger comes along."""

import asyncio
from datetime import timedelta

import pytest

from policy.reentry import Once
from profiles import identity, merge
from profiles.database import Database
from profiles.ids import new_id
from profiles.person import lock
from tests.facts import CARTS, CHAIR, LAMP, PEOPLE, Facts, Journey, order

ADA, PHONE = "ada@example.com", "+4915112345678"


@pytest.mark.parametrize("said_no", ["email", "phone"])
async def test_the_stricter_consent_stands_whoever_gave_it(database: Database, said_no: str) -> None:
    facts = Facts(database)
    for kind, value in (("email", ADA), ("phone", PHONE)):
        await facts.happens("A", traits={"consents": {"email": kind != said_no}}, **{kind: value})
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values(
        "SELECT DISTINCT ON (channel, topic) state FROM consent WHERE profile_id = $1 "
        "ORDER BY channel, topic, seq DESC",
        await facts.who("email", ADA),
    ) == ["withdrawn"]


async def test_carts_under_one_id_are_joined_line_by_line(database: Database) -> None:
    facts = Facts(database)
    await facts.happens("Product Added", LAMP | {"cart_id": "c", "quantity": 2}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, phone=PHONE)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, phone=PHONE)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.carts() == {"c": ["chair", "lamp"]}
    assert await facts.values("SELECT lines -> 0 ->> 'quantity' FROM cart") == ["2"]


async def test_what_one_had_bought_takes_the_other_out_of_its_audience(database: Database) -> None:
    facts = Facts(database, CARTS)
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
    facts = Facts(database, PEOPLE)
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
    facts = Facts(database, Journey("once", ("Order Completed",), (), "person", Once()))
    await facts.happens("Order Completed", order(LAMP), phone=PHONE)
    [run] = await facts.runs()
    await facts.close(run["run_id"])
    await facts.happens("Seen", email=ADA)
    await facts.happens("Order Completed", order(LAMP, order_id="o-2"), email=ADA, phone=PHONE)

    assert await facts.runs() == []


async def test_inherited_events_start_nothing(database: Database) -> None:
    quiet, watched = Facts(database, source="before"), Facts(database, CARTS)
    await quiet.happens("Product Added", LAMP | {"cart_id": "c"}, phone=PHONE)
    await watched.happens("Signed In", email=ADA, phone=PHONE)

    assert await watched.carts() == {"c": ["lamp"]}
    assert await watched.runs() == []


async def test_a_chain_of_merges_ends_at_the_oldest(database: Database) -> None:
    facts = Facts(database)
    for n in range(4):
        await facts.happens("Seen", user_id=f"u-{n}")
    oldest = await facts.who("user_id", "u-0")
    profiles = [await facts.who("user_id", f"u-{n}") for n in range(4)]
    for n in (2, 1, 0):
        await facts.happens("Linked", user_id=f"u-{n}", anonymous_id=f"a-{n + 1}")
        await facts.happens("Linked", user_id=f"u-{n + 1}", anonymous_id=f"a-{n + 1}")

    assert {await facts.who("user_id", f"u-{n}") for n in range(4)} == {oldest}
    async with database.transaction() as connection:
        assert set((await lock(connection, profiles)).values()) == {oldest}


async def test_a_merge_within_one_batch_leaves_no_identifier_astray(database: Database) -> None:
    """The batch's later group merges the profile that an earlier group was given to."""
    facts = Facts(database)
    for name in ("a", "b"):
        await facts.happens("Seen", user_id=name)
    await facts.happens("Seen", email="link@x.org", user_id="b")
    batch = [
        facts.event("Seen", user_id="b", anonymous_id="new-of-b"),
        facts.event("Seen", user_id="a", anonymous_id="new-of-a"),
        facts.event("Linked", user_id="a", email="link@x.org"),
        facts.event("Seen", user_id="c", phone=PHONE),
        facts.event("Linked", user_id="c", email="link@x.org"),
    ]
    await facts.ingest(batch)

    oldest = await facts.who("user_id", "a")
    assert await facts.values("SELECT DISTINCT profile_id FROM identifier") == [oldest]
    assert await facts.values("SELECT DISTINCT profile_id FROM event") == [oldest]


async def test_groups_that_meet_only_in_postgres_are_merged_without_stragglers(database: Database) -> None:
    """Two groups of one batch share no value, yet their identifiers point at the same profiles."""
    facts = Facts(database)
    for name in ("a", "b"):
        await facts.happens(
            "Seen", user_id=name, email=f"{name}@x.org", phone=f"+49151123456{ord(name) % 90:02}"
        )
    phone = "+49151123456" + f"{ord('a') % 90:02}"
    await facts.ingest(
        [
            facts.event("Seen", email="b@x.org", anonymous_id="n-1"),
            facts.event("Linked", user_id="b", phone=phone, anonymous_id="n-2"),
        ]
    )

    assert len(await facts.values("SELECT DISTINCT profile_id FROM identifier")) == 1


async def test_an_event_that_waits_while_its_person_is_merged_away_finds_the_new_one(
    database: Database,
) -> None:
    """The identifier is held by the waiting event, so the merge skips it; the event brings it along."""
    facts = Facts(database)
    for name in ("old", "young"):
        await facts.happens("Seen", user_id=name)
    old, young = await facts.who("user_id", "old"), await facts.who("user_id", "young")
    held, go = asyncio.Event(), asyncio.Event()

    async def merging() -> None:
        async with database.transaction() as connection:
            await lock(connection, [old, young])
            held.set()
            await go.wait()
            await merge.merge(connection, old, young, at=facts.event("x").time)

    task = asyncio.create_task(merging())
    await held.wait()
    waiting = asyncio.create_task(facts.happens("Order Completed", order(LAMP), user_id="young"))
    await facts.until("SELECT 1 FROM pg_locks WHERE NOT granted")
    go.set()
    await asyncio.gather(task, waiting)

    assert await facts.who("user_id", "young") == old
    assert await facts.suppressed("user_id", "young") == ["lamp"]
    assert await facts.values("SELECT DISTINCT profile_id FROM purchase") == [old]


async def test_events_for_the_loser_while_it_is_merged_are_not_lost(database: Database) -> None:
    facts = Facts(database, CARTS)
    await facts.happens("Seen", user_id="a")
    await facts.happens("Seen", user_id="b")
    jobs = [facts.happens("Order Completed", order(LAMP, order_id=f"o-{n}"), user_id="b") for n in range(8)]
    jobs.insert(4, facts.happens("Linked", user_id="a", anonymous_id="x"))
    jobs.insert(5, facts.happens("Linked", user_id="b", anonymous_id="x"))
    await asyncio.gather(*jobs)

    oldest = await facts.who("user_id", "a")
    assert await facts.values("SELECT DISTINCT profile_id FROM purchase") == [oldest]
    assert await facts.values("SELECT orders FROM profile WHERE merged_into IS NULL") == [8]


async def test_closed_carts_stay_on_file(database: Database) -> None:
    facts = Facts(database)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    await facts.happens("Order Completed", order(LAMP), phone=PHONE)
    await facts.happens("Seen", email=ADA, ago=timedelta(days=1))
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values("SELECT closed_at IS NOT NULL FROM cart") == [True]


async def test_grouping_joins_events_by_any_shared_identifier_or_message_owner() -> None:
    owner = new_id()
    at = identity._NEVER
    named = [
        ((("email", "a"),), None, at),
        ((), owner, at),
        ((("email", "a"), ("phone", "b")), owner, at),
        ((("email", "z"),), None, at),
    ]

    assert sorted(sorted(group.members) for group in identity.grouped(named)) == [[0, 1, 2], [3]]


async def test_a_merged_person_is_in_every_segment_of_the_two_since_the_earlier_time(
    database: Database,
) -> None:
    facts = Facts(database)
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
