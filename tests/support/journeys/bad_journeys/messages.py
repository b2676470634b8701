"""Messages that cannot be sent as it is written."""

from journeys.vocabulary import EMAIL, PUSH, SMS, Journey, days, if_not_seen, journey
from profiles.events import ProductAdded

# ruff: noqa: E501 - a fault stands beside its line


TEMPLATE = "restok_note"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Sends(Journey):
    async def run(self, entry: ProductAdded) -> str:
        items, code = self.cart.items, {"code": "BACK10"}
        # fault: no template 'cart_remindr'; did you mean 'cart_reminder'? available: cart_news, cart_offer, cart_reminder, cart_rest
        await self.send("cart_remindr", promoting=items)
        # fault: no template 'restok_note'; did you mean 'restock_note'?
        await self.send(TEMPLATE, promoting=items)
        # fault: template 'restock_note' has no email version, which prefer asks for; it has: sms
        await self.send("restock_note", promoting=items, context=code, prefer=(SMS, EMAIL))
        # fault: template 'restock_note' has no push version, which prefer asks for; it has: sms; push has no provider yet: take PUSH out
        await self.send("restock_note", promoting=items, context=code, prefer=(PUSH, SMS))
        await self.send(
            "restock_note",
            promoting=items,
            context=code,
            # fault: template 'restock_note' has no email version, which if_not_seen asks for
            fallback=if_not_seen(within=days(1), then=EMAIL),
        )
        # fault: prefer takes a tuple of channels; write prefer=(SMS,)
        await self.send("receipt", promoting=None, prefer=SMS)
        await self.send("receipt", promoting=None, prefer=())  # fault: self.send: prefer names no channel
        # fault: template 'receipt' is transactional, and may promote nothing
        await self.send("receipt", promoting=items)
        # fault: template 'restock_note' shows items, and
        await self.send("restock_note", promoting=None, context=code)
        # fault: template 'restock_note' needs code; pass it in context
        await self.send("restock_note", promoting=items)
        # fault: 'restock_note' needs code
        await self.send("restock_note", promoting=items, context={"code": None})
        await self.send(
            "restock_note",
            promoting=items,
            # fault: declares no value 'untill', so nothing of it is shown; did you mean 'until'? it declares: code, until
            context={"code": "BACK10", "untill": "Sunday"},
        )
        await self.send("restock_note", promoting=None, showing=items, context=code, prefer=(SMS,))
        return "done"


JOURNEYS = (Sends,)
