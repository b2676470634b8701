"""The shop of the demo: what it sells, and what a product looks like in an event."""

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
    """One product; its variants differ by sku."""

    product_id: str
    name: str
    category: str
    price: float
    variants: tuple[str, ...]

    def to_line(self, variant: str | None = None, quantity: int = 1) -> dict[str, Any]:
        """The product as a line of a cart or an order."""
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
    """Different products as a person with a favourite category looks at them, three of four from there."""
    liked = [product for product in CATALOGUE if product.category == favourite]
    found: dict[str, DemoProduct] = {}
    while len(found) < count:
        product = rng.choice(liked if rng.random() < 0.75 and len(found) < len(liked) else CATALOGUE)
        found.setdefault(product.product_id, product)
    return list(found.values())


SOLD_OUT_AFTER, PRICE_DROP_AFTER, BACK_IN_STOCK_AFTER = (
    timedelta(hours=13),
    timedelta(hours=21),
    timedelta(hours=37),
)
"""From the opening. Ends of beats, since only there all runs share one hour; the sold-out product is away for
long enough that some reminders fall into it, and back before those carts are given up."""

_REDUCED_PRICE_FACTOR = 0.8


@dataclass(frozen=True, slots=True)
class ProductUpdate:
    """What the feed says of one product."""

    at: datetime
    product: DemoProduct
    in_stock: bool

    @property
    def body(self) -> dict[str, Any]:
        """As an event; it names nobody."""
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
    """The updates of the demo's days, handed out as time goes by."""

    def __init__(self, opening: datetime, wanted: Iterable[str]) -> None:
        """``opening``: when the shop's first day begins; the whole catalogue is told then.

        ``wanted``: ids of products as people put them into carts. What most want sells out, and the next
        three become cheaper, so that the news always concerns somebody.
        """
        times = Counter(wanted)
        gone, *cheaper = sorted(CATALOGUE, key=lambda product: -times[product.product_id])[:4]
        self._pending = [
            *(ProductUpdate(opening, product, True) for product in CATALOGUE),
            ProductUpdate(opening + SOLD_OUT_AFTER, gone, False),
            *(
                ProductUpdate(opening + PRICE_DROP_AFTER, _with_reduced_price(product), True)
                for product in cheaper
            ),
            ProductUpdate(opening + BACK_IN_STOCK_AFTER, gone, True),
        ]
        self.products = {product.product_id: product for product in CATALOGUE}
        """Products by id, at the prices that were last told."""

    def take_due(self, until: datetime) -> Sequence[ProductUpdate]:
        """The updates up to ``until``, in order; they are not handed out twice."""
        due = [update for update in self._pending if update.at <= until]
        self._pending = self._pending[len(due) :]
        self.products |= {update.product.product_id: update.product for update in due}
        return due


def _with_reduced_price(product: DemoProduct) -> DemoProduct:
    return replace(product, price=round(product.price * _REDUCED_PRICE_FACTOR, 2))
