"""The names that a mail shows are read at the send, from the cart and the shop's feed."""

from typing import Any

import pytest

from policy.verdict import Channel
from tests.support.environments.gate import YES, GateHarness

FEED = (
    {"product_id": "7", "sku": "7-b", "name": "Aria lamp – brass"},
    {"product_id": "7", "sku": "7-s", "name": "Aria lamp – steel"},
)

CARTS = [
    pytest.param({"product_id": "7", "name": "null"}, "Aria lamp", id="a name that says nothing"),
    pytest.param({"product_id": "7"}, "Aria lamp", id="no name"),
    pytest.param({"product_id": "7-b"}, "Aria lamp – brass", id="the unit sent as the product"),
    pytest.param({"product_id": "7", "sku": "other"}, "Aria lamp", id="a unit that the feed lacks"),
    pytest.param({"product_id": "7", "name": "My lamp &amp; I"}, "My lamp & I", id="a name of its own"),
]


@pytest.mark.parametrize(("line", "name"), CARTS)
@pytest.mark.parametrize("first_name", [{}, {"first_name": "null"}, {"first_name": "null", "name": "ADA"}])
async def test_the_feed_names_what_the_cart_does_not(
    database_url: str, temporal: Any, line: dict[str, str], name: str, first_name: dict[str, str]
) -> None:
    who = {"email": "ada@example.com", "traits": {**YES, **first_name}}
    async with GateHarness(database_url, temporal.client) as shop:
        await shop.takes("Product Added", {"cart_id": "c-1", **line}, **who)
        for product in FEED:
            await shop.takes("Product Updated", product)
        [run] = await shop.fetch_rows("SELECT run_id FROM run")
        [cart] = await shop.fetch_rows("SELECT lines FROM cart")
        request = shop.ask(run["run_id"], "reminder", line["product_id"], cart_id="c-1")
        items = tuple(
            item.model_copy(update={"name": None, "sku": line.get("sku")}) for item in request.promoting or ()
        )
        await shop.sends(request.model_copy(update={"promoting": items}))
        [mail] = shop.ledgers[Channel.EMAIL].accepted

    assert cart["lines"]
    assert mail.content.subject == f"Still thinking about {name}?"
    assert ("Hello Ada, we" in mail.content.text) == ("name" in first_name)
    assert "null" not in mail.content.text
