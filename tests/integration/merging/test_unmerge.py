"""People taken apart: whose runs, carts and words are whose afterwards."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from policy.reentry import After
from profiles.db.database import Database
from profiles.ingest.pipeline import IngestConfig
from profiles.merging.unmerge import cut_identifiers, mend_cut
from tests.support.builders.wrong_merge import ADA, BY, DAY, PHONE, PHONE_KEY, joined, parted
from tests.support.environments.ingest import (
    CARTS,
    CHAIR,
    LAMP,
    PEOPLE,
    UNLIMITED,
    IngestHarness,
    RoutedJourney,
    order,
)

JOURNEYS = (CARTS,)


async def says(facts: IngestHarness, state: str, *, channel: str = "email", **whom: Any) -> None:
    """A word on consent."""
    await facts.happens("Consent Changed", {"channel": channel, "state": state}, **whom)


async def word(facts: IngestHarness, kind: str, value: str, channel: str = "email") -> list[str]:
    """What somebody's word is."""
    query = "SELECT state FROM consent_state WHERE profile_id = $1 AND channel = $2"
    return await facts.values(query, await facts.who(kind, value), channel)


async def run_of(facts: IngestHarness, kind: str, value: str) -> UUID:
    """The only live run of somebody."""
    query = "SELECT run_id FROM run WHERE profile_id = $1 AND state = 'running'"
    [found] = await facts.values(query, await facts.who(kind, value))
    assert isinstance(found, UUID)
    return found


async def test_what_was_withdrawn_while_they_were_one_stays_so_for_both_until_each_says_otherwise(
    facts: IngestHarness,
) -> None:
    await says(facts, "granted", email=ADA)
    await says(facts, "granted", phone=PHONE)
    await joined(facts)
    await says(facts, "withdrawn", phone=PHONE)
    await parted(facts)
    both = await word(facts, "email", ADA), await word(facts, "phone", PHONE)
    await says(facts, "granted", email=ADA, ago=timedelta(hours=1))
    late = await word(facts, "email", ADA)
    await says(facts, "granted", email=ADA)

    assert both == (["withdrawn"], ["withdrawn"])
    assert late == ["withdrawn"]
    assert await word(facts, "email", ADA) == ["granted"]
    assert await word(facts, "phone", PHONE) == ["withdrawn"]


async def test_a_device_that_was_lent_does_not_take_the_others_profile_along(facts: IngestHarness) -> None:
    await facts.happens("Signed In", phone=PHONE)
    viewed = facts.event("Product Viewed", LAMP, user_id="ada", loyalty_id="L-1", anonymous_id="tablet")
    await facts.ingest([replace(viewed, verified=False)])
    before = await facts.who("user_id", "ada"), await facts.who("phone", PHONE)
    await facts.happens("Signed In", anonymous_id="tablet", phone=PHONE)
    meanwhile = await facts.who("anonymous_id", "tablet")
    await cut_identifiers(facts.database, "anonymous_id:tablet", PHONE_KEY, **BY)

    assert meanwhile == before[1]
    assert (await facts.who("user_id", "ada"), await facts.who("phone", PHONE)) == before
    assert await facts.who("anonymous_id", "tablet") == before[0]


async def test_somebody_whom_an_event_named_in_vain_keeps_their_own_word(facts: IngestHarness) -> None:
    """A bystander of the cut: on file beside the two, and never one with them."""
    await says(facts, "granted", user_id="bystander", loyalty_id="L-1")
    await facts.happens("Signed In", user_id="ada", email=ADA)
    await facts.happens("Signed In", user_id="ada", loyalty_id="L-1")
    await joined(facts)
    await says(facts, "withdrawn", phone=PHONE)
    await parted(facts)

    assert await word(facts, "user_id", "bystander") == ["granted"]
    assert await word(facts, "user_id", "ada") == ["withdrawn"]


async def test_words_of_a_travelled_day_are_not_fresh_evidence_only_because_they_lie_ahead(
    database: Database,
) -> None:
    facts = IngestHarness(database, rules=IngestConfig(local=True))
    await says(facts, "granted", phone=PHONE, ago=-3 * DAY)
    await says(facts, "withdrawn", email=ADA, ago=-5 * DAY)
    await joined(facts, ago=-6 * DAY)
    await parted(facts)
    before = await word(facts, "phone", PHONE)
    await says(facts, "granted", phone=PHONE, ago=-7 * DAY)

    assert before == ["withdrawn"]
    assert await word(facts, "phone", PHONE) == ["granted"]


async def test_two_who_are_one_by_way_of_a_third_are_kept_apart_as_well(facts: IngestHarness) -> None:
    """Whose the third is the rules say: the one's who was seen with it first."""
    await facts.happens("Signed In", email=ADA, loyalty_id="L-1", ago=2 * DAY)
    await facts.happens("Signed In", phone=PHONE, loyalty_id="L-1", ago=DAY)
    one = await facts.who("email", ADA) == await facts.who("phone", PHONE)
    await parted(facts)
    await facts.happens("Signed In", phone=PHONE, loyalty_id="L-1")
    await facts.happens("Signed In", phone=PHONE, email=ADA)

    assert one
    assert await facts.who("email", ADA) == await facts.who("loyalty_id", "L-1")
    assert await facts.who("email", ADA) != await facts.who("phone", PHONE)


