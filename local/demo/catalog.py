"""The demo's shop: its products, their form in events, and the feed of stock and price updates."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

SHOP_NAME = "Lamp & Linen"

SHOP_ADDRESS = "1 Example Street, 10115 Berlin"

SHOP_URL = "https://shop.example.com"

STORES = ("pos/berlin-3", "pos/hamburg-1", "pos/london-2")


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """One product. Its variants differ by SKU."""

    product_id: str
    name: str
    category: str
    price: float
    variants: tuple[str, ...]

    def to_line(self, variant: str | None = None, quantity: int = 1) -> dict[str, Any]:
        """Return the product as a line of a cart or an order."""
        chosen = variant or self.variants[0]
        return {
            "product_id": self.product_id,
            "sku": f"{self.product_id}-{chosen}",
            "name": self.name,
            "variant": chosen,
            "category": self.category,
            "price": self.price,
            "quantity": quantity,
            "url": f"{SHOP_URL}/p/{self.product_id}",
        }


def _products(category: str, variants: tuple[str, ...], *rows: tuple[str, float]) -> list[DemoProduct]:
    return [
        DemoProduct("-".join(name.lower().split()), name, category, price, variants) for name, price in rows
    ]


CATALOGUE: tuple[DemoProduct, ...] = (
    *_products(
        "lamps", ("black", "brass", "white"),
        ("Aria desk lamp", 39.0), ("Luna floor lamp", 129.0), ("Nova pendant", 89.0),
        ("Ember night light", 19.0), ("Halo wall lamp", 59.0), ("Orbit reading lamp", 49.0),
    ),
    *_products(
        "linen", ("sand", "sage", "ink"),
        ("Fjord duvet cover", 79.0), ("Dune pillowcase", 24.0), ("Mist bath towel", 29.0),
        ("Harbour throw", 69.0), ("Meadow tablecloth", 45.0), ("Cloud bathrobe", 85.0),
    ),
    *_products(
        "kitchen", ("small", "large"),
        ("Stone mug", 14.0), ("Oak chopping board", 34.0), ("Copper kettle", 64.0),
        ("Slate serving plate", 27.0), ("Birch spoon set", 18.0), ("Glass carafe", 32.0),
    ),
    *_products(
        "living", ("grey", "green"),
        ("Oslo chair", 199.0), ("Nest cushion", 35.0), ("Ripple rug", 159.0),
        ("Fern plant pot", 22.0), ("Tide mirror", 95.0), ("Willow basket", 42.0),
    ),
)  # fmt: skip

CATEGORIES = tuple(dict.fromkeys(product.category for product in CATALOGUE))


def pick_products(rng: Random, favourite: str, count: int) -> list[DemoProduct]:
    """Return ``count`` different random products, three quarters of them from the favourite category."""
    liked = [product for product in CATALOGUE if product.category == favourite]
    picked: dict[str, DemoProduct] = {}
    while len(picked) < count:
        product = rng.choice(liked if rng.random() < 0.75 and len(picked) < len(liked) else CATALOGUE)
        picked.setdefault(product.product_id, product)
    return list(picked.values())


SOLD_OUT_AFTER, PRICE_DROP_AFTER, BACK_IN_STOCK_AFTER = (
    timedelta(hours=13),
    timedelta(hours=21),
    timedelta(hours=37),
)
"""Times from the opening. Each is the end of a phase, when all runs have the same time. The product is sold
out long enough for some reminders to be due meanwhile, and back in stock before their cart journeys end."""

_REDUCED_PRICE_FACTOR = 0.8


@dataclass(frozen=True, slots=True)
class ProductUpdate:
    """One update of the product feed."""

    at: datetime
    product: DemoProduct
    in_stock: bool

    @property
    def body(self) -> dict[str, Any]:
        """The update as an event; it has no identifiers."""
        product = self.product
        return {
            "id": f"demo-feed-{product.product_id}-{self.at:%d%H}",
            "type": "Product Updated",
            "source": "catalogue",
            "channel": "server",
            "time": self.at.isoformat(),
            "identifiers": {},
            "properties": {
                "product_id": product.product_id,
                "name": product.name,
                "price": product.price,
                "currency": "EUR",
                "in_stock": self.in_stock,
                "url": f"{SHOP_URL}/p/{product.product_id}",
            },
        }


class ProductFeed:
    """The product updates of the demo's days, taken as the calendar advances."""

    def __init__(self, opening: datetime, wanted: Iterable[str]) -> None:
        """``opening``: start of the shop's first day, when the feed sends the whole catalogue.

        ``wanted``: ids of the products that shoppers add to carts, with repetitions. The most frequent one
        sells out, and the prices of the next three drop, so that the updates always concern open carts.
        """
        times = Counter(wanted)
        sold_out, *wanted_next = sorted(CATALOGUE, key=lambda product: -times[product.product_id])[:4]
        cheaper = [replace(each, price=round(each.price * _REDUCED_PRICE_FACTOR, 2)) for each in wanted_next]
        self._pending = [
            *(ProductUpdate(opening, product, True) for product in CATALOGUE),
            ProductUpdate(opening + SOLD_OUT_AFTER, sold_out, False),
            *(ProductUpdate(opening + PRICE_DROP_AFTER, product, True) for product in cheaper),
            ProductUpdate(opening + BACK_IN_STOCK_AFTER, sold_out, True),
        ]
        self.products = {product.product_id: product for product in CATALOGUE}
        """Products by id, at the prices of the latest updates taken."""

    def take_due(self, until: datetime) -> Sequence[ProductUpdate]:
        """Return the updates up to ``until``, in order, and remove them from the feed."""
        due = [update for update in self._pending if update.at <= until]
        self._pending = self._pending[len(due) :]
        self.products |= {update.product.product_id: update.product for update in due}
        return due
