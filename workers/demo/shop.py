"""The shop of the demo: what it sells, and what a product looks like in an event."""

from dataclasses import dataclass
from random import Random
from typing import Any

NAME = "Lamp & Linen"
ADDRESS = "1 Example Street, 10115 Berlin"
URL = "https://shop.example.com"

STORES = ("pos/berlin-3", "pos/hamburg-1", "pos/london-2")


@dataclass(frozen=True, slots=True)
class Product:
    """One product; its variants differ by sku."""

    product_id: str
    name: str
    category: str
    price: float
    variants: tuple[str, ...]

    def line(self, variant: str | None = None, quantity: int = 1) -> dict[str, Any]:
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
            "url": f"{URL}/p/{self.product_id}",
        }


def _products(category: str, variants: tuple[str, ...], *rows: tuple[str, float]) -> list[Product]:
    return [Product("-".join(name.lower().split()), name, category, price, variants) for name, price in rows]


CATALOGUE: tuple[Product, ...] = (
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


def browse(rng: Random, favourite: str, count: int) -> list[Product]:
    """Different products as a person with a favourite category looks at them, three of four from there."""
    liked = [product for product in CATALOGUE if product.category == favourite]
    found: dict[str, Product] = {}
    while len(found) < count:
        product = rng.choice(liked if rng.random() < 0.75 and len(found) < len(liked) else CATALOGUE)
        found.setdefault(product.product_id, product)
    return list(found.values())
