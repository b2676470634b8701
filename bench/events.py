"""A shop's traffic, generated from a seed: the same events in every run, except for their ids and times."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

EventBody = dict[str, Any]

CONCURRENT_SHOPPERS = 400
EVENTS_PER_VISIT = 8
"""Average number of events of one person, before the next person replaces it."""
PRODUCT_COUNT = 200
_EVENT_WEIGHTS = {
    "Product Viewed": 60,
    "Product Added": 18,
    "Product Removed": 4,
    "Cart Viewed": 8,
    "Checkout Started": 5,
    "Order Completed": 5,
}


class EventGenerator:
    """Generates native events of one shop, as a channel posts them to ``/v1/events``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0

    def events(self, count: int, *, at: datetime | None = None) -> list[EventBody]:
        """Return the next events; their times are spread over the minute before ``at`` (default: now)."""
        newest = at or datetime.now(UTC)
        return [
            self._event(newest - timedelta(minutes=1) + timedelta(minutes=1) * n / count)
            for n in range(count)
        ]

    def _event(self, time: datetime) -> EventBody:
        self._count += 1
        [name] = self._random.choices(list(_EVENT_WEIGHTS), weights=list(_EVENT_WEIGHTS.values()))
        person = self._count // EVENTS_PER_VISIT + self._random.randrange(CONCURRENT_SHOPPERS)
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
        products = [
            product_line(self._random.randrange(PRODUCT_COUNT)) for _ in range(self._random.randint(1, 3))
        ]
        match name:
            case "Order Completed" | "Checkout Started":
                return {"order_id": f"o-{self._count}", "currency": "EUR", "products": products}
            case "Cart Viewed":
                return {"products": products}
            case _:
                return products[0]


def product_line(number: int) -> dict[str, Any]:
    """Return one line of a cart."""
    return {
        "product_id": f"p-{number}",
        "sku": f"p-{number}-red",
        "name": f"Lamp number {number}",
        "category": "Lamps",
        "price": 10.0 + number,
        "quantity": 1,
        "url": f"https://shop.example.com/p/{number}",
    }


def cart_event(name: str, shopper: int, time: datetime) -> EventBody:
    """Return a ``Product Added`` or ``Order Completed`` event of a numbered shopper with consents."""
    line = product_line(1)
    event: EventBody = {
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
        "properties": {**line, "cart_id": shopper_cart_id(shopper)},
        "traits": {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"},
    }


def shopper_cart_id(shopper: int) -> str:
    """Return the cart id of a shopper."""
    return f"cart-{shopper}"


def split_batches(events: Sequence[EventBody], size: int) -> list[Sequence[EventBody]]:
    """Split events into batches of ``size``."""
    return [events[start : start + size] for start in range(0, len(events), size)]
