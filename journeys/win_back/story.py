"""Win back a customer who has been away for long: a hello, an offer, a goodbye; over at any purchase."""

from enum import StrEnum

from journeys.vocabulary import EMAIL, PERSON, SMS, After, Journey, days, goal, journey
from profiles.events import CustomerLapsed, MessageClicked, OrderCompleted


class Outcome(StrEnum):
    """How the story may end by itself; ``won_back`` comes from a purchase."""

    ENGAGED = "engaged"
    SUNSET = "sunset"


@journey(
    starts_on=CustomerLapsed,
    keyed_by=PERSON,
    ends_on=goal(OrderCompleted, outcome="won_back"),
    reentry=After(days(180)),
)
class WinBack(Journey):
    async def run(self, entry: CustomerLapsed) -> Outcome:
        hello = await self.send("we_miss_you", promoting=await self.suggestions(limit=3))
        if not await self.wait_for(MessageClicked, of=hello, within=days(7)):
            await self.send("win_back_offer", promoting=None, prefer=(SMS, EMAIL))
        if await self.wait_for(MessageClicked, within=days(14)):
            return Outcome.ENGAGED
        await self.send("goodbye", promoting=None)
        return Outcome.SUNSET
