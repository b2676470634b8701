"""Journeys that name a customer wherever a run can: in errors, details and results."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import CheckoutStarted, ProductViewed

EMAIL = "zephyrine.okonkwo@canary.example"

PHONE = "+4915198765432"

NAME = "Zephyrine Okonkwo"


class LookupFailed(Exception):
    """An author's own error."""


@activity.defn
async def look_up_customer(run_id: str) -> dict[str, object]:
    """Fail in two ways, then return what a run must not know."""
    match activity.info().attempt:
        case 1:
            raise LookupFailed(f"{NAME} has no account")
        case 2:
            try:
                raise KeyError(NAME)
            except KeyError as error:
                raise ApplicationError(f"no account of {EMAIL}", {"who": EMAIL, "call": PHONE}) from error
        case _:
            return {"mail": EMAIL, "calls": [PHONE, "0049 151 98765432"], EMAIL: 1, "found": run_id}


@journey(starts_on=CheckoutStarted, keyed_by=PERSON)
class LooksUp(Journey):
    """Performs the activity, then fails."""

    async def run(self, entry: CheckoutStarted) -> str:
        found = await self.perform(look_up_customer, self.customer_id)
        raise ApplicationError(f"found {found} of {EMAIL}", {"who": EMAIL}, non_retryable=True)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Raises(Journey):
    """Its first task fails."""

    async def run(self, entry: ProductViewed) -> str:
        raise LookupFailed(f"{NAME}, {EMAIL}")


JOURNEYS = (LooksUp, Raises)

ACTIVITIES = (look_up_customer,)
