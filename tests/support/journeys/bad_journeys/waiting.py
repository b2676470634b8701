"""Waits for what never comes, and for no time at all."""

from datetime import timedelta

from journeys.vocabulary import (
    PERSON,
    SMS,
    Journey,
    days,
    hours,
    if_not_delivered,
    if_not_seen,
    journey,
    minutes,
    ticket_is_open,
)
from profiles import events
from profiles.events import MessageClicked, MessageEvent, OrderCompleted, ProductViewed, TicketOpened

NO_TIME = timedelta(0)


async def arrival(story: Journey) -> bool:
    # fault: self.wait_for(OrderDelivered) never sees one: the run does not receive Order Delivered
    return bool(await story.wait_for(events.OrderDelivered))


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class NeverComes(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # fault: MessageEvent has no event name, so it never comes; name one of
        await self.wait_for(MessageEvent)
        # fault: 'Order Completed' is a name; give the class, OrderCompleted
        await self.wait_for("Order Completed")
        await self.wait_for("Order Complete")  # fault: got 'Order Complete'; did you mean 'Order Completed'?
        # fault: expected a class of events such as OrderCompleted
        await self.wait_for_all(OrderCompleted, timedelta)
        await self.wait_for()  # fault: self.wait_for() names no event
        await self.quiet(hours(1), of=())  # fault: self.quiet(of=…) names no event
        # fault: self.quiet(of=…) takes a tuple, got OrderCompleted
        await self.quiet(hours(1), of=OrderCompleted)
        await self.hold_while(TicketOpened)  # fault: self.hold_while takes cases, got the event TicketOpened
        await arrival(self)
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class NoTime(Journey):
    async def run(self, entry: ProductViewed) -> str:
        await self.sleep(hours(0))  # fault: self.sleep: length is hours(0), no time
        await self.sleep(NO_TIME)  # fault: self.sleep: length is NO_TIME, no time
        await self.sleep(5)  # fault: self.sleep: length is a length of time, got 5; as in minutes(45)
        await self.sleep(-minutes(5))  # fault: self.sleep: length is -minutes(5), a negative time
        await self.sleep_until(9)  # fault: self.sleep_until takes a time of day, got 9; as in time(9)
        await self.quiet(length=timedelta(hours=-1), of=(OrderCompleted,))  # fault: self.quiet: length is
        # fault: self.wait_for: within is days(-1), a negative
        await self.wait_for(OrderCompleted, within=days(-1))
        # fault: within is a length of time, got 3
        await self.wait_for_all(OrderCompleted, ProductViewed, within=3)
        # fault: self.hold_while: within is days(0), no time
        await self.hold_while(ticket_is_open, within=days(0))
        # fault: self.retarget: until is days(-2), a negative time
        await self.retarget((), "left", until=days(-2))
        await self.send(
            "receipt",
            promoting=None,
            expires=hours(0),  # fault: self.send: expires is hours(0), no time
            # fault: if_not_seen: within is hours(-6), a negative
            fallback=if_not_seen(within=hours(-6), then=SMS),
        )
        # fault: if_not_delivered: within is hours(0), no time
        late = if_not_delivered(within=hours(0), then=SMS)
        await self.send("receipt", promoting=None, fallback=late)
        # With no time to wait, it looks at what has come already: no fault.
        if await self.wait_for(MessageClicked, within=hours(0)):
            return "clicked"
        return "done"


JOURNEYS = (NeverComes, NoTime)