async def test_each_live_run_goes_where_its_entry_goes_and_hears_its_own_person_only(
    facts: IngestHarness,
) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-2"}, phone=PHONE)
    ada, other = [run["run_id"] for run in await facts.runs()]
    await joined(facts)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-3"}, phone=PHONE)
    third = (await facts.runs())[-1]["run_id"]
    await parted(facts)
    whose = {run["run_id"]: run["profile_id"] for run in await facts.runs()}
    heard = len(await facts.outbox())
    await facts.happens("Order Completed", order(LAMP, CHAIR), phone=PHONE)

    assert whose == {
        ada: await facts.who("email", ADA),
        other: await facts.who("phone", PHONE),
        third: await facts.who("phone", PHONE),
    }
    assert (await facts.outbox())[heard:] == ["Order Completed", "Order Completed"]
    assert (await facts.outbox(ada))[-1] == "start: Product Added"
    assert await facts.suppressed("email", ADA) == []


async def test_a_run_goes_by_its_own_cart_again(facts: IngestHarness) -> None:
    """While they are one, the carts without a name of their own are one cart under one key."""
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-2"}, phone=PHONE, ago=4 * DAY)
    await facts.happens("Product Added", LAMP, email=ADA)
    own = {run["run_id"]: run["key"] for run in await facts.runs()}
    await joined(facts)
    meanwhile = [run["key"] for run in await facts.runs()]
    await parted(facts)
    again = {run["run_id"]: run["key"] for run in await facts.runs()}
    [ada] = own
    told = await facts.outbox(ada)
    await facts.happens("Product Added", CHAIR, email=ADA)

    assert meanwhile == ["c-2"]
    assert again == own
    assert await facts.outbox(ada) == [*told, "Product Added"]
    assert len(await facts.runs()) == 1


async def test_no_two_people_have_one_cart_and_both_have_runs_of_their_own(facts: IngestHarness) -> None:
    """What the one put into the other's cart while they were one becomes a cart of its own."""
    await facts.happens("Product Added", LAMP, email=ADA)
    await joined(facts)
    await facts.happens("Product Added", CHAIR, phone=PHONE)
    await parted(facts)
    await facts.happens("Product Added", LAMP, phone=PHONE)

    assert sorted((await facts.carts()).values()) == [["chair", "lamp"], ["lamp"]]
    assert sorted(await facts.carts()) == sorted(run["key"] for run in await facts.runs())
    assert {run["profile_id"] for run in await facts.runs()} == {
        await facts.who("email", ADA),
        await facts.who("phone", PHONE),
    }


@pytest.mark.parametrize(
    ("reentry", "entries"),
    [pytest.param(UNLIMITED, 2, id="may enter at any time"), pytest.param(After(DAY), 1, id="sent today")],
)
async def test_a_run_that_gave_way_stays_ended_and_its_person_enters_again_by_the_rule(
    database: Database, reentry: Any, entries: int
) -> None:
    people = RoutedJourney(
        name="people", starts=("Order Completed",), key_property=PEOPLE.key_property, reentry=reentry
    )
    facts = IngestHarness(database, people)
    await facts.happens("Order Completed", order(LAMP, order_id="o-1"), email=ADA)
    await facts.happens("Order Completed", order(LAMP, order_id="o-2"), phone=PHONE)
    ada = await run_of(facts, "email", ADA)
    await facts.sent(await run_of(facts, "phone", PHONE), PHONE)
    await joined(facts)
    [gave_way] = await facts.runs("ended")
    await parted(facts)
    other = await facts.who("phone", PHONE)
    after = await facts.rows("SELECT * FROM run WHERE run_id = $1", gave_way["run_id"])
    await facts.happens("Order Completed", order(LAMP, order_id="o-3"), phone=PHONE)

    assert (gave_way["outcome"], gave_way["state"]) == ("merged", "ended")
    assert [(row["state"], row["outcome"], row["profile_id"], row["key"]) for row in after] == [
        ("ended", "merged", other, str(other))
    ]
    assert await run_of(facts, "email", ADA) == ada
    assert len(await facts.values("SELECT 1 FROM run WHERE profile_id = $1", other)) == entries


async def test_whoever_got_a_profile_by_a_cut_keeps_it_through_news_and_through_mending(
    facts: IngestHarness,
) -> None:
    """Two who came in as one: the second has no profile of an earlier time to go back to."""
    await joined(facts)
    done = await parted(facts)
    await facts.happens("Seen", phone=PHONE, anonymous_id="a-1")
    later = await facts.who("email", ADA), await facts.who("phone", PHONE)
    await mend_cut(facts.database, done.cut_id, **BY)
    mended = await facts.values("SELECT DISTINCT profile_id FROM identifier")
    again = await parted(facts)

    assert set(later) == set(done.profile_ids)
    assert mended == [later[0]]
    assert set(again.profile_ids) == set(done.profile_ids)
