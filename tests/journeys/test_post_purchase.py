"""What follows a purchase, told on virtual time."""

from typing import Literal

import pytest

from authoring.testing import Shop, Shopper, with_journeys
from authoring.testing.environment import Row
from journeys.post_purchase.story import PostPurchase
from journeys.vocabulary import days, minutes

pytestmark = with_journeys(PostPurchase)


async def test_an_order_is_confirmed_at_once_and_shows_what_was_bought(shopper: Shopper) -> None:
    await shopper.buys("lamp", "chair")

    assert shopper.received == ["order_confirmation"]
    assert shopper.received[0].items == ("lamp", "chair")


async def reports_deliveries(shop: Shop) -> None:
    """A shop whose systems report deliveries: one of another customer."""
    customer = await shop.shopper()
    await customer.buys("mug")
    await customer.is_delivered()


async def test_a_late_delivery_is_apologised_for_and_the_story_goes_on_when_it_arrives(shop: Shop) -> None:
    await reports_deliveries(shop)
    shopper = await shop.shopper()
    await shopper.buys("lamp")
    await shopper.waits(days(8))
    assert shopper.received == ["order_confirmation", "delivery_apology"]
    await shopper.is_delivered()
    await shopper.waits(days(10))

    assert shopper.received == ["order_confirmation", "delivery_apology", "review_request"]
    assert shopper.outcome == "completed"


async def test_an_order_that_never_arrives_asks_for_no_review(shop: Shop) -> None:
    await reports_deliveries(shop)
    shopper = await shop.shopper()
    await shopper.buys("lamp")
    await shopper.waits(days(30))

    assert shopper.received == ["order_confirmation", "delivery_apology"]
    assert shopper.outcome == "not_delivered"


async def test_a_shop_that_reports_no_deliveries_apologises_to_nobody(shopper: Shopper) -> None:
    await shopper.buys("lamp")
    await shopper.waits(days(20))

    assert shopper.received == ["order_confirmation", "review_request"]
    assert shopper.outcome == "completed"


async def test_a_confirmation_whose_answer_was_lost_is_sent_again(shop: Shop) -> None:
    shopper = await shop.shopper()
    shop.email.loses_the_answer()
    await shopper.buys("lamp")
    await shopper.waits(minutes(2))

    assert [m["status"] for m in await order_confirmations(shop)] == ["unknown", "sent"]
    assert shopper.received == ["order_confirmation", "order_confirmation"]


async def test_a_confirmation_that_a_report_settles_is_not_sent_again(shop: Shop) -> None:
    shopper = await shop.shopper()
    shop.email.loses_the_answer()
    await shopper.buys("lamp")
    [first] = await order_confirmations(shop)
    await shopper.happens("Message Delivered", {"message_id": str(first["message_id"])})
    await shopper.waits(minutes(2))

    assert [m["status"] for m in await order_confirmations(shop)] == ["delivered"]
    assert shopper.received == ["order_confirmation"]


async def test_a_provider_that_loses_every_answer_is_asked_four_times(shop: Shop) -> None:
    shopper = await shop.shopper()
    shop.email.loses_the_answer(times=None)
    await shopper.buys("lamp")
    await shopper.waits(days(1))

    assert len(await order_confirmations(shop)) == 4


async def order_confirmations(shop: Shop) -> list[Row]:
    rows = [row for row in await shop.waypost.messages() if row["template"] == "order_confirmation"]
    return sorted(rows, key=lambda row: str(row["message_id"]))


async def test_after_a_no_to_marketing_mail_an_order_is_still_confirmed_by_mail(shop: Shop) -> None:
    shopper = await shop.shopper(consents={"email": False})
    await shopper.buys("lamp")

    assert [(message, message.channel) for message in shopper.received] == [("order_confirmation", "email")]


async def test_each_thing_is_asked_about_by_itself_the_dearest_first(shop: Shop, shopper: Shopper) -> None:
    shop.sells("lamp", price=39.0)
    shop.sells("chair", price=99.0)
    await shopper.buys("lamp", "chair", where="store")
    await shopper.waits(days(6))
    assert [message.items for message in shopper.received[1:]] == [("chair",)]
    await shopper.waits(days(4))

    assert [message.items for message in shopper.received if message == "review_request"] == [
        ("chair",),
        ("lamp",),
    ]


async def test_no_review_is_asked_of_what_was_given_back(shopper: Shopper) -> None:
    await shopper.buys("lamp", "chair", where="store")
    await shopper.is_refunded("chair")
    await shopper.waits(days(15))

    assert [message.items for message in shopper.received if message == "review_request"] == [("lamp",)]


