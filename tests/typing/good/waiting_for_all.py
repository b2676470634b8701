"""wait_for_all gives a tuple in the order asked, or None."""

from typing import assert_type

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import OrderCompleted, OrderDelivered, OrderFulfilled, ProductViewed, ReviewSubmitted


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class All(Journey):
    async def run(self, entry: ProductViewed) -> str:
        two = await self.wait_for_all(OrderFulfilled, OrderDelivered, within=days(3))
        assert_type(two, tuple[OrderFulfilled, OrderDelivered] | None)
        three = await self.wait_for_all(OrderFulfilled, OrderDelivered, OrderCompleted)
        assert_type(three, tuple[OrderFulfilled, OrderDelivered, OrderCompleted] | None)
        four = await self.wait_for_all(OrderFulfilled, OrderDelivered, OrderCompleted, ReviewSubmitted)
        assert_type(four, tuple[OrderFulfilled, OrderDelivered, OrderCompleted, ReviewSubmitted] | None)
        if four is None:
            return "not all"
        *_, review = four
        assert_type(review.rating, float | None)
        return f"{four[1].order_id} {review.rating}"
