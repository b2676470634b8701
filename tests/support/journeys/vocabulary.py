"""An activity of an author's own."""

from datetime import time

from temporalio import activity

from journeys.vocabulary import (
    EMAIL,
    PERSON,
    SMS,
    Journey,
    Profile,
    Weekday,
    days,
    hours,
    if_not_seen,
    journey,
    ticket_is_open,
)
from profiles.events import MessageClicked, OrderDelivered, OrderFulfilled, ProductAdded, ProductViewed


@activity.defn
async def points_of(customer_id: str) -> int:
    """Loyalty points; as many as the id is long."""
    return len(customer_id)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Both(Journey):
    """Waits for two things, in whatever order."""

    async def run(self, entry: ProductViewed) -> str:
        both = await self.wait_for_all(OrderFulfilled, OrderDelivered, within=days(3))
        if both is None:
            late = await self.wait_for(OrderFulfilled, within=hours(0))
            return "neither" if late is None else f"only {late.order_id}"
        fulfilled, delivered = both
        return f"{fulfilled.order_id} then {delivered.order_id}"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class OnMonday(Journey):
    """Sleeps until a local hour of a weekday, and says when it woke."""

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep_until(time(9, 30), weekday=Weekday.MONDAY)
        return self.now().isoformat()


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Patient(Journey):
    """Holds while a ticket is open."""

    async def run(self, entry: ProductViewed) -> str:
        return "clear" if await self.hold_while(ticket_is_open, within=days(4)) else "still open"


@journey(starts_on=ProductAdded, keyed_by="cart_id", hold_while=ticket_is_open)
class Held(Journey):
    """Its reminder waits while a ticket is open."""

    async def run(self, entry: ProductAdded) -> str:
        sent = await self.send("cart_reminder", promoting=self.cart.items, expires=days(10))
        return type(sent).__name__


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class OrBySms(Journey):
    """Says it by SMS as well where the mail is not seen, and waits for a click on either."""

    async def run(self, entry: ProductAdded) -> str:
        sent = await self.send(
            "cart_reminder",
            promoting=self.cart.items,
            prefer=(EMAIL,),
            fallback=if_not_seen(within=hours(6), then=SMS),
        )
        clicked = await self.wait_for(MessageClicked, of=sent, within=days(2))
        return f"{type(sent).__name__} {'clicked' if clicked else 'alone'}"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class AsItSuits(Journey):
    """Leaves the channel to the person, twice."""

    async def run(self, entry: ProductAdded) -> str:
        await self.send("cart_reminder", promoting=self.cart.items)
        await self.send("cart_offer", promoting=self.cart.items)
        return "said"


class Member(Profile):
    """What the shop knows of its members."""

    plan: str = "none"
    visits: int = 0


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Knowing(Journey):
    """Says what it knows."""

    async def run(self, entry: ProductViewed) -> str:
        who = await self.profile(Member)
        lamp = who.bought("lamp", within=days(30))
        return f"{who.plan} {who.visits} {who.orders} {who.spent:g} {who.zone} {lamp is not None}"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Trying(Journey):
    """An experiment, a draw and a best of several."""

    async def run(self, entry: ProductAdded) -> str:
        arm = self.experiment("offer", offer=50, control=50)
        assert self.experiment("offer", offer=50, control=50) == arm
        tone = self.choose("tone", {"warm": 3, "dry": 1})
        best = self.choose("dearest", self.cart.items, by=lambda item: item.price or 0.0)
        await self.send("cart_reminder", promoting=self.cart.items)
        return f"{arm} {tone} {best.key if best else None}"


@journey(starts_on=ProductAdded, keyed_by="cart_id", holdout=100)
class HeldOut(Journey):
    """Reaches nobody, and goes on all the same."""

    async def run(self, entry: ProductAdded) -> str:
        sent = await self.send("cart_reminder", promoting=self.cart.items)
        await self.retarget(self.cart.items, audience="left-in-cart")
        return "sent" if sent else "went on"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Loyal(Journey):
    """Asks an activity of the author's own."""

    async def run(self, entry: ProductViewed) -> str:
        points = await self.perform(points_of, self.customer_id)
        return f"{points} points"
