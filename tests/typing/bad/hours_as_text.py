"""An hour of the day is a time, and a day of the week a Weekday."""

from datetime import time

from journeys.vocabulary import PERSON, Journey, hours, journey
from profiles.events import ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: Argument 1 to "sleep_until" of "Waiting" has incompatible type "str"…  [arg-type]
        await self.sleep_until("9:00")
        # E: Argument 1 to "sleep_until" of "Waiting" has incompatible type "timedelta"…  [arg-type]
        await self.sleep_until(hours(9))
        # E: Argument "weekday" to "sleep_until" of "Waiting" has incompatible type "int"…  [arg-type]
        await self.sleep_until(time(9), weekday=0)
        return "done"
