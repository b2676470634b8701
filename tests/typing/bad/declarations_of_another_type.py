"""Endings, re-entry and the rest of what a journey declares."""

from journeys.vocabulary import PERSON, Journey, days, goal, journey
from profiles.events import OrderCompleted, ProductViewed


# E: No overload variant of "journey"…  [call-overload]
@journey(starts_on=ProductViewed, keyed_by=PERSON, ends_on=OrderCompleted)
class EndsOnAnEvent(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# E: No overload variant of "journey"…  [call-overload]
@journey(starts_on=ProductViewed, keyed_by=PERSON, reentry=days(3))
class ReentryAsTime(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# E: No overload variant of "journey"…  [call-overload]
@journey(starts_on=ProductViewed, keyed_by=PERSON, on_merge="stop")
class NoSuchWord(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# E: Unexpected keyword argument "holdouts" for overloaded function "journey"…  [call-overload]
# E: No overload variant of "journey"…  [call-overload]
@journey(starts_on=ProductViewed, keyed_by=PERSON, holdouts=5)
class Misspelt(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# E: No overload variant of "journey" matches argument type "type[ProductViewed]"  [call-overload]
@journey(starts_on=ProductViewed)
class WithoutKey(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


# E: Argument 1 to "goal" has incompatible type "str"; expected "type[Never]"  [arg-type]
@journey(starts_on=ProductViewed, keyed_by=PERSON, ends_on=goal("Order Completed"))
class GoalByName(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
# E: Value of type variable "C" of function cannot be "type[NoJourney]"  [type-var]
class NoJourney:
    async def run(self, entry: ProductViewed) -> str:
        return "done"
