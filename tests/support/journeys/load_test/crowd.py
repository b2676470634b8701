"""Shoppers whose every event comes three times, in any order, while the worker is killed."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from temporalio.service import RPCError, RPCStatusCode

from authoring.testing.environment import Row, Waypost
from profiles.ingest.event_store import IngestStatus
from profiles.state.event_records import IncomingEvent

TIMES = 3
"""How often each event comes."""

YES = {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"}

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0}

UNTIL_TOLD = timedelta(hours=22)
"""From noon to an hour after nine in the morning, when the message goes out."""

DAY = timedelta(days=1)

Happening = tuple[str, dict[str, Any]]
"""An event's name and its properties."""


@dataclass
class LoadShopper:
    """What one person does, and what came of it."""

    number: int
    buys: bool
    receives: bool
    clicks: bool
    others: tuple[Happening, ...]
    """Further events that bear on nothing."""
    run: Row = field(default_factory=dict)
    events: dict[str, IncomingEvent] = field(default_factory=dict)
    """All that was acknowledged, by the channel's id."""

    @property
    def who(self) -> dict[str, Any]:
        """Their identifiers."""
        return {"email": f"p{self.number}@example.com", "phone": f"+49151{12_000_000 + self.number}"}

    @property
    def orders(self) -> list[Happening]:
        """What happens before any time has passed, besides the entry."""
        order = {"order_id": f"o-{self.number}"}
        found = list(self.others)
        found += [("Order Fulfilled", order)] if self.receives or self.number % 2 else []
        found += [("Order Delivered", order)] if self.receives else []
        found += (
            [("Order Completed", {"order_id": f"x-{self.number}", "products": [LAMP]})] if self.buys else []
        )
        return found


def shoppers(count: int, seed: int) -> list[LoadShopper]:
    """As many people, each a little different."""
    chance = random.Random(seed)
    extra: list[Happening] = [
        ("Product Added", LAMP),
        ("Checkout Started", {"products": [LAMP]}),
        ("Product Added", LAMP),
    ]
    return [
        LoadShopper(
            number,
            buys=chance.random() < 0.2,
            receives=chance.random() < 0.6,
            clicks=chance.random() < 0.5,
            others=tuple(one for one in extra if chance.random() < 0.4),
        )
        for number in range(count)
    ]


class Crowd:
    """Lives all their lives, a few at once."""

    def __init__(self, shop: Waypost, seed: int, *, at_once: int = 20) -> None:
        self.shop = shop
        self.steps = 0
        """How far all of them are together: the measure by which workers are killed."""
        self._stepped = asyncio.Event()
        self.repeated = 0
        """Signals sent again by hand."""
        self._chance = random.Random(seed)
        self._turns = asyncio.Semaphore(at_once)

    async def live(self, people: list[LoadShopper]) -> None:
        """Until every run has ended. A relay delivers all the while."""
        relay = asyncio.create_task(self._deliver())
        lives = asyncio.create_task(self._live_all(people))
        done, _ = await asyncio.wait({relay, lives}, return_when=asyncio.FIRST_COMPLETED)
        relay.cancel()
        await asyncio.wait([relay])
        for ended in done:
            ended.result()

    async def _live_all(self, people: list[LoadShopper]) -> None:
        await asyncio.gather(*(self._live(one) for one in people))

    async def comes_to(self, steps: int) -> None:
        """Until they have taken so many steps."""
        while self.steps < steps:
            self._stepped.clear()
            await self._stepped.wait()

    def _step(self) -> None:
        self.steps += 1
        self._stepped.set()

    async def _deliver(self) -> None:
        while True:
            if not await self.shop.relay.deliver_batch():
                await asyncio.sleep(0.02)

    async def _live(self, one: LoadShopper) -> None:
        async with self._turns:
            await self._take(one, [("Checkout Started", {"products": [LAMP]})])
            [one.run] = await self.shop.wait_for_rows(
                "SELECT * FROM run WHERE temporal_run_id IS NOT NULL AND entry_event = "
                "(SELECT event_id FROM event WHERE id = $1)",
                f"{one.number}-0",
                timeout_s=60,
            )
            await self._take(one, one.orders)
            await self._again(one)
            going_on = await self._forward(one, UNTIL_TOLD + (timedelta() if one.receives else 3 * DAY))
            if going_on and one.clicks:
                await self._click(one)
            await self._forward(one, 3 * DAY)
            await self.shop.run_result(one.run, timeout_s=120)
            self._step()

    async def _take(self, one: LoadShopper, happenings: list[Happening]) -> None:
        """Every event three times, shuffled, by three clients at once; each is acknowledged."""
        events = []
        for name, properties in happenings:
            event_id = f"{one.number}-{len(one.events)}"
            event = self.shop.build_event(name, properties, traits=YES, event_id=event_id, **one.who)
            one.events[event_id] = event
            events.append(event)
        copies = events * TIMES
        self._chance.shuffle(copies)
        answers = await asyncio.gather(*(self.shop.ingest(copies[n::TIMES]) for n in range(TIMES)))
        statuses = [answer.status for batch in answers for answer in batch]

        assert statuses.count(IngestStatus.ACCEPTED) == len(events)
        assert statuses.count(IngestStatus.DUPLICATE) == len(events) * (TIMES - 1)
        self._step()

    async def _again(self, one: LoadShopper) -> None:
        """Every signal that the relay has sent, twice more and in another order, past Waypost."""
        lane = one.run["run_id"]
        await self.shop.wait_for_rows(
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE lane = $1 AND delivered_at IS NULL)",
            lane,
            timeout_s=60,
        )
        rows = await self.shop.fetch_rows(
            "SELECT name, coalesce(payload -> 'event', payload)::text AS payload FROM outbox "
            "WHERE lane = $1 AND kind IN ('start', 'signal')",
            lane,
        )
        copies = rows * (TIMES - 1)
        self._chance.shuffle(copies)
        handle = self.shop.handle(one.run)
        for row in copies:
            try:
                await handle.signal(row["name"], orjson.loads(row["payload"]))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return
            self.repeated += 1
        self._step()

    async def _click(self, one: LoadShopper) -> None:
        """They open the mail and follow it, if it is known to have gone out."""
        sent = await self.shop.fetch_rows(
            "SELECT message_id::text AS id FROM message WHERE run_id = $1 AND status = 'sent' "
            "AND channel = 'email'",
            one.run["run_id"],
        )
        if sent:
            about = {"message_id": sent[0]["id"]}
            await self._take(one, [("Message Opened", about), ("Message Clicked", about)])
            await self._again(one)

    async def _forward(self, one: LoadShopper, length: timedelta) -> bool:
        """Time passes for one run; False where it has ended."""
        try:
            return await self.shop.skipper.fast_forward(self.shop.handle(one.run), length)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        finally:
            self._step()
