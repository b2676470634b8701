"""Declarations that start nothing, end nothing, or mean something else."""

from journeys.vocabulary import (
    PERSON,
    After,
    AtMost,
    Journey,
    cart_is_empty_or_bought,
    days,
    exit_on,
    goal,
    journey,
)
from profiles.events import OrderCompleted, OrderEvent, ProductAdded, ProductViewed, TicketOpened

# ruff: noqa: E501 - a fault stands beside its line


# fault: 'price drop/now' cannot be a journey's name
@journey(starts_on=ProductViewed, keyed_by=PERSON, name="price drop/now")
class BadName(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# fault: OrderEvent has no event name, so it never comes; name one of OrderCancelled, OrderCompleted, OrderDelivered
@journey(starts_on=OrderEvent, keyed_by="order_id")
class StartsOnABase(Journey):
    async def run(self, entry: OrderEvent) -> str:
        return "done"


@journey(
    starts_on=[ProductViewed],  # fault: starts_on takes a tuple, got a list
    keyed_by=PERSON,
)
class StartsOnAList(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on="Product Viewed",  # fault: starts_on: 'Product Viewed' is a name; give the class, ProductViewed
    keyed_by=PERSON,
)
class StartsOnAName(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    # fault: ends_on takes endings, got OrderCompleted; as in ends_on=goal(OrderCompleted)
    ends_on=OrderCompleted,
)
class EndsOnAnEvent(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    # fault: an ending names no event, so it ends nothing; as in goal(OrderCompleted)
    # fault: ends_on: expected a class of events such as OrderCompleted, got int
    ends_on=(goal(), exit_on(int)),
)
class EndsOnNothing(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    # fault: cart_is_empty_or_bought ends nothing here: the journey is not about a cart
    ends_on=cart_is_empty_or_bought,
)
class EndsWithACartItHasNot(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    also_listens_to=TicketOpened,  # fault: also_listens_to takes a tuple, got TicketOpened; add a comma
    hold_while=TicketOpened,  # fault: hold_while takes cases such as ticket_is_open, got TicketOpened
)
class ListensToOne(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    reentry=AtMost(0),  # fault: reentry: AtMost(0) admits no run; as in AtMost(1)
    holdout=120,  # fault: holdout=120: expected a percentage, from 0 to 100
)
class LetsNobodyIn(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=PERSON,
    reentry=After(days(-3)),  # fault: reentry: After a negative time
    holdout=-1,  # fault: holdout=-1: expected a percentage
)
class BeforeItsTime(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(
    starts_on=(ProductAdded, OrderCompleted),
    keyed_by="ordr_id",  # fault: keyed_by='ordr_id': OrderCompleted declares no such property  # fault: ProductAdded
)
class BadKey(Journey):
    async def run(self, entry: ProductAdded | OrderCompleted) -> str:
        return "done"


@journey(
    starts_on=ProductViewed,
    keyed_by=lambda: "all",  # fault: keyed_by=the lambda takes (); it is given one event
    where=lambda event, other: True,  # fault: where=the lambda takes (event, other); it is given one event
)
class BadFunctions(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


async def cheap(event: ProductViewed) -> bool:
    # fault: ProductViewed has no property 'prise'; did you mean 'price'? available: at,
    return event.prise < 10


@journey(
    starts_on=ProductViewed,
    keyed_by=lambda viewed: viewed.sku_,  # fault: ProductViewed has no property 'sku_'; did you mean 'sku'?
    where=cheap,  # fault: where=cheap is async, and is never awaited; write def
)
class BadProperties(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


JOURNEYS = (
    BadName, StartsOnABase, StartsOnAList, StartsOnAName, EndsOnAnEvent, EndsOnNothing, EndsWithACartItHasNot,
    ListensToOne, LetsNobodyIn, BeforeItsTime, BadKey, BadFunctions, BadProperties,
)  # fmt: skip
