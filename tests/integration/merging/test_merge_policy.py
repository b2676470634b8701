"""What becomes of a run whose person turns out to be another: as its journey said when the run began."""

from dataclasses import replace

import pytest

from profiles.db.database import Database
from profiles.merging.unmerge import cut_identifiers
from tests.support.environments.ingest import CARTS, LAMP, PEOPLE, IngestHarness, RoutedJourney, Row, order

ADA, CARD = "ada@example.com", "card-1"

ENDING = replace(PEOPLE, on_merge="end")

ENDING_CARTS = replace(CARTS, on_merge="end")

JOURNEYS = (ENDING,)


async def buys(facts: IngestHarness, **who: str) -> None:
    [value] = who.values()
    await facts.happens("Order Completed", order(LAMP, order_id=value), **who)


async def merges(facts: IngestHarness) -> None:
    await facts.happens("Signed In", email=ADA, loyalty_id=CARD)


async def run_before_merge(facts: IngestHarness) -> Row:
    """The run of a younger person, as it was before they turned out to be Ada."""
    await facts.happens("Seen", email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, loyalty_id=CARD)
    await buys(facts, loyalty_id=CARD)
    [begun] = await facts.runs()
    await merges(facts)
    return begun


@pytest.mark.parametrize("journey", [PEOPLE, CARTS], ids=["of people", "of carts"])
async def test_a_run_goes_on_under_the_older_person_where_nothing_else_is_said(
    database: Database, journey: RoutedJourney
) -> None:
    facts = IngestHarness(database, journey)
    begun = await run_before_merge(facts)

    [run] = await facts.runs()
    assert (run["run_id"], run["profile_id"]) == (begun["run_id"], await facts.who("email", ADA))
    assert begun["profile_id"] != run["profile_id"]


@pytest.mark.parametrize("journey", [ENDING, ENDING_CARTS], ids=["of people", "of carts"])
async def test_a_run_ends_at_once_where_its_journey_says_so(
    database: Database, journey: RoutedJourney
) -> None:
    facts = IngestHarness(database, journey)
    begun = await run_before_merge(facts)

    [run] = await facts.runs("ended")
    assert (run["run_id"], run["outcome"]) == (begun["run_id"], "merged")
    assert run["detail"] == "its person turned out to be another, and the journey ends on a merge"
    assert run["ended_at"] is not None
    assert run["profile_id"] == await facts.who("email", ADA)
    assert (await facts.outbox(run["run_id"]))[-1] == "End Run"


async def test_a_run_of_the_older_person_goes_on_whatever_is_said(facts: IngestHarness) -> None:
    await buys(facts, email=ADA)
    await facts.happens("Seen", loyalty_id=CARD)
    await merges(facts)

    [run] = await facts.runs()
    assert run["profile_id"] == await facts.who("email", ADA)


@pytest.mark.parametrize("first", ["email", "loyalty_id"])
async def test_a_run_that_ends_on_a_merge_ends_no_other(facts: IngestHarness, first: str) -> None:
    """Also where it is the older of the two: it is the person's own run that goes on."""
    people = {"email": ADA, "loyalty_id": CARD}
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", loyalty_id=CARD)
    for kind in sorted(people, key=lambda kind: kind != first):
        await buys(facts, **{kind: people[kind]})
    survivor = await facts.who("email", ADA)
    [own] = [run["run_id"] for run in await facts.runs() if run["profile_id"] == survivor]
    await merges(facts)

    assert [run["run_id"] for run in await facts.runs()] == [own]
    assert [run["outcome"] for run in await facts.runs("ended")] == ["merged"]


async def test_a_run_goes_by_what_was_said_when_it_began(database: Database) -> None:
    """A deploy in between changes the runs to come."""
    before, after = IngestHarness(database, ENDING), IngestHarness(database, PEOPLE, source="after")
    await before.happens("Seen", email=ADA)
    await buys(before, loyalty_id=CARD)
    await merges(after)

    assert await after.runs() == []
    assert [run["outcome"] for run in await after.runs("ended")] == ["merged"]


async def test_nobodys_run_ends_by_people_being_parted(facts: IngestHarness) -> None:
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", loyalty_id=CARD)
    await merges(facts)
    await buys(facts, loyalty_id=CARD)
    [begun] = await facts.runs()
    await cut_identifiers(
        facts.database, f"email:{ADA}", f"loyalty_id:{CARD}", actor="test", reason="two people"
    )

    [run] = await facts.runs()
    assert run["run_id"] == begun["run_id"]
    assert begun["profile_id"] != run["profile_id"] == await facts.who("loyalty_id", CARD)


async def test_people_who_are_joined_anew_are_joined_for_their_runs_as_well(facts: IngestHarness) -> None:
    await facts.happens("Seen", email=ADA)
    await facts.happens("Seen", user_id="ada")
    await buys(facts, loyalty_id=CARD)
    await facts.happens("Signed In", loyalty_id=CARD, user_id="ada")

    assert await facts.runs() == []
    [run] = await facts.runs("ended")
    assert (run["outcome"], run["profile_id"]) == ("merged", await facts.who("user_id", "ada"))


async def test_what_a_run_that_ended_on_a_merge_did_not_hear_starts_one_of_the_older_person(
    database: Database,
) -> None:
    facts = IngestHarness(database, ENDING_CARTS)
    await facts.happens("Seen", email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, loyalty_id=CARD)
    unheard = await facts.happens("Product Added", LAMP | {"cart_id": "c"}, loyalty_id=CARD)
    [begun] = await facts.runs()
    await merges(facts)
    closed = await facts.close(begun["run_id"], outcome="merged")

    assert closed.rerouted == 1
    [run] = await facts.runs()
    assert (run["key"], run["entry_event"]) == ("c", unheard.event_id)
    assert run["profile_id"] == await facts.who("email", ADA)
