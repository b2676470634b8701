"""What a tale is: one shopper, what happens to them, and how their run ends; told on virtual time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from authoring.testing.calendar import DEFAULT_START
from authoring.testing.environment import Row, Waypost
from policy.verdict import Channel
from tests.support.fakes.recording_provider import RecordingProvider

CANARIES = ("quillon", "+4915199", "4915199")
"""Parts of every name, address and number in these tales; no history may hold one."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

EVENING = DEFAULT_START.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=20, minute=30).astimezone(UTC)

YES = {
    "consents": {"email": True, "sms": True, "ads": True},
    "timezone": "Europe/Berlin",
    "first_name": "Quillon",
}


class ReplayScenario:
    """One shopper and what happens to them."""

    def __init__(self, waypost: Waypost, number: int, providers: Mapping[Channel, RecordingProvider]) -> None:
        self.waypost = waypost
        self.providers = providers
        self.key = f"k-{number}"
        self.who = {"email": f"quillon-{number}@example.com", "phone": f"+4915199{number:06d}"}
        waypost.clock = DEFAULT_START

    async def happens(self, name: str, properties: Row | None = None, **more: Any) -> None:
        await self.waypost.ingest_event(name, properties, **{**self.who, **more})

    async def adds(self, product: str, **more: Any) -> None:
        line = {"product_id": product, "name": f"A {product}", "price": 39.0, "cart_id": self.key}
        await self.happens("Product Added", line, traits=YES, **more)

    async def buys(self, *products: str, **more: Any) -> None:
        lines = [{"product_id": product, "name": f"A {product}", "price": 39.0} for product in products]
        order = {"order_id": self.key, "total": 39.0, "products": lines}
        await self.happens("Order Completed", order, traits=YES, **more)

    async def clicks(self, template: str) -> None:
        [message] = await self.waypost.wait_for_rows(
            "SELECT message_id FROM message WHERE template = $1 AND status = 'sent' "
            "AND profile_id = (SELECT profile_id FROM identifier WHERE value = $2)",
            template, self.who["email"],
        )  # fmt: skip
        await self.happens("Message Clicked", {"message_id": str(message["message_id"])})

    async def run(self, journey: str) -> Row:
        """This shopper's run, the youngest."""
        [found] = await self.waypost.fetch_rows(
            "SELECT r.* FROM run r JOIN identifier i ON i.profile_id = r.profile_id "
            "WHERE i.value = $1 AND r.journey = $2 ORDER BY r.entered_at DESC LIMIT 1",
            self.who["email"], journey,
        )  # fmt: skip
        return found

    async def passes(self, journey: str, length: timedelta) -> None:
        await self.waypost.advance_run(await self.run(journey), length)


@dataclass(frozen=True)
class ReplayCase:
    """A tale's name, journey, and how its run ends; None: it is left waiting."""

    name: str
    journey: str
    outcome: str | None
    tell: Callable[[ReplayScenario], Awaitable[None]]


TALES: list[ReplayCase] = []


def tale(journey: str, outcome: str | None) -> Callable[[Callable[[ReplayScenario], Awaitable[None]]], None]:
    """Register a tale under its function's name."""

    def register(tell: Callable[[ReplayScenario], Awaitable[None]]) -> None:
        TALES.append(ReplayCase(f"{journey}.{tell.__name__}", journey, outcome, tell))

    return register
