"""A run's key: a property's name, PERSON, or a function of the event, which is typed by what starts it."""

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import Event, OrderCompleted, OrderDelivered, TicketOpened


def by_order(event: OrderCompleted | OrderDelivered) -> str | None:
    """Works for either."""
    return event.order_id


def by_anything(event: Event) -> str | None:
    """A function of any event serves every journey."""
    return event.cart_id


@journey(starts_on=TicketOpened, keyed_by=lambda e: e.ticket_id)
class ByLambda(Journey):
    async def run(self, entry: TicketOpened) -> str:
        return entry.ticket_id or ""


@journey(starts_on=(OrderCompleted, OrderDelivered), keyed_by=by_order)
class ByFunction(Journey):
    async def run(self, entry: OrderCompleted | OrderDelivered) -> str:
        return entry.order_id or ""


@journey(starts_on=OrderDelivered, keyed_by=by_order)
class ByWiderFunction(Journey):
    async def run(self, entry: OrderDelivered) -> str:
        return entry.order_id or ""


@journey(starts_on=(OrderCompleted, OrderDelivered), keyed_by=by_anything)
class ByAnything(Journey):
    async def run(self, entry: OrderCompleted | OrderDelivered) -> str:
        return entry.order_id or ""


@journey(starts_on=TicketOpened, keyed_by="ticket_id")
class ByProperty(Journey):
    async def run(self, entry: TicketOpened) -> str:
        return entry.ticket_id or ""


@journey(starts_on=TicketOpened, keyed_by=PERSON)
class ByPerson(Journey):
    async def run(self, entry: TicketOpened) -> str:
        return entry.ticket_id or ""
