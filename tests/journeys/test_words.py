"""What each word of the vocabulary does, on real parts and skipped time."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from authoring.testing.environment import Waypost
from journeys.cart_abandonment.story import CartAbandonment
from local.temporal_server import TemporalDevServer
from tests.support.journeys import vocabulary
from tests.support.journeys.vocabulary import points_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADA = {"email": "ada@example.com", "phone": "+4915112345678"}
YES = {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"}
LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0, "cart_id": "c-1"}
CHAIR = {"product_id": "chair", "name": "Oslo chair", "price": 99.0, "cart_id": "c-1"}

of = pytest.mark.journey.with_args
"""A marker that is called with a class alone would take it for what it marks."""


@pytest_asyncio.fixture(loop_scope="session")
async def shop(
    request: pytest.FixtureRequest, database_url: str, temporal: TemporalDevServer
) -> AsyncIterator[Waypost]:
    """Waypost with the journey that the test's marker names; the cart journey lends its messages."""
    one = request.node.get_closest_marker("journey").args[0]
    async with Waypost(
        database_url, temporal.client, journeys=(one, CartAbandonment), effects=(points_of,)
    ) as shop:
        yield shop


async def sent_by(shop: Waypost, journey: str) -> list[tuple[str, str, str]]:
    """Template, channel and status of a journey's messages."""
    messages = await shop.messages()
    return [(m["template"], m["channel"], m["status"]) for m in messages if m["journey"] == journey]


@of(vocabulary.Both)
async def test_wait_for_all_takes_what_comes_in_any_order(shop: Waypost) -> None:
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, **ADA)
    await shop.ingest_event("Order Delivered", {"order_id": "o-2"}, **ADA)
    await shop.ingest_event("Order Fulfilled", {"order_id": "o-1"}, **ADA)

    assert (await shop.run_result(await shop.run("both"))).outcome == "o-1 then o-2"


@of(vocabulary.Both)
async def test_wait_for_all_uses_nothing_up_when_its_time_is_up(shop: Waypost) -> None:
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, **ADA)
    await shop.ingest_event("Order Fulfilled", {"order_id": "o-1"}, **ADA)
    run = await shop.run("both")
    await shop.advance_run(run, DAY * 4)

    assert (await shop.run_result(run)).outcome == "only o-1"


@of(vocabulary.OnMonday)
async def test_sleep_until_is_the_hour_and_day_where_the_person_lives(shop: Waypost) -> None:
    await shop.ingest_event(
        "Product Viewed", {"product_id": "lamp"}, traits={"timezone": "Asia/Tokyo"}, **ADA
    )
    run = await shop.run("on-monday")
    await shop.advance_run(run, DAY * 8)

    woke = datetime.fromisoformat((await shop.run_result(run)).outcome).astimezone(ZoneInfo("Asia/Tokyo"))
    assert (woke.strftime("%A"), woke.hour, woke.minute) == ("Monday", 9, 30)


@of(vocabulary.Patient)
async def test_hold_while_sees_a_case_that_was_opened_before_the_run_and_goes_on_when_it_is_closed(
    shop: Waypost,
) -> None:
    await shop.ingest_event("Ticket Opened", {"ticket_id": "t-1"}, **ADA)
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, **ADA)
    run = await shop.run("patient")
    await shop.wait_for_rows("SELECT 1 FROM run WHERE temporal_run_id IS NOT NULL")
    assert await shop.advance_run(run, DAY)
    assert "Held while a support ticket t-1 is open" in await shop.run_details(run)
    await shop.ingest_event("Ticket Solved", {"ticket_id": "another"}, **ADA)
    assert await shop.advance_run(run, HOUR)
    await shop.ingest_event("Ticket Solved", {"ticket_id": "t-1"}, **ADA)

    assert (await shop.run_result(run)).outcome == "clear"


@of(vocabulary.Patient)
async def test_hold_while_gives_up_when_its_time_is_up(shop: Waypost) -> None:
    await shop.ingest_event("Ticket Opened", {"ticket_id": "t-1"}, **ADA)
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, **ADA)
    run = await shop.run("patient")
    await shop.advance_run(run, DAY * 5)

    assert (await shop.run_result(run)).outcome == "still open"


@of(vocabulary.Held)
async def test_a_held_message_goes_out_when_the_ticket_is_solved_and_not_before(shop: Waypost) -> None:
    await shop.ingest_event("Ticket Opened", {"ticket_id": "t-1"}, **ADA)
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await shop.run("held")
    await shop.wait_for_rows("SELECT 1 FROM message WHERE status = 'deferred'")
    assert await shop.advance_run(run, DAY * 3)
    assert await sent_by(shop, "held") == [("cart_reminder", "email", "deferred")]
    await shop.ingest_event("Ticket Solved", {"ticket_id": "t-1"}, **ADA)

    assert (await shop.run_result(run)).outcome == "Sent"
    assert await sent_by(shop, "held") == [("cart_reminder", "email", "sent")]
    reasons = {(d["verdict"], d["reason"]) for d in await shop.decisions() if d["journey"] == "held"}
    assert reasons == {("defer", "lower_priority"), ("allow", None)}


@of(vocabulary.OrBySms)
async def test_a_mail_nobody_saw_is_said_again_by_sms_and_a_click_on_either_counts(shop: Waypost) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await shop.run("or-by-sms")
    assert await shop.advance_run(run, HOUR * 7)
    assert await sent_by(shop, "or-by-sms") == [
        ("cart_reminder", "email", "sent"),
        ("cart_reminder", "sms", "sent"),
    ]
    [mail, _] = [m for m in await shop.messages() if m["journey"] == "or-by-sms"]
    await shop.ingest_event("Message Clicked", {"message_id": str(mail["message_id"])})

    assert (await shop.run_result(run)).outcome == "Sent clicked"


