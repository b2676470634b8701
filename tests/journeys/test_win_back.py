"""Winning back who stays away, told on virtual time; each arm of its experiment by somebody who is in it."""

from authoring.testing import Shop, Shopper, with_journeys
from journeys.vocabulary import days
from journeys.win_back.story import WinBack
from policy.experiments import assign_arm

pytestmark = with_journeys(WinBack)


async def somebody(shop: Shop, arm: str) -> Shopper:
    """A shopper in that arm of the incentive's experiment."""
    while True:
        shopper = await shop.shopper()
        await shopper.views("desk")
        if (
            assign_arm(str(await shopper.profile_id()), "win-back-incentive", {"offer": 80, "control": 20})
            == arm
        ):
            return shopper


async def test_a_hello_shows_what_they_looked_at(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()

    assert shopper.received == ["we_miss_you"]
    assert shopper.received[0].items == ("desk",)


async def test_who_comes_back_by_themselves_gets_no_incentive(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()
    await shopper.waits(days(2))
    await shopper.views("chair")
    await shopper.waits(days(30))

    assert shopper.received == ["we_miss_you"]
    assert shopper.outcome == "back"


async def test_who_does_not_come_gets_one_and_who_is_measured_against_does_not(shop: Shop) -> None:
    offered, control = await somebody(shop, "offer"), await somebody(shop, "control")
    for shopper in (offered, control):
        await shopper.lapses()
    await shop.waits(days(8))

    for shopper in (offered, control):
        await shopper.waits(days(0))
    assert (offered.received, control.received) == (["we_miss_you", "win_back_offer"], ["we_miss_you"])


async def test_a_purchase_ends_it_at_any_moment(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()
    await shopper.waits(days(8))
    await shopper.buys("lamp", where="store")

    assert shopper.outcome == "won_back"


async def test_a_goodbye_without_an_answer_is_the_last_word(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()
    await shopper.waits(days(40))

    assert shopper.received == ["we_miss_you", "win_back_offer", "goodbye"]
    assert shopper.outcome == "sunset"
    await shopper.waits(days(200))
    await shopper.lapses()
    assert len(shopper.received) == 3
    assert [(message, message.reason) for message in shopper.withheld] == [("we_miss_you", "opted_out")]


async def test_who_answers_the_goodbye_stays_on_the_list(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()
    await shopper.waits(days(23))
    await shopper.clicks("goodbye")
    await shopper.waits(days(30))

    assert shopper.outcome == "staying"
    assert [decision.reason for decision in shopper.decisions if decision.reason] == []


async def test_a_lapse_during_a_return_says_hello_when_it_is_over(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.happens("Return Requested", {"order_id": "o-1"})
    await shopper.lapses()
    assert shopper.received == []
    await shopper.happens("Return Completed", {"order_id": "o-1"})

    assert shopper.received == ["we_miss_you"]


async def test_without_a_feed_and_without_views_the_hello_goes_out_without_items(shop: Shop) -> None:
    shopper = await shop.shopper()
    await shopper.lapses()

    assert shopper.received == ["we_miss_you"]
    assert shopper.received[0].items == ()


async def test_without_a_hello_there_is_no_goodbye_and_no_opt_out(shop: Shop) -> None:
    shopper = await shop.shopper(consents={"email": False})
    await shopper.lapses()
    await shopper.waits(days(60))

    assert shopper.received == []
    assert list(shopper.withheld) == ["we_miss_you"]
    assert shopper.outcome == "not_contacted"


async def test_who_saves_keep_me_on_the_list_is_not_opted_out(shop: Shop) -> None:
    shopper = await somebody(shop, "offer")
    await shopper.lapses()
    await shopper.waits(days(23))
    await shopper.happens("Preferences Saved", {"channels": ["email"]})
    await shopper.waits(days(30))

    assert shopper.outcome == "staying"
