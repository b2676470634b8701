"""Win back who stays away longer than they used to: a hello, an offer if it takes one, a goodbye."""

from enum import StrEnum

from temporalio import workflow

from journeys.vocabulary import (
    EMAIL,
    PERSON,
    SMS,
    After,
    Journey,
    Withheld,
    days,
    goal,
    journey,
    return_is_open,
    ticket_is_open,
)
from profiles.events import (
    CustomerLapsed,
    MessageClicked,
    OrderCompleted,
    PreferencesSaved,
    ProductAdded,
    ProductViewed,
)


class Outcome(StrEnum):
    """Outcomes of the story; ``won_back`` comes from a purchase."""

    BACK = "back"
    ENGAGED = "engaged"
    STAYING = "staying"
    NOT_CONTACTED = "not_contacted"
    SUNSET = "sunset"


@journey(
    starts_on=CustomerLapsed,
    keyed_by=PERSON,
    ends_on=goal(OrderCompleted, outcome="won_back"),
    hold_while=(ticket_is_open, return_is_open),
    reentry=After(days(180)),
)
class WinBack(Journey):
    async def run(self, entry: CustomerLapsed) -> Outcome:
        away = {"days": entry.days_since_order}
        suggested = await self.suggestions(limit=3)
        hello = await self.send("we_miss_you", promoting=suggested or None, context=away)
        if isinstance(hello, Withheld) and workflow.patched("no goodbye without a hello"):
            return Outcome.NOT_CONTACTED
        if await self.wait_for(MessageClicked, ProductViewed, ProductAdded, within=days(7)):
            # These customers return without an incentive.
            await self.wait_for(ProductAdded, within=days(14))
            return Outcome.BACK
        if self.experiment("win-back-incentive", offer=80, control=20) == "offer":
            await self.send("win_back_offer", promoting=None, prefer=(SMS, EMAIL))
        if await self.wait_for(MessageClicked, ProductViewed, ProductAdded, within=days(14)):
            return Outcome.ENGAGED
        if not await self.send("goodbye", promoting=None, prefer=(EMAIL,)):
            return Outcome.SUNSET
        if await self.wait_for(MessageClicked, ProductViewed, PreferencesSaved, within=days(14)):
            return Outcome.STAYING
        await self.opt_out(EMAIL)
        return Outcome.SUNSET