@of(vocabulary.OrBySms)
async def test_a_mail_that_was_opened_is_not_said_again(shop: Waypost) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await shop.run("or-by-sms")
    [mail] = await shop.wait_for_rows("SELECT * FROM message WHERE status = 'sent' AND journey = 'or-by-sms'")
    await shop.ingest_event("Message Opened", {"message_id": str(mail["message_id"])})
    await shop.advance_run(run, DAY * 3)

    assert await sent_by(shop, "or-by-sms") == [("cart_reminder", "email", "opened")]
    assert (await shop.run_result(run)).outcome == "Sent alone"


@of(vocabulary.OrBySms)
async def test_a_bounce_does_not_wait_for_the_time(shop: Waypost) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    [mail] = await shop.wait_for_rows("SELECT * FROM message WHERE status = 'sent' AND journey = 'or-by-sms'")
    await shop.ingest_event("Message Bounced", {"message_id": str(mail["message_id"])})

    await shop.wait_for_rows("SELECT 1 FROM message WHERE channel = 'sms' AND status = 'sent'")


@of(vocabulary.AsItSuits)
@pytest.mark.parametrize(
    ("traits", "channels"),
    [
        pytest.param({}, [("email", "sent"), ("email", "sent")], id="mail where nothing is known"),
        pytest.param(
            {"preferred_channel": "sms"},
            [("sms", "sent"), ("sms", "withheld")],
            id="their own word, within the cap",
        ),
        pytest.param(
            {"consents": {"email": False, "sms": True}},
            [("sms", "sent"), ("sms", "withheld")],
            id="not what they refused",
        ),
    ],
)
async def test_the_channel_is_the_one_that_suits(
    shop: Waypost, traits: dict[str, object], channels: list[tuple[str, str]]
) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES | traits, **ADA)
    await shop.wait_for_rows("SELECT 1 FROM run WHERE journey = 'as-it-suits' AND state = 'ended'")

    assert [(channel, status) for _, channel, status in await sent_by(shop, "as-it-suits")] == channels


@of(vocabulary.AsItSuits)
async def test_the_channel_is_where_they_engage(shop: Waypost) -> None:
    await shop.ingest_event(
        "Product Added", LAMP | {"cart_id": "c-0"}, traits={**YES, "preferred_channel": "sms"}, **ADA
    )
    [sms] = await shop.wait_for_rows("SELECT * FROM message WHERE channel = 'sms' AND status = 'sent'")
    await shop.ingest_event("Message Clicked", {"message_id": str(sms["message_id"])})
    shop.clock += DAY * 2
    await shop.ingest_event("Product Added", LAMP, traits={"preferred_channel": ""}, **ADA)
    await shop.wait_for_rows(
        "SELECT 1 FROM run WHERE journey = 'as-it-suits' AND key = 'c-1' AND state = 'ended'"
    )

    run = await shop.run("as-it-suits", "c-1")
    [first, *_] = [m for m in await shop.messages() if m["run_id"] == run["run_id"]]
    assert (first["channel"], first["status"]) == ("sms", "sent")


@of(vocabulary.Knowing)
async def test_profile_has_the_declared_traits_and_what_was_bought(shop: Waypost) -> None:
    order = {"order_id": "o-1", "products": [{"product_id": "lamp", "price": 39.0, "quantity": 2}]}
    await shop.ingest_event("Order Completed", order, traits={**YES, "plan": "gold", "visits": "many"}, **ADA)
    await shop.ingest_event("Product Viewed", {"product_id": "desk"}, **ADA)
    run = await shop.run("knowing")

    assert (await shop.run_result(run)).outcome == "gold 0 1 78 Europe/Berlin True"


@of(vocabulary.Trying)
async def test_an_experiment_is_sticky_and_its_exposure_on_record_before_a_message_goes_out(
    shop: Waypost,
) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    first = (await shop.run_result(await shop.run("trying"))).outcome.split()
    await shop.ingest_event("Product Added", CHAIR | {"cart_id": "c-2"}, **ADA)
    second = (await shop.run_result(await shop.run("trying", "c-2"))).outcome.split()

    assert first[0] == second[0]
    assert (first[2], second[2]) == ("lamp", "chair")
    exposures = await shop.fetch_rows("SELECT experiment, arm, journey FROM exposure")
    assert exposures == [{"experiment": "offer", "arm": first[0], "journey": "trying"}] * 2


@of(vocabulary.HeldOut)
async def test_a_holdout_gets_nothing_and_the_run_goes_on_and_says_so(shop: Waypost) -> None:
    await shop.ingest_event("Product Added", LAMP, traits=YES, **ADA)

    assert (await shop.run_result(await shop.run("held-out"))).outcome == "went on"
    assert [m for m in await sent_by(shop, "held-out") if m[2] != "withheld"] == []
    decisions = [d for d in await shop.decisions() if d["journey"] == "held-out"]
    assert {(d["channel"], d["reason"]) for d in decisions} == {("email", "holdout"), ("ads", "holdout")}


@of(vocabulary.Loyal)
async def test_an_authors_own_activity_is_performed(shop: Waypost) -> None:
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, **ADA)

    assert (await shop.run_result(await shop.run("loyal"))).outcome == "36 points"
