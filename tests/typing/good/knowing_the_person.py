"""profile() gives what every person has; with a class of one's own, its traits as they are declared."""

from datetime import timedelta
from typing import assert_type

from activities.contracts import PurchasedItem
from journeys.vocabulary import EMAIL, PERSON, Journey, Profile, days, journey
from profiles.events import ProductViewed


class Member(Profile):
    plan: str | None = None
    visits: int = 0


class Dog(Member):
    breed: str = "mixed"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Knowing(Journey):
    async def run(self, entry: ProductViewed) -> str:
        anyone = await self.profile()
        assert_type(anyone, Profile)
        assert_type(anyone.orders, int)
        assert_type(anyone.median_gap, timedelta | None)
        assert_type(anyone.bought("lamp", within=days(30)), PurchasedItem | None)
        member = await self.profile(Member)
        assert_type(member, Member)
        assert_type(member.plan, str | None)
        assert_type(member.visits, int)
        dog = await self.profile(Dog)
        assert_type(dog.breed, str)
        assert_type(dog.plan, str | None)
        return "by mail" if EMAIL in member.reachable else dog.breed
