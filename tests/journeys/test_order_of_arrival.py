"""What is sent after an order of which the cancellation, the refund or the delivery is known first."""

from collections.abc import Sequence
from typing import Any

import pytest

from authoring.testing import Shop, Shopper, with_journeys
from journeys.post_purchase.story import PostPurchase
from journeys.vocabulary import days

pytestmark = with_journeys(PostPurchase)

ORDER = "o-1001"

LAMP_BACK = {"products": [{"product_id": "lamp"}]}

BUYS, CANCELLED, REFUNDED, DELIVERED, SHIPPED = "buys", "cancelled", "refunded", "delivered", "shipped"

LAMP_REFUNDED, ANOTHER_CANCELLED = "lamp refunded", "another order cancelled"

CONFIRMED, APOLOGY, REVIEW = "order_confirmation", "delivery_apology", "review_request"

EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    CANCELLED: ("Order Cancelled", {"order_id": ORDER}),
    REFUNDED: ("Order Refunded", {"order_id": ORDER}),
    LAMP_REFUNDED: ("Order Refunded", {"order_id": ORDER} | LAMP_BACK),
    DELIVERED: ("Order Delivered", {"order_id": ORDER}),
    SHIPPED: ("Order Fulfilled", {"order_id": ORDER}),
    ANOTHER_CANCELLED: ("Order Cancelled", {"order_id": "o-2"}),
}


@pytest.mark.parametrize(
    ("arrivals", "received"),
    [
        pytest.param([BUYS], [CONFIRMED, APOLOGY], id="never delivered"),
        pytest.param([CANCELLED, BUYS], [], id="the cancellation first, by a second queue"),
        pytest.param([REFUNDED, BUYS], [], id="a whole refund first, by the payment provider"),
        pytest.param([SHIPPED, CANCELLED, BUYS], [], id="dispatch and cancellation first"),
        pytest.param([DELIVERED, CANCELLED, BUYS], [], id="delivery and cancellation first"),
        pytest.param([DELIVERED, BUYS], [CONFIRMED, REVIEW, REVIEW], id="the delivery first, by the courier"),
        pytest.param([SHIPPED, DELIVERED, BUYS], [CONFIRMED, REVIEW, REVIEW], id="all first, by an export"),
        pytest.param([LAMP_REFUNDED, DELIVERED, BUYS], [CONFIRMED, REVIEW], id="a part given back first"),
        pytest.param([ANOTHER_CANCELLED, BUYS], [CONFIRMED, APOLOGY], id="another order was cancelled"),
        pytest.param([BUYS, DELIVERED], [CONFIRMED, REVIEW, REVIEW], id="in order"),
        pytest.param([BUYS, CANCELLED], [CONFIRMED], id="cancelled after its confirmation"),
    ],
)
async def test_a_run_knows_what_came_before_it(
    shopper: Shopper, arrivals: Sequence[str], received: list[str]
) -> None:
    # A shop that reports deliveries apologises for those that are late.
    await shopper.happens("Order Delivered", {"order_id": "o-0"}, source="erp")
    for arrival in arrivals:
        if arrival == BUYS:
            await shopper.buys("lamp", "chair", order=ORDER)
        else:
            await shopper.happens(*EVENTS[arrival], source="erp")
    if received:
        await shopper.waits(days(30))

    assert [str(message) for message in shopper.received if str(message) != "cross_sell"] == received


async def test_why_no_run_was_started_is_on_the_order(shop: Shop, shopper: Shopper) -> None:
    await shopper.happens(*EVENTS[CANCELLED])
    await shopper.buys("lamp", order=ORDER)
    [order] = await shop.waypost.fetch_rows(
        "SELECT problems::text AS problems FROM event WHERE type = 'Order Completed'"
    )

    assert "no run was started, as it would be over at once (cancelled): Order Cancelled" in order["problems"]
