"""quiet, sleep and sleep_until give nothing; hold_while says whether the way is free."""

from datetime import datetime, time
from typing import assert_type

from journeys.vocabulary import (
    PERSON,
    Hold,
    Journey,
    Weekday,
    days,
    holding,
    hours,
    journey,
    minutes,
    return_is_open,
    ticket_is_open,
    weeks,
)
from profiles.events import Event, OrderDelivered, OrderFulfilled, ProductAdded, ProductRemoved, ProductViewed

parcel_is_on_its_way = holding(OrderFulfilled, until=OrderDelivered, by="order_id", says="a parcel")

assert_type(parcel_is_on_its_way, Hold)

CART_EVENTS: tuple[type[Event], ...] = (ProductAdded, ProductRemoved)


@journey(starts_on=ProductViewed, keyed_by=PERSON, hold_while=(ticket_is_open, parcel_is_on_its_way))
class Slow(Journey):
    async def run(self, entry: ProductViewed) -> str:
        await self.quiet(hours(1), of=(ProductAdded, ProductRemoved))
        await self.quiet(minutes(5), of=[ProductAdded])
        await self.quiet(weeks(1), of=CART_EVENTS)
        await self.sleep(days(2))
        await self.sleep_until(time(9))
        await self.sleep_until(time(9, 30), weekday=Weekday.MONDAY)
        free = await self.hold_while(ticket_is_open, return_is_open, within=days(14))
        assert_type(free, bool)
        assert_type(self.now(), datetime)
        return "free" if free else "held"


@journey(starts_on=ProductViewed, keyed_by=PERSON, hold_while=ticket_is_open)
class HeldByOne(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "free" if await self.hold_while(parcel_is_on_its_way) else "held"
