"""send gives one of three outcomes, which a match can tell apart with nothing left over."""

from typing import assert_never, assert_type

from journeys.vocabulary import EMAIL, PUSH, SMS, Journey, Message, Sent, Unknown, Withheld, days, journey
from policy.verdict import Channel, Reason
from profiles.events import Item, MessageClicked, ProductAdded


def told(message: Message) -> str:
    match message:
        case Sent():
            assert_type(message.channel, Channel)
            return message.message_id
        case Withheld():
            assert_type(message.reason, Reason | None)
            return message.detail
        case Unknown():
            assert_type(message.message_id, str | None)
            return "perhaps"
        case _:
            assert_never(message)


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Telling(Journey):
    async def run(self, entry: ProductAdded) -> str:
        reminder = await self.send("cart_reminder", promoting=self.cart.items)
        assert_type(reminder, Message)
        offer = await self.send(
            "cart_offer",
            promoting=[entry.item],
            showing=self.cart.items[:2],
            prefer=(SMS, EMAIL, PUSH),
            expires=days(1),
            context={"percent": 10},
        )
        assert_type(await self.send("receipt", promoting=None), Message)
        clicked = await self.wait_for(MessageClicked, of=offer if offer else reminder, within=days(1))
        if clicked is not None:
            assert_type(clicked.url, str | None)
        return told(reminder) + told(offer)


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Retargeting(Journey):
    async def run(self, entry: ProductAdded) -> str:
        assert_type(self.cart.items, tuple[Item, ...])
        assert_type(self.cart.value, float)
        await self.retarget(self.cart.items, audience="left-in-cart", until=days(7))
        return self.customer_id
