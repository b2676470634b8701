"""What a story may know of the person."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from profiles.db.sql import new_id
from profiles.runs.routing import KEY_PERSON
from profiles.views.journey_profile import PERSONAL_TRAITS, ProfileFacts, load_profile_facts
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, RoutedJourney, order

ADA, PHONE = "ada@example.com", "+4915112345678"

READER = RoutedJourney(name="reader", starts=("Product Viewed",), listens=(), key_property=KEY_PERSON)

"""Looking at a product starts a run that reads."""

JOURNEYS = (READER,)

PRICED = ("lamp", "lamp-red", "Aria lamp", 39.0)


async def read(facts: IngestHarness, *traits: str, at: datetime | None = None) -> ProfileFacts:
    """Ada, as a run of hers reads her."""
    if not await facts.runs():
        await facts.happens("Product Viewed", CHAIR, email=ADA)
    [run] = await facts.runs()
    async with facts.database.transaction() as connection:
        found = await load_profile_facts(connection, run["run_id"], traits=traits, at=at or datetime.now(UTC))
    assert found is not None
    return found


async def bought(facts: IngestHarness, *days_ago: float, **who: str) -> None:
    """An order of the lamp, so many days ago."""
    for days in days_ago:
        receipt = order(LAMP, order_id=f"o-{days:g}")
        await facts.happens(
            "Order Completed", receipt, ago=timedelta(days=days), channel="store", **(who or {"email": ADA})
        )


async def test_a_stranger_has_empty_hands(facts: IngestHarness) -> None:
    await facts.happens("Product Viewed", LAMP, user_id="42")
    [run] = await facts.runs()
    async with facts.database.transaction() as connection:
        found = await load_profile_facts(connection, run["run_id"], traits=["plan"], at=datetime.now(UTC))

    assert found is not None
    assert {name: value for name, value in asdict(found).items() if value} == {
        "profile_id": await facts.who("user_id", "42"),
        "created_at": run["entered_at"],
    }
    assert (found.orders, found.spent, found.open_carts) == (0, 0.0, 0)


async def test_buying_is_told_as_it_stands_with_the_newest_first(facts: IngestHarness) -> None:
    await bought(facts, 30, 10, 390, 410)
    await facts.happens("Order Refunded", {"order_id": "o-30"}, email=ADA)
    found = await read(facts)

    assert [(line.item, line.sku, line.name, line.price) for line in found.purchases] == [PRICED] * 3
    assert [(line.order_id, line.quantity, line.returned) for line in found.purchases] == [
        ("o-10", 1, 0),
        ("o-30", 1, 1),
        ("o-390", 1, 0),
    ]
    assert {line.channel for line in found.purchases} == {"store"}
    assert (found.orders, found.spent) == (4, 117.0)
    days = [round((datetime.now(UTC) - at) / timedelta(days=1)) for at in times(found)]
    assert days == [410, 10, 10]


def times(found: ProfileFacts) -> list[datetime]:
    """First order, last order, newest purchase."""
    assert found.first_order_at
    assert found.last_order_at
    return [found.first_order_at, found.last_order_at, found.purchases[0].at]


@pytest.mark.parametrize(
    ("days_ago", "gap"),
    [
        pytest.param((5, 9), None, id="two visits make no rhythm"),
        pytest.param((5, 15, 45), 20.0, id="ten days and thirty"),
        pytest.param((5, 15, 25, 325), 10.0, id="the median, not the mean"),
    ],
)
async def test_the_rhythm_is_the_median_gap_between_visits(
    facts: IngestHarness, days_ago: tuple[int, ...], gap: float | None
) -> None:
    await bought(facts, *days_ago)

    assert (await read(facts)).median_gap_days == gap


async def test_at_most_fifty_purchases_are_told(facts: IngestHarness) -> None:
    many = [LAMP | {"product_id": f"p-{n}"} for n in range(60)]
    await facts.happens("Order Completed", order(*many), email=ADA)

    assert len((await read(facts)).purchases) == 50


async def test_only_traits_that_are_asked_for_are_told_and_no_address_among_them(
    facts: IngestHarness,
) -> None:
    traits = {"plan": "gold", "size": {"shoe": 39}, "friend": "grace@example.com", "secret": 1}
    await facts.happens("Identified", traits=traits, email=ADA)

    assert (await read(facts, "plan", "size", "friend", "missing")).traits == {
        "plan": "gold",
        "size": {"shoe": 39},
        "friend": None,
    }


async def test_a_story_that_asks_for_names_or_addresses_is_refused_with_all_of_them(
    facts: IngestHarness,
) -> None:
    with pytest.raises(ValueError, match="may not read email, first_name: what it reads is kept"):
        await read(facts, "first_name", "plan", "email")


async def test_no_name_and_no_address_leaves_but_the_phone_that_is_marked(facts: IngestHarness) -> None:
    traits = dict.fromkeys(PERSONAL_TRAITS - {"email", "phone"}, "Ada")
    await facts.happens("Identified", traits=traits | {"email": ADA, "phone": PHONE}, email=ADA, phone=PHONE)
    await bought(facts, 1)
    said = str({name: value for name, value in asdict(await read(facts)).items() if name != "phone_for_zone"})

    assert (await read(facts)).phone_for_zone == PHONE
    assert not [word for word in ("Ada", ADA, PHONE) if word in said]


async def test_what_a_zone_and_a_language_are_worked_out_from_is_told_as_it_came(
    facts: IngestHarness,
) -> None:
    traits = {"timezone": "Europe/Berlin", "language": "de"}
    await facts.happens("Identified", traits=traits, context={"timezone": "Asia/Tokyo"}, email=ADA)
    found = await read(facts)

    assert (found.timezone, found.context_timezone, found.language) == ("Europe/Berlin", "Asia/Tokyo", "de")
    await facts.happens("Identified", traits={"locale": "de-AT"}, email=ADA)
    assert (await read(facts)).language == "de-AT"


async def test_the_language_of_a_browser_is_taken_where_no_trait_says_one(facts: IngestHarness) -> None:
    await facts.happens("Product Viewed", LAMP, context={"locale": "pt-BR"}, email=ADA)
    guessed = (await read(facts)).language
    await facts.happens("Identified", traits={"language": "de"}, email=ADA)

    assert (guessed, (await read(facts)).language) == ("pt-BR", "de")


async def test_the_latest_word_on_each_channel_and_where_the_person_can_be_reached(
    facts: IngestHarness,
) -> None:
    for consents in ({"email": True, "sms": True}, {"sms": False}):
        await facts.happens("Identified", traits={"consents": consents}, email=ADA, phone=PHONE)
    found = await read(facts)
    await facts.rows(
        "INSERT INTO address_problem (channel, address, problem, at) VALUES ('email', $1, 'bounced', now())",
        ADA,
    )

    assert found.consents == (("email", "marketing", True), ("sms", "marketing", False))
    assert found.reachable == ("email", "sms")
    assert (await read(facts)).reachable == ("sms",)


async def test_engagement_is_told_by_channel_from_when_it_happened(facts: IngestHarness) -> None:
    await facts.happens("Product Viewed", LAMP, email=ADA)
    [run] = await facts.runs()
    first, second = [await facts.sent(run["run_id"], step=step) for step in ("a", "b")]
    for name, message, hours in (
        ("Message Clicked", first, 2),
        ("Message Opened", first, 3),
        ("Message Delivered", second, 1),
        ("Message Opened", second, 5),
    ):
        await facts.happens(name, {"message_id": str(message)}, ago=timedelta(hours=hours))
    found = await read(facts)

    hours_ago = (datetime.now(UTC) - found.engaged_at["email"]) / timedelta(hours=1)
    assert round(hours_ago) == 2
    assert await facts.values("SELECT status FROM message ORDER BY step") == ["clicked", "opened"]


async def test_carts_with_something_in_them_count_as_open(facts: IngestHarness) -> None:
    for cart in ("full", "emptied", "bought"):
        await facts.happens("Product Added", LAMP | {"cart_id": cart, "product_id": cart}, email=ADA)
    await facts.happens("Product Removed", LAMP | {"cart_id": "emptied", "product_id": "emptied"}, email=ADA)
    await facts.happens("Order Completed", order(LAMP | {"product_id": "bought"}), email=ADA)

    assert (await read(facts)).open_carts == 1


async def test_after_a_merge_a_run_reads_the_whole_person(facts: IngestHarness) -> None:
    await bought(facts, 5, phone=PHONE)
    before = await read(facts)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert (before.orders, (await read(facts)).orders) == (0, 1)


async def test_there_is_nothing_to_read_without_a_run_and_of_an_erased_person(facts: IngestHarness) -> None:
    await read(facts)
    [run] = await facts.runs()
    await facts.rows("UPDATE profile SET erased_at = now()")
    async with facts.database.transaction() as connection:
        found = [
            await load_profile_facts(connection, run_id, traits=(), at=datetime.now(UTC))
            for run_id in (run["run_id"], new_id())
        ]

    assert found == [None, None]
