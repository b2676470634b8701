"""A run is held by a case, made by ``holding``; an event alone says not when the case is over."""

from journeys.vocabulary import PERSON, Journey, holding, journey, ticket_is_open
from profiles.events import ProductViewed, TicketOpened

# E: Missing named argument "until" for "holding"  [call-arg]
ticket = holding(TicketOpened)


# E: No overload variant of "journey"…  [call-overload]
@journey(starts_on=ProductViewed, keyed_by=PERSON, hold_while=TicketOpened)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: Argument 1 to "hold_while" of "Waiting" has incompatible type "type[TicketOpened]"…  [arg-type]
        await self.hold_while(TicketOpened)
        # E: Argument 1 to "hold_while" of "Waiting" has incompatible type "tuple[Hold]"…  [arg-type]
        await self.hold_while((ticket_is_open,))
        return "done"
