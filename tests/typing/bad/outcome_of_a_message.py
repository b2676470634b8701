"""Only a message that was sent has an id for sure, and all three outcomes are to be told apart."""

from typing import assert_never

from journeys.vocabulary import Journey, Message, Sent, Withheld, journey
from profiles.events import ProductAdded


def told(message: Message) -> str:
    match message:
        case Sent():
            return message.message_id
        case Withheld():
            # E: Incompatible return value type (got "Reason | None", expected "str")  [return-value]
            return message.reason
        case _:
            # E: Argument 1 to "assert_never" has incompatible type "Unknown"…  [arg-type]
            assert_never(message)


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Story(Journey):
    async def run(self, entry: ProductAdded) -> str:
        sent = await self.send("cart_reminder", promoting=None)
        # E: Item "Withheld" of "Sent | Withheld | Unknown" has no attribute "message_id"  [union-attr]
        return str(sent.message_id)
