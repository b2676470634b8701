"""Sample values with which every template is rendered before it may be used."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from activities.content.context import Links, RenderContext, ShopDetails
from activities.content.template import Manifest
from profiles.events import Item

SAMPLE_SHOP = ShopDetails(
    name="Sample Shop",
    postal_address="Sample Shop Ltd, 1 Sample Street, 12345 Sampleton",
    url="https://shop.example",
    support_email="help@shop.example",
)

SAMPLE_LINKS = Links(
    shop_url="https://shop.example",
    cart_url="https://shop.example/cart",
    unsubscribe_url="https://links.example/unsubscribe/sample-token-as-long-as-a-real-one-would-be",
    confirm_url="https://links.example/opt-in/sample-token-as-long-as-a-real-one-would-be",
    preferences_url="https://links.example/preferences/sample-token-as-long-as-a-real-one-would-be",
    one_click_url="https://links.example/unsubscribe/sample-token-as-long-as-a-real-one-would-be",
)

SAMPLE_ITEM = Item(
    product_id="p-1",
    name="Aria desk lamp",
    variant="Brushed brass",
    category="Lighting",
    brand="Sample",
    price=79.0,
    quantity=1,
    url="https://shop.example/aria",
    image_url="https://shop.example/aria.jpg",
)

MINIMAL_ITEM = Item(product_id="p-2")
"""An item with an id only, as some channels send."""


@dataclass(frozen=True, slots=True)
class SampleContext:
    """One set of values to render a template with."""

    name: str
    context: RenderContext


def sample_contexts(manifest: Manifest) -> tuple[SampleContext, ...]:
    """Return contexts for the usual branches of a template: all values, only required ones, many items."""
    every: Mapping[str, Any] = {name: value.sample for name, value in manifest.extra.items()}
    needed = {name: value.sample for name, value in manifest.extra.items() if value.required}
    bare = (MINIMAL_ITEM,) if manifest.items == "required" else ()
    many = tuple(SAMPLE_ITEM.model_copy(update={"product_id": f"p-{i}", "quantity": i}) for i in range(1, 13))
    without_cart = replace(SAMPLE_LINKS, cart_url=None)
    return (
        SampleContext(
            "every value given",
            RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, (SAMPLE_ITEM, MINIMAL_ITEM), "Ada", "en", "EUR", every),
        ),
        SampleContext("only required values", RenderContext(SAMPLE_SHOP, without_cart, bare, extra=needed)),
        SampleContext(
            "twelve items", RenderContext(SAMPLE_SHOP, SAMPLE_LINKS, many, "Ada", "de-DE", "EUR", every)
        ),
    )
