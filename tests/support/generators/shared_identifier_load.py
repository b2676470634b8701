"""Events of thousands of people who share one identifier, and a load that sends them to several processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from api.batching import Batcher
from profiles.db.database import Database
from profiles.identity.identifiers import normalize_identifier
from profiles.ingest.pipeline import Ingest
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS

Named = tuple[str, str]


@dataclass(frozen=True)
class LoadShape:
    """What is shared, and by whom."""

    bad: Named
    person: Callable[[int], Named]

    def names(self, number: int) -> tuple[Named, ...]:
        """What one person's event names."""
        return self.person(number), self.bad


SHAPES = {
    "a mail address of the desk": LoadShape(
        ("email", "guest-desk@shop.example"), lambda one: ("user_id", f"u-{one}")
    ),
    "a user id of the kiosk": LoadShape(
        ("user_id", "kiosk-7"), lambda one: ("email", f"e{one}@shop.example")
    ),
    "a tablet in the store": LoadShape(("anonymous_id", "tablet-1"), lambda one: ("user_id", f"u-{one}")),
}


def told(
    source: str, number: object, name: str, named: Sequence[Named], properties: dict[str, Any], **more: Any
) -> IncomingEvent:
    """An event of now."""
    identifiers = tuple((kind, normalize_identifier(kind, value)) for kind, value in named)
    event_id = f"{source}-{number}"
    return IncomingEvent(source, event_id, name, "web", datetime.now(UTC), identifiers, properties, **more)


def order(number: object, named: Sequence[Named], *, source: str = "storm", **more: Any) -> IncomingEvent:
    """Somebody's order of a product that nobody else orders."""
    product = {"product_id": f"p-{number}", "name": "Lamp", "price": 9.0, "quantity": 1}
    return told(
        source, number, "Order Completed", named, {"order_id": f"o-{number}", "products": [product]}, **more
    )


def left_in_cart(number: object, named: Sequence[Named]) -> IncomingEvent:
    """A cart that starts a run, of whomever it names."""
    product = {"product_id": f"c-{number}", "name": "Lamp", "price": 9.0, "cart_id": f"cart-{number}"}
    return told("nobody", number, "Product Added", named, product)


@dataclass
class IngestLoad:
    """Several processes' ways in, as the API has them, and how long each event took."""

    doors: list[Batcher]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    async def take(self, phase: str, number: int, event: IncomingEvent) -> None:
        """One request."""
        begun = time.perf_counter()
        await self.doors[number % len(self.doors)].submit([event])
        self.seconds.setdefault(phase, []).append(time.perf_counter() - begun)

    async def blow(
        self, phase: str, count: int, within_s: float, make: Callable[[int], IncomingEvent]
    ) -> None:
        """So many events, spread evenly; returns when all are answered."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as requests:
            for number in range(count):
                # An open loop: who waits does not keep the next one from coming.
                await asyncio.sleep(max(0.0, begun + within_s * number / count - loop.time()))
                requests.create_task(self.take(phase, number, make(number)))

    def p99_ms(self, phase: str) -> float:
        """Milliseconds in which all but one of a hundred were answered."""
        return 1000 * quantiles(self.seconds[phase], n=100)[98]


@asynccontextmanager
async def weather(database_url: str, processes: int = 2) -> AsyncIterator[IngestLoad]:
    """Each process with a pool and a memory of its own."""
    pools = [Database(database_url) for _ in range(processes)]
    # As slow as the machine may be, none of these events is turned away.
    doors = [Batcher(Ingest(pool, (CARTS,)).__call__, pool.ping, queue_timeout_s=60.0) for pool in pools]
    try:
        yield IngestLoad(doors)
    finally:
        for door, pool in zip(doors, pools, strict=True):
            await door.close()
            await pool.close()
