"""A checkout that is waited on with most words; its outcome depends on what happened, never on the order."""

from datetime import time

from journeys.vocabulary import PERSON, SMS, Journey, Once, days, goal, hours, if_not_seen, journey
from profiles.events import (
    CheckoutStarted,
    MessageClicked,
    MessageOpened,
    OrderCompleted,
    OrderDelivered,
    OrderFulfilled,
    ProductAdded,
)
from tests.support.journeys.load_test.effects import give_points


@journey(starts_on=CheckoutStarted, keyed_by=PERSON, ends_on=goal(OrderCompleted), reentry=Once())
class Thousand(Journey):
    async def run(self, entry: CheckoutStarted) -> str:
        arm = self.experiment("thousand", one=50, other=50)
        both = await self.wait_for_all(OrderFulfilled, OrderDelivered, within=days(3))
        await self.quiet(hours(2), of=(CheckoutStarted, ProductAdded))
        await self.sleep_until(time(9))
        # By now every repetition has come.
        again = await self.wait_for(OrderFulfilled, within=hours(0)) if both else None
        points = await self.perform(give_points, self.customer_id, attempt=hours(0.01))
        await self.retarget(entry.products, audience="thousand")
        sent = await self.send(
            "thousand_note", promoting=None, fallback=if_not_seen(within=hours(6), then=SMS)
        )
        clicked = await self.wait_for_all(MessageOpened, MessageClicked, of=sent, within=days(1))
        parts = (
            arm,
            "neither" if both is None else "both" if again is None else "twice",
            f"{points} points",
            type(sent).__name__,
            "clicked" if clicked else "alone",
        )
        return ", ".join(parts)
