"""Tales of what follows a purchase: one for each wait point and outcome."""

from tests.replay.scenario import DAY, HOUR, ReplayScenario, tale

POST = "post-purchase"


@tale(POST, None)
async def waiting_for_the_delivery(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.passes(POST, HOUR)


@tale(POST, None)
async def waiting_on_after_the_apology(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 8)


@tale(POST, "completed")
async def delivered(t: ReplayScenario) -> None:
    await t.happens("Product Viewed", {"product_id": "desk", "name": "A desk"})
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 20)


@tale(POST, None)
async def sleeping_before_the_review_request(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY)


@tale(POST, None)
async def waiting_for_a_review(t: ReplayScenario) -> None:
    await t.buys("lamp", "chair")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 6)


@tale(POST, "completed")
async def reviewed(t: ReplayScenario) -> None:
    await t.buys("lamp", "chair")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 6)
    await t.happens("Product Reviewed", {"product_id": "lamp", "rating": 5})
    await t.happens("Product Reviewed", {"product_id": "chair", "rating": 4})
    await t.passes(POST, DAY * 20)


@tale(POST, None)
async def held_while_a_return_is_open(t: ReplayScenario) -> None:
    await t.buys("lamp", "chair")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.happens("Return Requested", {"order_id": t.key})
    await t.passes(POST, DAY * 6)


@tale(POST, "completed")
async def part_was_given_back(t: ReplayScenario) -> None:
    await t.buys("lamp", "chair")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.happens("Return Requested", {"order_id": t.key})
    await t.passes(POST, DAY * 6)
    await t.happens("Order Refunded", {"order_id": t.key, "products": [{"product_id": "chair"}]})
    await t.passes(POST, DAY * 20)


@tale(POST, "nothing_kept")
async def all_was_given_back_piece_by_piece(t: ReplayScenario) -> None:
    await t.buys("lamp", "chair")
    await t.happens("Order Delivered", {"order_id": t.key})
    for product in ("lamp", "chair"):
        await t.happens("Order Refunded", {"order_id": t.key, "products": [{"product_id": product}]})
    await t.passes(POST, DAY * 6)


@tale(POST, "completed")
async def delivered_late(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 8)
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 20)


@tale(POST, "not_delivered")
async def not_delivered(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 23)


@tale(POST, "completed")
async def bought_in_the_store(t: ReplayScenario) -> None:
    await t.buys("lamp", channel="store")
    await t.passes(POST, DAY * 20)


@tale(POST, "cancelled")
async def cancelled(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY)
    await t.happens("Order Cancelled", {"order_id": t.key})


@tale(POST, "refunded")
async def refunded(t: ReplayScenario) -> None:
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 6)
    await t.happens("Order Refunded", {"order_id": t.key})
