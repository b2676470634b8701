"""Spellings of the shop's less careful systems: a share of its events, as tills and plug-ins send them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from local.demo.events import JsonObject, ShopperEvent

RESPELLED_SHARE = 0.3
"""Share of the events about carts and orders."""

_RESPELLED_NAMES = ("Product Added", "Product Removed", "Checkout Started", "Order Completed")

_ZERO_WIDTH_SPACE = "\u200b"


def respell(event: ShopperEvent) -> ShopperEvent:
    """Return an event as a less careful system sends it; most events as they are. Depends on its id alone."""
    key = "event" if event.is_segment else "type"
    if event.body.get(key) not in _RESPELLED_NAMES:
        return event
    rng = Random(f"spelling/{event.body.get('messageId') or event.body.get('id')}")  # noqa: S311 - a simulation
    if rng.random() >= RESPELLED_SHARE:
        return event
    name = rng.choice(_NAME_SPELLINGS)(str(event.body[key]))
    properties = rng.choice(_PROPERTY_SPELLINGS)(event.body["properties"])
    return replace(event, body={**event.body, key: name, "properties": properties})


def _padded_ids(properties: JsonObject) -> JsonObject:
    return _with_lines(
        properties, lambda line: line | {"product_id": f" {line['product_id']}{_ZERO_WIDTH_SPACE}"}
    )


def _amounts_as_text(properties: JsonObject) -> JsonObject:
    priced = _with_lines(properties, lambda line: line | {"price": f"{line['price']:.2f} EUR"})
    return priced | ({"currency": "eur "} if "currency" in properties else {})


def _numbered_lines(properties: JsonObject) -> JsonObject:
    if "products" not in properties:
        return properties
    return properties | {
        "products": {str(2 * place): line for place, line in enumerate(properties["products"])}
    }


def _lines_of_a_tag_manager(properties: JsonObject) -> JsonObject:
    if "products" not in properties:
        return properties
    rest = {name: value for name, value in properties.items() if name != "products"}
    return rest | {"items": [_with_item_id(line) for line in properties["products"]]}


def _with_item_id(line: JsonObject) -> JsonObject:
    return {"item_id" if name == "product_id" else name: value for name, value in line.items()}


def _with_lines(properties: JsonObject, respelled: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """Apply a spelling to the lines of an order, or to the properties of a product event themselves."""
    if "products" in properties:
        return properties | {"products": [respelled(line) for line in properties["products"]]}
    return respelled(properties) if "product_id" in properties and "price" in properties else properties


_NAME_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.lower,
    str.upper,
    lambda name: name.lower().replace(" ", "_"),
    lambda name: " ".join(reversed(name.split())),
)

_PROPERTY_SPELLINGS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    _padded_ids,
    _amounts_as_text,
    _numbered_lines,
    _lines_of_a_tag_manager,
)
