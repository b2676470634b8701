"""The cart journey where something changes: a price, the stock, what is left of the cart, a ticket."""

from authoring.testing import Shopper, with_journeys
from journeys.cart_abandonment.story import CartAbandonment
from journeys.vocabulary import days, hours

pytestmark = with_journeys(CartAbandonment)


async def test_a_lower_price_is_told_in_place_of_the_offer(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.adds("chair")
    await shopper.waits(hours(2))
    await shopper.happens("Price Dropped", {"product_id": "lamp", "name": "Lamp", "price": 29.0, "was": 39.0})
    await shopper.waits(days(4))

    assert shopper.received == ["cart_reminder", "cart_news"]
    assert shopper.received[1].items == ("lamp",)
    assert "costs less now" in shopper.received[1].subject
    assert "€39.00 → €29.00" in shopper.received[1].text
    assert shopper.outcome == "nudged"


async def test_what_is_back_in_stock_is_told(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.happens("Back In Stock", {"product_id": "lamp", "name": "Lamp"})
    await shopper.waits(days(4))

    assert shopper.received == ["cart_reminder", "cart_news"]
    assert "is back" in shopper.received[1].subject


async def test_a_price_that_fell_before_the_reminder_is_no_news_after_it(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.happens("Price Dropped", {"product_id": "lamp", "price": 29.0, "was": 39.0})
    await shopper.waits(hours(2))

    assert shopper.received == ["cart_reminder"]


async def test_who_buys_half_is_left_in_peace_for_two_days_and_reminded_of_the_rest(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.adds("chair")
    await shopper.waits(hours(2))
    await shopper.buys("lamp", where="store")
    await shopper.waits(days(1.5))
    assert shopper.received == ["cart_reminder"]
    await shopper.waits(days(1))

    assert shopper.received == ["cart_reminder", "cart_rest"]
    assert shopper.received[1].items == ("chair",)


async def test_who_buys_the_rest_as_well_hears_no_more(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.adds("chair")
    await shopper.waits(hours(2))
    await shopper.buys("lamp")
    await shopper.waits(days(1))
    await shopper.buys("chair", where="store")

    assert shopper.outcome == "bought"
    await shopper.waits(days(5))
    assert shopper.received == ["cart_reminder"]


async def test_nothing_is_promoted_while_a_ticket_is_open(shopper: Shopper) -> None:
    await shopper.opens_ticket()
    await shopper.adds("lamp")
    await shopper.waits(days(1))
    assert shopper.received == []
    assert shopper.audiences == []
    await shopper.ticket_is_solved()

    assert shopper.received == ["cart_reminder"]
    assert [d.reason for d in shopper.decisions if d.verdict == "defer"] == ["lower_priority"]


async def test_a_ticket_that_is_opened_in_the_middle_holds_the_offer(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.opens_ticket()
    await shopper.waits(days(1.25))
    assert shopper.received == ["cart_reminder"]
    await shopper.ticket_is_solved()

    assert shopper.received == ["cart_reminder", "cart_offer"]


async def test_a_click_on_the_offer_counts(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(30))
    await shopper.clicks("cart_offer")

    assert shopper.outcome == "engaged"


async def test_another_size_put_in_after_one_was_taken_out_is_reminded_of(shopper: Shopper) -> None:
    await shopper.adds("shoe-40")
    await shopper.waits(hours(0.5))
    await shopper.removes("shoe-40")
    assert shopper.outcome == "emptied"
    await shopper.adds("shoe-41")
    await shopper.waits(hours(2))

    assert shopper.received == ["cart_reminder"]
    assert shopper.received[0].items == ("shoe-41",)


async def test_what_is_added_after_a_purchase_is_reminded_of(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(0.5))
    await shopper.buys("lamp")
    assert shopper.outcome == "bought"
    await shopper.adds("chair")
    await shopper.waits(hours(2))

    assert shopper.received == ["cart_reminder"]
    assert shopper.received[0].items == ("chair",)


async def test_what_is_added_after_a_reminder_and_a_purchase_waits_for_the_re_entry_rule(
    shopper: Shopper,
) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.buys("lamp")
    await shopper.adds("chair")
    await shopper.waits(days(2))
    assert shopper.received == ["cart_reminder"]
    await shopper.waits(days(1.5))
    await shopper.adds("table")
    await shopper.waits(hours(2))

    assert shopper.received == ["cart_reminder", "cart_reminder"]
    assert shopper.received[1].items == ("chair", "table")
