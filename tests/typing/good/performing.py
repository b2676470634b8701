"""perform takes and gives what the author's own activity does."""

from dataclasses import dataclass
from typing import assert_type

from temporalio import activity

from journeys.vocabulary import PERSON, Journey, hours, journey, minutes
from profiles.events import ProductViewed


@dataclass
class Ask:
    customer_id: str
    limit: int = 3


@dataclass
class Points:
    balance: int


@activity.defn
async def read_points(ask: Ask) -> Points:
    return Points(ask.limit)


@activity.defn
async def ring_the_bell() -> None:
    return None


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Performing(Journey):
    async def run(self, entry: ProductViewed) -> str:
        points = await self.perform(read_points, Ask(self.customer_id), within=hours(2))
        assert_type(points, Points)
        await self.perform(ring_the_bell, attempt=minutes(1))
        return str(points.balance)
