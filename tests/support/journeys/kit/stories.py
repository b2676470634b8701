"""Journeys that the tests of the testing kit tell; their messages lie beside them."""

from temporalio import activity

from journeys.vocabulary import (
    EMAIL,
    PERSON,
    SMS,
    Journey,
    cart_is_empty_or_bought,
    days,
    exit_on,
    hours,
    journey,
)
from profiles.events import (
    Event,
    MessageClicked,
    OrderCompleted,
    OrderDelivered,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
)


@journey(starts_on=ProductAdded, keyed_by="cart_id", ends_on=cart_is_empty_or_bought)
class Basket(Journey):
    """A cart left behind: a mail, an ad, and an SMS a day later."""

    async def run(self, entry: ProductAdded) -> str:
        await self.quiet(hours(1), of=(ProductAdded,))
        reminder = await self.send("reminder", promoting=self.cart.items, prefer=(EMAIL, SMS))
        await self.retarget(self.cart.items, audience="left-behind")
        if await self.wait_for(MessageClicked, of=reminder, within=days(1)):
            return "engaged"
        await self.send("offer", promoting=self.cart.items, prefer=(SMS, EMAIL))
        return "nudged"


@journey(starts_on=OrderCompleted, keyed_by="order_id", ends_on=exit_on(OrderRefunded, outcome="refunded"))
class Parcel(Journey):
    """An order: a receipt at once, and a question five days after it came."""

    async def run(self, entry: OrderCompleted) -> str:
        await self.send("receipt", promoting=None, showing=entry.products, prefer=(EMAIL,))
        if not await self.wait_for(OrderDelivered, within=days(7)):
            return "lost"
        await self.sleep(days(5))
        await self.send("how_is_it", promoting=None, showing=entry.products, prefer=(EMAIL,))
        await self.sleep(days(9))
        return "done"


class StarGiven(Event, name="Star Given"):
    """An event that only these tests know."""

    stars: int


@activity.defn
async def loyalty_points(customer_id: str) -> int:
    """Asks a system that is not there in a test."""
    raise RuntimeError(f"there is no system to ask about {customer_id}")


@journey(starts_on=StarGiven, keyed_by=PERSON)
class Stars(Journey):
    """Waits for a second star, for as long as it takes."""

    async def run(self, entry: StarGiven) -> str:
        second = await self.wait_for(StarGiven)
        return f"{entry.stars} and {second.stars if second else 0}"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Points(Journey):
    """Asks another system."""

    async def run(self, entry: ProductViewed) -> str:
        points = await self.perform(loyalty_points, self.customer_id)
        return "rich" if points > 100 else "poor"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Raises(Journey):
    """Has a mistake in its story, after an hour."""

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep(hours(1))
        kinds = {"lamp": "light"}
        return kinds[entry.product_id or ""]


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Misspelt(Journey):
    """Sends a message of which there is no template."""

    async def run(self, entry: ProductViewed) -> str:
        await self.send("noet", promoting=None, prefer=(SMS,))
        return "sent"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class AfterOneAndThree(Journey):
    """Sends after one hour, and after three."""

    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(hours(1))
        await self.send("note", promoting=self.cart.items, prefer=(SMS,))
        await self.sleep(hours(2))
        await self.send("note", promoting=self.cart.items, prefer=(SMS,))
        return "sent twice"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class AfterTwo(Journey):
    """Sends after two hours, and waits for a click."""

    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(hours(2))
        note = await self.send("note", promoting=self.cart.items, prefer=(SMS,))
        clicked = await self.wait_for(MessageClicked, of=note, within=days(2))
        return "clicked" if clicked else "alone"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class AfterFour(Journey):
    """Sends after four hours, or as soon as there is a slot."""

    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(hours(4))
        note = await self.send("note", promoting=self.cart.items, prefer=(SMS,), when_capped="wait")
        return type(note).__name__


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Tried(Journey):
    """Only the arm "offer" is written to."""

    async def run(self, entry: ProductAdded) -> str:
        if self.experiment("offer", offer=50, control=50) == "offer":
            await self.send("note", promoting=self.cart.items, prefer=(SMS,))
        return "done"


@journey(starts_on=ProductAdded, keyed_by="cart_id", holdout=50)
class Measured(Journey):
    """Half of all people get nothing, to measure against."""

    async def run(self, entry: ProductAdded) -> str:
        await self.send("note", promoting=self.cart.items, prefer=(SMS,))
        return "done"
