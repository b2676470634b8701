"""A stranger with the public write key, who sends while a proof of an invariant runs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy.exc import DBAPIError

from profiles.identity.identifiers import normalize_identifier
from profiles.ingest.pipeline import Ingest
from profiles.state.event_records import IncomingEvent

LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, OSError)
"""What a lost connection raises."""

ATTACKER = {"email": "mallory@evil.example", "phone": "+4915799999999", "anonymous_id": "mallory-phone"}

HUGE = (2**62, 2**31, 1e308, -5, "NaN")
"""Quantities and prices of no honest shop."""


@dataclass(slots=True)
class HostileSender:
    """Sends unverified events about known people, in batches, until the block ends.

    It knows the identifiers of the victims, the products, the carts, and how the till numbers its events.
    """

    ingest: Ingest
    victims: Sequence[dict[str, Any]]
    products: Sequence[str]
    carts: Sequence[str] = ()
    guesses: Sequence[tuple[str, str]] = ()
    """(source, id) that verified senders are about to use."""
    seed: int = 1
    batch: int = 6
    answers: Counter[str] = field(default_factory=Counter)
    _begun: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None
    _sent: int = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._send_until_cancelled())
        # At least one batch is in before anybody else begins.
        await asyncio.wait(
            {asyncio.create_task(self._begun.wait()), self._task}, return_when="FIRST_COMPLETED"
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _send_until_cancelled(self) -> None:
        random, guesses = Random(self.seed), list(self.guesses)
        random.shuffle(guesses)
        while True:
            taken = [self._event(random, *guesses.pop()) for _ in range(min(8, len(guesses)))]
            events = [*taken, *(self._event(random) for _ in range(self.batch))]
            try:
                self.answers.update(result.status.value for result in await self.ingest(events))
            except LOST:
                # The proof ends connections on purpose. A stranger goes on with the next batch.
                continue
            self._begun.set()
            await asyncio.sleep(0.05)

    def _event(self, random: Random, source: str | None = None, event_id: str | None = None) -> IncomingEvent:
        self._sent += 1
        name, properties, traits, identifiers = self._content(random)
        return IncomingEvent(
            source=source or "segment/page",
            id=event_id or f"hostile-{self._sent}",
            type=name,
            channel="web",
            time=datetime.now(UTC) - timedelta(seconds=random.choice((0, 5, 3600))),
            identifiers=tuple(
                (kind, normalize_identifier(kind, value)) for kind, value in identifiers.items()
            ),
            properties=properties,
            traits=traits,
            verified=False,
        )

    def _content(self, random: Random) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
        victim, product = random.choice(self.victims), random.choice(self.products)
        cart = {"cart_id": random.choice(self.carts)} if self.carts else {}
        line = {"product_id": product, "quantity": random.choice(HUGE), "price": random.choice(HUGE)}
        grants = {"consents": {"email": True, "sms": True, "push": True, "x" * 2640: True}}
        match random.randrange(8):
            case 0:
                return "Product Added", {**line, **cart, "name": "see evil.example " * 400}, {}, victim
            case 1:
                return "Order Refunded", {"order_id": f"o-{random.randrange(40)}"}, {}, victim
            case 2:
                return "Order Cancelled", {"order_id": f"o-{random.randrange(40)}"}, grants, victim
            case 3:
                return "Identify", {}, grants, {**victim, **ATTACKER}
            case 4:
                return "Checkout Started", {"products": [line] * 30, **cart}, grants, victim
            case 5:
                return (
                    "Product Updated",
                    {"product_id": product, "price": 1e308, "availability": "in stock"},
                    {},
                    {},
                )
            case 6:
                return "Product Viewed", {"product_id": "y" * 4000}, {}, {**victim, "anonymous_id": "tablet"}
            case _:
                order = {"order_id": f"o-{random.randrange(40)}", "products": [line]}
                return "Order Updated", order, {}, {"email": victim.get("email", ATTACKER["email"])}
