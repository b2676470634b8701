"""Made-up people and things that every template is tried on before it may be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activities.content.context import Links, RenderContext, Shop
from activities.content.template import Manifest
from profiles.events import Item

SHOP = Shop(
    name="Sample Shop",
    postal_address="Sample Shop Ltd, 1 Sample Street, 12345 Sampleton",
    url="https://shop.example",
    support_email="help@shop.example",
)

LINKS = Links(
    shop_url="https://shop.example",
    cart_url="https://shop.example/cart",
    unsubscribe_url="https://links.example/unsubscribe/sample-token-as-long-as-a-real-one-would-be",
    preferences_url="https://links.example/preferences/sample-token-as-long-as-a-real-one-would-be",
    one_click_url="https://links.example/unsubscribe/sample-token-as-long-as-a-real-one-would-be",
)

LAMP = Item(
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

BARE = Item(product_id="p-2")
"""Nothing but an id: channels send such lines."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of values to render a template with."""

    name: str
    context: RenderContext


def trials(manifest: Manifest) -> tuple[Trial, ...]:
    """Everything given, only what is required, many items: a branch not taken in one is taken in another."""
    every: Mapping[str, Any] = {name: value.sample for name, value in manifest.extra.items()}
    needed = {name: value.sample for name, value in manifest.extra.items() if value.required}
    bare = (BARE,) if manifest.items == "required" else ()
    many = tuple(LAMP.model_copy(update={"product_id": f"p-{i}", "quantity": i}) for i in range(1, 13))
    without_cart = Links(
        LINKS.shop_url, None, LINKS.unsubscribe_url, LINKS.preferences_url, LINKS.one_click_url
    )
    return (
        Trial("every value given", RenderContext(SHOP, LINKS, (LAMP, BARE), "Ada", "en", "EUR", every)),
        Trial("only required values", RenderContext(SHOP, without_cart, bare, extra=needed)),
        Trial("twelve items", RenderContext(SHOP, LINKS, many, "Ada", "de-DE", "EUR", every)),
    )
