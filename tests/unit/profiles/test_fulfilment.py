"""How an order reaches its buyer, read from what shop systems and tills send.

The table is data: a row is what an order states, through which channel, what it means, and where it was seen.
"""

from typing import Any

import pytest

from profiles.events import Event, OrderCompleted
from profiles.fulfilment import FULFILMENT_WORDS, Fulfilment, read_fulfilment
from profiles.state.event_records import parse_event

S, P, D, T = Fulfilment.SHIPPED, Fulfilment.PICKUP, Fulfilment.DIGITAL, Fulfilment.TAKEN_HOME

ORDERS: list[tuple[dict[str, Any], str, Fulfilment, str]] = [
    ({}, "web", S, "a web shop that states nothing"),
    ({}, "mobile", S, "an app that states nothing"),
    ({}, "server", S, "a backend that states nothing"),
    ({}, "store", T, "a till that states nothing"),
    ({"fulfillment_type": "Pickup"}, "web", P, "a shop system"),
    ({"shipping_method": "Click & Collect"}, "web", P, "a shop system"),
    ({"shipping_method": "local_pickup"}, "web", P, "a shop plugin"),
    ({"shipping_method": "Abholung in der Filiale Berlin"}, "web", P, "the name of a rate"),
    ({"delivery_method": "BOPIS"}, "mobile", P, "an order system"),
    ({"deliveryMethod": {"type": "PICK_UP"}}, "server", P, "an object of a commerce API"),
    ({"fulfillment_method": "in store"}, "web", P, "a web order handed over in a store"),
    ({"fulfillment_method": "in store"}, "store", T, "a till"),
    ({"fulfilment": "store"}, "store", T, "a till"),
    ({"fulfillmentType": "InStore"}, "store", T, "a till, in camel case"),
    ({"sales_channel": "POS"}, "server", T, "a till's backend without a channel of its own"),
    ({"source_name": "pos"}, "server", T, "an order of a shop system's till"),
    ({"sales_channel": "pos", "shipping_method": "Home delivery"}, "server", S, "a sofa sold in a store"),
    ({"delivery_type": "home_delivery"}, "store", S, "a sofa sold in a store"),
    ({"shipping_method": "DHL Paketversand"}, "web", S, "the name of a rate"),
    ({"shipping_method": [{"name": "Express"}]}, "web", S, "a list of rates"),
    ({"shipping_method": "ship to store"}, "web", P, "a parcel for the store"),
    ({"fulfilment": "digital"}, "web", D, "software"),
    ({"shipping_method": "No shipping required"}, "web", D, "a shop system"),
    (
        {"products": [{"product_id": "e", "requires_shipping": False}]},
        "web",
        D,
        "gift cards of a shop system",
    ),
    ({"products": [{"product_id": "e", "virtual": True}, {"product_id": "lamp"}]}, "web", S, "a mixed cart"),
    ({"fulfilment": "no pickup"}, "web", S, "a no"),
    ({"fulfilment": 7, "shipping_method": None}, "web", S, "values of other types"),
    ({"fulfilment": "x" * 5000}, "store", T, "a text of any length"),
    ({"products": {"0": {}}}, "web", S, "products that are no list"),
]


@pytest.mark.parametrize(
    ("properties", "channel", "expected"),
    [pytest.param(*row[:3], id=f"{row[3]}: {str(row[0])[:50]}, {row[1]}") for row in ORDERS],
)
def test_an_order_is_handed_over_as_its_shop_states(
    properties: dict[str, Any], channel: str, expected: Fulfilment
) -> None:
    event, _ = parse_event("Order Completed", {"order_id": "o", **properties}, verified=True)
    assert isinstance(event, OrderCompleted)
    told = {**event.model_dump(mode="json", exclude_none=True), "channel": channel}

    assert Event.registry["Order Completed"].model_validate(told).handed_over is expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "word"), [(kind, word) for kind, words in FULFILMENT_WORDS.items() for word in words]
)
def test_each_word_means_one_thing_in_any_case(kind: Fulfilment, word: str) -> None:
    assert read_fulfilment({"delivery_method": word.title().replace(" ", "-")}) is kind


def test_a_run_from_before_orders_stated_it_goes_by_the_channel() -> None:
    assert OrderCompleted.model_validate({"channel": "store"}).handed_over is T
    assert OrderCompleted.model_validate({"channel": "web"}).fulfilment is None
