"""A shop's traffic, made up from a seed: the same events at every run, but for their ids and times."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]

SHOPPING_AT_ONCE = 400
VISIT = 8
"""Events of one person, on average; then another one comes."""
PRODUCTS = 200
_WEIGHTS = {
    "Product Viewed": 60,
    "Product Added": 18,
    "Product Removed": 4,
    "Cart Viewed": 8,
    "Checkout Started": 5,
    "Order Completed": 5,
}


class Traffic:
    """Native events of one shop, as a channel would post them to ``/v1/events``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0

    def events(self, count: int, *, at: datetime | None = None) -> list[Event]:
        """The next events; their times are spread over the minute before ``at`` (now)."""
        newest = at or datetime.now(UTC)
        return [
            self._event(newest - timedelta(minutes=1) + timedelta(minutes=1) * n / count)
            for n in range(count)
        ]

    def _event(self, time: datetime) -> Event:
        self._count += 1
        [name] = self._random.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))
        person = self._count // VISIT + self._random.randrange(SHOPPING_AT_ONCE)
        return {
            "id": f"e-{self._count}",
            "type": name,
            "source": "shop/web",
            "channel": "web",
            "time": time.isoformat(),
            "identifiers": {"email": f"person{person}@example.com", "anonymous_id": f"browser-{person}"},
            "properties": self._properties(name),
            "context": {"timezone": "Europe/Berlin", "page": {"path": f"/p/{self._count % 50}"}},
        }

    def _properties(self, name: str) -> dict[str, Any]:
        products = [product(self._random.randrange(PRODUCTS)) for _ in range(self._random.randint(1, 3))]
        match name:
            case "Order Completed" | "Checkout Started":
                return {"order_id": f"o-{self._count}", "currency": "EUR", "products": products}
            case "Cart Viewed":
                return {"products": products}
            case _:
                return products[0]


def product(number: int) -> dict[str, Any]:
    """One line of a cart."""
    return {
        "product_id": f"p-{number}",
        "sku": f"p-{number}-red",
        "name": f"Lamp number {number}",
        "category": "Lamps",
        "price": 10.0 + number,
        "quantity": 1,
        "url": f"https://shop.example.com/p/{number}",
    }


def cart_event(name: str, shopper: int, time: datetime) -> Event:
    """What happens to the cart of one shopper of their own, who may be written to: added, or bought."""
    line = product(1)
    event: Event = {
        "id": f"{name}-{shopper}-{time.isoformat()}",
        "type": name,
        "source": "shop/web",
        "channel": "web",
        "time": time.isoformat(),
        "identifiers": {"email": f"shopper{shopper}@example.com", "phone": f"+491511{shopper:07d}"},
    }
    if name == "Order Completed":
        return event | {"properties": {"order_id": f"o-{shopper}", "products": [line]}}
    return event | {
        "properties": {**line, "cart_id": cart_of(shopper)},
        "traits": {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"},
    }


def cart_of(shopper: int) -> str:
    """The cart id of a shopper."""
    return f"cart-{shopper}"


def in_batches(events: Sequence[Event], size: int) -> list[Sequence[Event]]:
    """Cut into requests of ``size`` events."""
    return [events[start : start + size] for start in range(0, len(events), size)]