async def test_who_gave_everything_back_is_left_alone(shopper: Shopper) -> None:
    await shopper.buys("lamp", "chair", where="store")
    await shopper.is_refunded("chair")
    await shopper.is_refunded("lamp")
    await shopper.waits(days(15))

    assert shopper.outcome == "nothing_kept"
    assert shopper.received == ["order_confirmation"]


async def test_a_refund_of_the_whole_order_ends_the_story_at_once(shopper: Shopper) -> None:
    await shopper.buys("lamp")
    await shopper.waits(days(1))
    await shopper.is_refunded()

    assert shopper.outcome == "refunded"


async def test_who_has_reviewed_is_not_asked(shopper: Shopper) -> None:
    await shopper.buys("lamp", where="store")
    await shopper.waits(days(2))
    await shopper.happens("Product Reviewed", {"product_id": "lamp", "rating": 5})
    await shopper.waits(days(10))

    assert "review_request" not in shopper.received
    assert shopper.outcome == "completed"


async def test_there_is_silence_while_a_return_is_open(shopper: Shopper) -> None:
    await shopper.buys("lamp", "chair", where="store")
    await shopper.returns()
    await shopper.waits(days(8))
    assert shopper.received == ["order_confirmation"]
    await shopper.is_refunded("chair")
    await shopper.waits(days(1))

    assert shopper.received == ["order_confirmation", "review_request"]
    assert shopper.received[1].items == ("lamp",)


async def test_there_is_silence_while_a_ticket_is_open_but_an_apology_is_no_marketing(
    shop: Shop,
) -> None:
    await reports_deliveries(shop)
    shopper = await shop.shopper()
    await shopper.buys("lamp")
    await shopper.opens_ticket()
    await shopper.waits(days(8))

    assert shopper.received == ["order_confirmation", "delivery_apology"]
    await shopper.is_delivered()
    await shopper.waits(days(8))
    assert shopper.received == ["order_confirmation", "delivery_apology"]
    await shopper.ticket_is_solved()
    assert shopper.received == ["order_confirmation", "delivery_apology", "review_request"]


async def test_what_they_looked_at_is_suggested_in_the_end(shopper: Shopper) -> None:
    await shopper.views("desk")
    await shopper.buys("lamp", where="store")
    await shopper.waits(days(10))

    assert shopper.received == ["order_confirmation", "review_request", "cross_sell"]
    assert shopper.received[-1].items == ("desk",)


async def test_a_purchase_in_a_store_is_taken_home_and_waits_for_no_delivery(shopper: Shopper) -> None:
    await shopper.buys("lamp", where="store")
    await shopper.waits(days(6))

    assert shopper.received == ["order_confirmation", "review_request"]


@pytest.mark.parametrize(
    ("states", "where", "expected"),
    [
        ({"shipping_method": "Home delivery"}, "store", ["order_confirmation", "delivery_apology"]),
        ({"fulfillment_type": "pickup"}, "web", ["order_confirmation"]),
        ({"fulfillment_type": "digital"}, "web", ["order_confirmation", "review_request"]),
        ({"fulfillment_type": "shipped"}, "web", ["order_confirmation", "delivery_apology"]),
        ({"sales_channel": "pos"}, "web", ["order_confirmation", "review_request"]),
    ],
    ids=["a sofa sold in a store", "click and collect", "digital", "shipped", "a till without a channel"],
)
async def test_only_what_is_sent_can_be_late(
    shop: Shop, states: dict[str, str], where: Literal["web", "store"], expected: list[str]
) -> None:
    await reports_deliveries(shop)
    shopper = await shop.shopper()
    order = {"order_id": "o-1", "products": [{"product_id": "lamp", "name": "Lamp"}], **states}
    await shopper.happens("Order Completed", order, where=where)
    await shopper.waits(days(8))

    assert shopper.received == expected


async def test_what_was_collected_is_asked_about(shop: Shop) -> None:
    await reports_deliveries(shop)
    shopper = await shop.shopper()
    order = {"order_id": "o-1", "products": [{"product_id": "lamp", "name": "Lamp"}], "fulfilment": "pickup"}
    await shopper.happens("Order Completed", order)
    await shopper.waits(days(9))
    await shopper.happens("Order Delivered", {"order_id": "o-1"}, source="till")
    await shopper.waits(days(6))

    assert shopper.received == ["order_confirmation", "review_request"]
