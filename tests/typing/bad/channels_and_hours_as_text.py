"""Channels are EMAIL, SMS and PUSH, an hour of the day is a time, and a day of the week a Weekday."""

from datetime import time

from journeys.vocabulary import Journey, hours, if_not_delivered, if_not_seen, journey
from profiles.events import ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Story(Journey):
    async def run(self, entry: ProductAdded) -> str:
        # E: Argument "prefer" to "send" of "Journey" has incompatible type "tuple[str]"…  [arg-type]
        await self.send("offer", promoting=None, prefer=("sms",))
        # E: Argument "prefer" to "send" of "Journey" has incompatible type "str"…  [arg-type]
        await self.send("offer", promoting=None, prefer="sms")
        # E: Argument "then" to "if_not_seen" has incompatible type "str"…  [arg-type]
        await self.send("offer", promoting=None, fallback=if_not_seen(within=hours(1), then="sms"))
        # E: Argument "fallback" to "send" of "Journey" has incompatible type "def if_not_del…  [arg-type]
        await self.send("offer", promoting=None, fallback=if_not_delivered)
        # E: Argument 1 to "sleep_until" of "Waiting" has incompatible type "str"…  [arg-type]
        await self.sleep_until("9:00")
        # E: Argument 1 to "sleep_until" of "Waiting" has incompatible type "timedelta"…  [arg-type]
        await self.sleep_until(hours(9))
        # E: Argument "weekday" to "sleep_until" of "Waiting" has incompatible type "int"…  [arg-type]
        await self.sleep_until(time(9), weekday=0)
        return "done"
