"""A key made of a property that the event does not have, or of another event."""

from journeys.vocabulary import Journey, journey
from profiles.events import OrderCompleted, ProductViewed, TicketOpened


def by_order(event: OrderCompleted) -> str | None:
    return event.order_id


# E: "TicketOpened" has no attribute "ticket"; maybe "ticket_id"?  [attr-defined]
@journey(starts_on=TicketOpened, keyed_by=lambda e: e.ticket)
class ByATypo(Journey):
    async def run(self, entry: TicketOpened) -> str:
        return "done"


# E: Argument "keyed_by" to "journey" has incompatible type "Callable[[OrderCompleted…  [arg-type]
@journey(starts_on=TicketOpened, keyed_by=by_order)
class ByAnotherEvent(Journey):
    async def run(self, entry: TicketOpened) -> str:
        return "done"


# E: "ProductViewed" has no attribute "prize"; maybe "price"?  [attr-defined]
@journey(starts_on=ProductViewed, keyed_by=lambda e: str(e.prize))
class ByAnotherTypo(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"
