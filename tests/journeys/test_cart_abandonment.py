"""The cart journey, told on virtual time: what a shopper does, and what reaches them."""

from datetime import time

from authoring.testing import Shop, Shopper
from journeys.vocabulary import days, hours


async def test_a_cart_left_behind_is_reminded_of_by_mail_and_then_by_sms(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(days(4))

    assert shopper.received == ["cart_reminder", "cart_offer"]
    assert [message.channel for message in shopper.received] == ["email", "sms"]
    assert shopper.outcome == "nudged"


async def test_ads_show_what_was_left_behind_until_the_run_ends(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))

    assert shopper.audiences == ["left-in-cart"]
    assert shopper.audiences[0].items == ("lamp",)
    await shopper.waits(days(4))
    assert shopper.audiences == []


async def test_what_was_bought_in_the_store_ends_the_wait_at_once(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.buys("lamp", where="store")

    assert shopper.outcome == "bought"
    assert shopper.received == ["cart_reminder", "order_confirmation"]
    assert shopper.audiences == []


async def test_a_cart_shrinks_to_what_is_left(shop: Shop, shopper: Shopper) -> None:
    shop.sells("lamp", name="Aria lamp")
    shop.sells("chair", name="Oslo chair")
    await shopper.adds("lamp")
    await shopper.adds("chair")
    await shopper.buys("lamp")
    await shopper.waits(hours(2))

    [_, reminder] = shopper.received
    assert (reminder, reminder.items) == ("cart_reminder", ("chair",))
    assert "Oslo chair" in reminder.html
    assert "Aria lamp" not in reminder.html


async def test_a_click_on_the_reminder_ends_the_story_as_engaged(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.clicks("cart_reminder")

    assert shopper.outcome == "engaged"
    assert shopper.received[0].status == "clicked"


async def test_every_new_product_begins_the_quiet_anew(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(0.75))
    await shopper.adds("chair")
    await shopper.waits(hours(0.75))

    assert shopper.received == []
    await shopper.waits(hours(0.5))
    assert shopper.received[0].items == ("lamp", "chair")


async def test_an_offer_due_at_night_waits_for_the_morning(shopper: Shopper) -> None:
    await shopper.waits_until(time(20, 30))
    await shopper.adds("lamp")
    await shopper.waits(hours(26))

    assert shopper.received == ["cart_reminder"]
    await shopper.waits_until(time(8, 5))
    assert shopper.received == ["cart_reminder", "cart_offer"]
    assert shopper.timeline.when(shopper.received[1].at) == "day 3 08:00"


async def test_who_has_no_phone_gets_the_offer_by_mail(shop: Shop) -> None:
    shopper = await shop.shopper(phone=None)
    await shopper.adds("lamp")
    await shopper.waits(days(3))

    assert [message.channel for message in shopper.received] == ["email", "email"]


async def test_who_never_said_yes_gets_nothing(shop: Shop) -> None:
    shopper = await shop.shopper(consents={})
    await shopper.adds("lamp")
    await shopper.waits(days(3))

    assert shopper.received == []
    assert [(message, message.reason) for message in shopper.withheld] == [
        ("cart_reminder", "no_consent"),
        ("cart_offer", "no_consent"),
    ]
