"""The link to a cart leads to that person's cart, where the shop says where it is."""

from dataclasses import replace
from typing import Any

import pytest

from activities.settings import ActivitySettings
from policy.verdict import Channel
from tests.support.environments.gate import YES, GateHarness

SHOP = ActivitySettings.model_fields["shop_url"].default

PLAIN = f"{SHOP}/cart"

MINE = f"{SHOP}/cart/recover?token=abc&step=2"

ROWS = [
    pytest.param({"cart_url": MINE}, True, MINE, id="the cart's own link"),
    pytest.param({"abandoned_checkout_url": MINE}, True, MINE, id="of an abandoned checkout"),
    pytest.param({"checkoutUrl": MINE.replace("&", "&amp;")}, True, MINE, id="through a page"),
    pytest.param({"recovery_url": "/cart/r/7"}, True, f"{SHOP}/cart/r/7", id="relative"),
    pytest.param({}, True, PLAIN, id="none"),
    pytest.param({"cart_url": ""}, True, PLAIN, id="empty"),
    pytest.param({"cart_url": {"a": 1}}, True, PLAIN, id="no text"),
    pytest.param({"cart_url": MINE}, False, PLAIN, id="by a page: it may be a stranger's cart"),
    pytest.param({"cart_url": "https://other.example/cart"}, True, PLAIN, id="at another host"),
    pytest.param({"cart_url": "javascript:alert(1)"}, True, PLAIN, id="no link"),
    pytest.param({"cart_url": MINE, "cart_id": "c-2"}, True, PLAIN, id="of another cart"),
]


@pytest.mark.parametrize(("states", "verified", "expected"), ROWS)
async def test_a_cart_is_linked_where_its_shop_says(
    database_url: str, temporal: Any, states: dict[str, Any], verified: bool, expected: str
) -> None:
    async with GateHarness(database_url, temporal.client) as shop:
        who = {"email": "ada@example.com", "traits": YES}
        await shop.takes("Product Added", {"product_id": "lamp", "name": "Lamp", "cart_id": "c-1"}, **who)
        told = shop.build_event("Cart Viewed", {"cart_id": "c-1", **states}, email="ada@example.com")
        await shop.ingest([replace(told, verified=verified)])
        [run] = await shop.fetch_rows("SELECT run_id FROM run WHERE key = 'c-1'")
        await shop.sends(shop.ask(run["run_id"], "reminder", "lamp", cart_id="c-1"))
        [mail] = shop.ledgers[Channel.EMAIL].accepted

    assert f"Back to my cart <{expected}>" in mail.content.text
