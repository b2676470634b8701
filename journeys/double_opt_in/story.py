"""Ask the owner of an address to confirm a consent that only a page has sent. Once, and plainly."""

from enum import StrEnum

from journeys.vocabulary import EMAIL, SMS, Journey, Once, days, journey
from profiles.events import OptInRequested


class Outcome(StrEnum):
    """Outcomes of the story. The consent itself comes from the page behind the link."""

    ASKED = "asked"
    NOT_ASKED = "not_asked"


@journey(starts_on=OptInRequested, keyed_by="request_id", reentry=Once())
class DoubleOptIn(Journey):
    async def run(self, entry: OptInRequested) -> Outcome:
        channel = SMS if entry.asks_by == "sms" else EMAIL
        # A visitor who asked for it expects the message now. After a day it would be a surprise.
        asked = await self.send("confirm_opt_in", promoting=None, prefer=(channel,), expires=days(1))
        return Outcome.ASKED if asked else Outcome.NOT_ASKED
