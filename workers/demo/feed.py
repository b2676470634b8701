"""The shop's product feed: all it sells, then what becomes cheaper, sells out and comes back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from workers.demo.shop import CATALOGUE, URL, Product

SOLD_OUT, CHEAPER, BACK = timedelta(hours=13), timedelta(hours=21), timedelta(hours=37)
"""From the opening. Ends of beats, since only there all runs share one hour; the sold-out product is away for
long enough that some reminders fall into it, and back before those carts are given up."""

_PART_OF_PRICE = 0.8


@dataclass(frozen=True, slots=True)
class Update:
    """What the feed says of one product."""

    at: datetime
    product: Product
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
                "url": f"{URL}/p/{product.product_id}",
            },
        }


class Feed:
    """The updates of the demo's days, handed out as time goes by."""

    def __init__(self, opening: datetime, wanted: Iterable[str]) -> None:
        """``opening``: when the shop's first day begins; the whole catalogue is told then.

        ``wanted``: ids of products as people put them into carts. What most want sells out, and the next
        three become cheaper, so that the news always concerns somebody.
        """
        times = Counter(wanted)
        gone, *cheaper = sorted(CATALOGUE, key=lambda product: -times[product.product_id])[:4]
        self._ahead = [
            *(Update(opening, product, True) for product in CATALOGUE),
            Update(opening + SOLD_OUT, gone, False),
            *(Update(opening + CHEAPER, _reduced(product), True) for product in cheaper),
            Update(opening + BACK, gone, True),
        ]
        self.shelf = {product.product_id: product for product in CATALOGUE}
        """Products by id, at the prices that were last told."""

    def take(self, until: datetime) -> Sequence[Update]:
        """The updates up to ``until``, in order; they are not handed out twice."""
        due = [update for update in self._ahead if update.at <= until]
        self._ahead = self._ahead[len(due) :]
        self.shelf |= {update.product.product_id: update.product for update in due}
        return due


def _reduced(product: Product) -> Product:
    return replace(product, price=round(product.price * _PART_OF_PRICE, 2))
