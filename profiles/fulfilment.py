"""How what was ordered reaches its buyer, read from the words of shop systems and tills.

The table is data: add the words that another system sends. What is not understood is None, and the channel
of the purchase decides: taken home from a store, else shipped.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Fulfilment(StrEnum):
    """How an order reaches its buyer."""

    SHIPPED = "shipped"
    PICKUP = "pickup"
    """Ordered before it is collected: click and collect."""
    DIGITAL = "digital"
    TAKEN_HOME = "taken_home"
    """Bought in a store and taken along."""
    IN_STORE = "in_store"
    """Handed over in a store: taken home if it was bought there, else a pickup."""


FULFILMENT_WORDS: Mapping[Fulfilment, tuple[str, ...]] = {
    Fulfilment.SHIPPED: (
        *("shipped", "ship", "shipping", "delivery", "deliver", "home delivery", "standard", "express"),
        *("mail", "courier", "carrier", "ship to home", "ship from store", "endless aisle", "parcel", "post"),
        *("locker", "parcel locker", "packstation", "dhl", "ups", "fedex", "usps", "dpd", "gls"),
        *("royal mail", "colissimo"),
    ),
    Fulfilment.PICKUP: (
        *("pickup", "pick up", "store pickup", "in store pickup", "local pickup", "curbside", "bopis"),
        *("ropis", "click and collect", "click collect", "click n collect", "collect", "collection"),
        *("collect in store", "reserve and collect", "selbstabholung", "abholung", "filialabholung"),
        *("retrait en magasin", "ritiro in negozio", "recogida en tienda", "afhalen", "odbior osobisty"),
        "ship to store",
    ),
    Fulfilment.DIGITAL: (
        *("digital", "download", "downloadable", "electronic", "electronic delivery", "virtual", "esd"),
        *(
            "email",
            "e mail",
            "gift card",
            "e gift",
            "license",
            "licence",
            "streaming",
            "no shipping required",
        ),
    ),
    Fulfilment.TAKEN_HOME: (
        *("taken home", "take home", "take away", "takeaway", "carry out", "cash and carry", "walk out"),
        *("over the counter", "immediate", "mitgenommen", "sofort mitgenommen", "mitnahme"),
    ),
    Fulfilment.IN_STORE: (
        *("in store", "instore", "store", "pos", "point of sale", "retail", "shop", "branch"),
    ),
}
"""Words for each, in lower case with single blanks instead of punctuation."""

FULFILMENT_PROPERTIES = (
    *("fulfilment", "fulfillment", "fulfillment_type", "fulfilment_type", "fulfillment_method"),
    *("fulfilment_method", "fulfillmentType", "delivery_method", "delivery_type", "delivery_mode"),
    *("deliveryMethod", "shipping_method", "shippingMethod", "shipping_type"),
)
"""Properties of an order that state it, in this order."""

_SALES_CHANNEL_PROPERTIES = ("sales_channel", "source_name", "order_channel", "order_source")

_PARTS = (
    (Fulfilment.PICKUP, re.compile(r"pick ?up|collect|abhol|retrait|ritiro|recogida|afhal|curbside")),
    (Fulfilment.DIGITAL, re.compile(r"digital|download|e gift")),
    (
        Fulfilment.SHIPPED,
        re.compile(r"ship|deliver|versand|liefer|livraison|envio|courier|express|parcel"),
    ),
)
"""Parts of free texts, such as the name of a shipping rate."""

_NEGATED = re.compile(r"\b(no|not|without|none|kein|keine|ohne|sans|sin)\b")

_BY_WORD = {word: kind for kind, words in FULFILMENT_WORDS.items() for word in words}

_BETWEEN_WORDS = re.compile(r"[\W_]+")

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")

_MAX_LENGTH = 200


def read_fulfilment(properties: Mapping[str, Any]) -> Fulfilment | None:
    """Return how the order of these properties reaches its buyer; None where they do not state it. Pure."""
    for name in FULFILMENT_PROPERTIES:
        if (kind := _read_value(properties.get(name))) is not None:
            return kind
    products = properties.get("products")
    if isinstance(products, list) and products and all(_is_digital(product) for product in products):
        return Fulfilment.DIGITAL
    sold_in = (_read_value(properties.get(name)) for name in _SALES_CHANNEL_PROPERTIES)
    return Fulfilment.TAKEN_HOME if Fulfilment.IN_STORE in sold_in else None


def _read_value(value: Any) -> Fulfilment | None:
    if isinstance(value, list) and len(value) == 1:
        [value] = value
    if isinstance(value, Mapping):
        value = next((value[name] for name in ("type", "method", "name", "title") if name in value), None)
    if not isinstance(value, str):
        return None
    spaced = _CAMEL_CASE.sub(" ", value[:_MAX_LENGTH])
    words = _BETWEEN_WORDS.sub(" ", spaced.lower()).strip()
    if (known := _BY_WORD.get(words)) is not None:
        return known
    if _NEGATED.search(words):
        return None
    return next((kind for kind, part in _PARTS if part.search(words)), None)


def _is_digital(product: Any) -> bool:
    if not isinstance(product, Mapping):
        return False
    is_virtual = any(
        product.get(name) is True for name in ("digital", "is_digital", "virtual", "downloadable")
    )
    return is_virtual or product.get("requires_shipping") is False
