"""Tales of carts left behind: one for each wait point and outcome."""

from activities.channels.adapter import MaybeSent
from policy.verdict import Channel
from tests.replay.scenario import DAY, EVENING, HOUR, YES, ReplayScenario, tale

CART = "cart-abandonment"


@tale(CART, None)
async def quiet(t: ReplayScenario) -> None:
    await t.adds("lamp")


@tale(CART, None)
async def quiet_armed_again(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR / 2)
    await t.adds("chair")
    await t.passes(CART, HOUR * 0.7)


@tale(CART, None)
async def waiting_for_a_click(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)


async def is_deferred(t: ReplayScenario) -> None:
    t.waypost.clock = EVENING
    await t.adds("lamp")
    await t.passes(CART, HOUR * 26)


@tale(CART, None)
async def offer_deferred_for_the_night(t: ReplayScenario) -> None:
    await is_deferred(t)


@tale(CART, None)
async def waiting_after_the_offer(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 30)


@tale(CART, "nudged")
async def nudged(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, DAY * 4)


@tale(CART, "nudged")
async def nudged_after_the_night(t: ReplayScenario) -> None:
    await is_deferred(t)
    await t.passes(CART, DAY * 3)


@tale(CART, "nudged")
async def offer_by_mail_without_a_phone(t: ReplayScenario) -> None:
    t.who.pop("phone")
    await t.adds("lamp")
    await t.passes(CART, DAY * 4)


@tale(CART, "nudged")
async def all_withheld_without_consent(t: ReplayScenario) -> None:
    line = {"product_id": "lamp", "cart_id": t.key}
    await t.happens("Product Added", line)
    await t.passes(CART, DAY * 4)


@tale(CART, "engaged")
async def engaged(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    await t.clicks("cart_reminder")


@tale(CART, "bought")
async def bought_in_the_quiet(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.buys("lamp")


@tale(CART, "bought")
async def bought_in_the_middle_of_the_wait(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    await t.buys("lamp", channel="store", source="pos/1")


@tale(CART, "bought")
async def bought_while_deferred(t: ReplayScenario) -> None:
    await is_deferred(t)
    await t.buys("lamp")


@tale(CART, "engaged")
async def engaged_by_the_offer(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 30)
    await t.clicks("cart_offer")


async def buys_half(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.adds("chair")
    await t.passes(CART, HOUR * 2)
    await t.buys("lamp")


@tale(CART, None)
async def half_bought_and_left_in_peace(t: ReplayScenario) -> None:
    await buys_half(t)


@tale(CART, "nudged")
async def half_bought(t: ReplayScenario) -> None:
    await buys_half(t)
    await t.passes(CART, DAY * 5)


@tale(CART, "bought")
async def half_bought_and_then_the_rest(t: ReplayScenario) -> None:
    await buys_half(t)
    await t.passes(CART, DAY * 3)
    await t.happens("Order Completed", {"order_id": f"{t.key}-2", "products": [{"product_id": "chair"}]})


@tale(CART, "nudged")
async def told_of_a_lower_price(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    news = {"product_id": "lamp", "name": "A lamp", "price": 29.0, "was": 39.0, "cart_id": t.key}
    await t.happens("Price Dropped", news, source="waypost/products")
    await t.passes(CART, DAY * 3)


@tale(CART, "nudged")
async def told_that_it_is_back(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    await t.happens("Back In Stock", {"product_id": "lamp", "name": "A lamp", "cart_id": t.key})
    await t.passes(CART, DAY * 3)


@tale(CART, "nudged")
async def the_answer_about_the_reminder_is_lost(t: ReplayScenario) -> None:
    t.providers[Channel.EMAIL].answers.append(MaybeSent("the connection broke"))
    await t.adds("lamp")
    await t.passes(CART, DAY * 4)


@tale(CART, None)
async def held_while_a_ticket_is_open(t: ReplayScenario) -> None:
    await t.happens("Ticket Opened", {"ticket_id": "t-1"}, traits=YES)
    await t.adds("lamp")
    await t.passes(CART, HOUR * 3)


@tale(CART, "nudged")
async def reminded_once_the_ticket_was_solved(t: ReplayScenario) -> None:
    await t.happens("Ticket Opened", {"ticket_id": "t-1"}, traits=YES)
    await t.adds("lamp")
    await t.passes(CART, HOUR * 3)
    await t.happens("Ticket Solved", {"ticket_id": "t-1"})
    await t.passes(CART, DAY * 4)


@tale(CART, "emptied")
async def emptied(t: ReplayScenario) -> None:
    await t.adds("lamp")
    await t.happens("Product Removed", {"product_id": "lamp", "cart_id": t.key})


@tale(CART, "cancelled")
async def ended_by_hand(t: ReplayScenario) -> None:
    await t.adds("lamp")
    handle = t.waypost.handle(await t.run(CART))
    await handle.signal("End Run", {"outcome": "cancelled", "reason": "by hand"})


@tale(CART, "bought")
async def bought_after_signals_that_cannot_be_read(t: ReplayScenario) -> None:
    await t.adds("lamp")
    handle = t.waypost.handle(await t.run(CART))
    await handle.signal("Nobody Knows", {"id": "x"})
    await handle.signal("Product Added", {"product_id": "lamp"})
    await t.buys("lamp")
