"""Fixed scenarios through the real gate: a shopper's past as events, then one request for a message."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.integration.compatibility.golden_stack import MONDAY, YES, Stack

NIGHT = timedelta(hours=11)
"""From noon to eleven in the evening, in Berlin."""

TICKET = {
    "opened": "Ticket Opened",
    "closed": ["Ticket Solved"],
    "by": "ticket_id",
    "says": "a support ticket",
}

Scenario = Callable[[Stack, "Shopper"], Awaitable[Any]]


class Shopper:
    """One shopper with a cart of a lamp and a chair, whose run asks for messages."""

    def __init__(self, stack: Stack, name: str, number: int) -> None:
        self.stack, self.name = stack, name
        self.contacts = {"email": f"{name}@example.com", "phone": f"+49151{12_000_000 + number}"}
        self.cart_id = f"cart-of-{name}"
        self.run_id = ""

    async def event(self, event: str, properties: dict[str, Any] | None = None, **more: Any) -> None:
        """One event of this shopper."""
        await self.stack.event(event, self.contacts, properties=properties or {}, **more)

    async def fills_cart(self, traits: dict[str, Any] | None = None) -> None:
        """The events that start the run."""
        for product, price, category in (("lamp", 39.0, "Lamps"), ("chair", 99.0, "Chairs")):
            properties = {
                "cart_id": self.cart_id,
                "product_id": product,
                "sku": f"{product}-red",
                "name": product.title(),
                "price": price,
                "category": category,
            }
            await self.event(
                "Product Added", properties, traits={"timezone": "Europe/Berlin", **(traits or {})}
            )
        run = await self.stack.value("SELECT run_id FROM run WHERE key = $1", self.cart_id)
        self.run_id = str(run)

    async def buys(self, *products: str) -> None:
        """An order of these products."""
        order = {"order_id": f"order-of-{self.name}", "products": [{"product_id": one} for one in products]}
        await self.event("Order Completed", order)

    def request(self, step: str, **more: Any) -> dict[str, Any]:
        """A request for a message that promotes the cart."""
        items = [
            {"product_id": one, "sku": f"{one}-red", "name": one.title(), "category": f"{one.title()}s"}
            for one in ("lamp", "chair")
        ]
        return {
            "run_id": self.run_id,
            "step": step,
            "journey": "cart-abandonment",
            "template": "cart_reminder",
            "channel": "email",
            "promoting": items,
            "expires_at": (self.stack.now + timedelta(days=2)).isoformat(),
            "cart_id": self.cart_id,
            "value": 138.0,
            **more,
        }

    async def sends(self, step: str = "first", **more: Any) -> dict[str, Any]:
        """One attempt to send."""
        return await self.stack.perform("send_message", self.request(step, **more))


async def _allow(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    return [await shopper.sends(), await shopper.sends()]


async def _allow_what_is_left(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await shopper.buys("lamp")
    return await shopper.sends()


async def _allow_sms(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    return await shopper.sends(channel="sms")


async def _allow_chosen_channel(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart({**YES, "preferred_channel": "sms"})
    return [
        await shopper.sends("chosen", choose=True),
        await shopper.sends("chosen", choose=True, channel="sms"),
    ]


async def _allow_transactional(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart()
    exposure = {"experiment": "offer", "arm": "control", "at": stack.now.isoformat()}
    return await shopper.sends(
        template="order_confirmation", promoting=None, journey="post-purchase", exposures=[exposure],
        showing=[{"product_id": "lamp", "name": "Lamp", "price": 39.0}], context={"order_id": "o-1"},
    )  # fmt: skip


async def _audience(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    request = shopper.request("audience left", audience="left")
    request["items"] = request.pop("promoting")
    return await stack.perform("join_audience", request)


async def _purchased(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await shopper.buys("lamp", "chair")
    return await shopper.sends(cart_id=None)


async def _opted_out(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await shopper.event("Consent Changed", {"channel": "email", "state": "withdrawn"})
    return await shopper.sends()


async def _no_consent(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart()
    return await shopper.sends(channel="sms")


async def _capped(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    names = ("cart_reminder", "cart_news", "cart_offer")
    return [await shopper.sends(f"mail {name}", template=name) for name in names]


async def _capped_and_waiting(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    first = await shopper.sends("first", channel="sms")
    return [first, await shopper.sends("second", channel="sms", template="cart_news", when_capped="wait")]


async def _quiet_hours(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    stack.now += NIGHT
    return await shopper.sends(channel="sms")


async def _no_address(stack: Stack, shopper: Shopper) -> Any:
    del shopper.contacts["phone"]
    await shopper.fills_cart(YES)
    return [await shopper.sends(channel="sms"), await shopper.sends("push", channel="push")]


async def _after_report(stack: Stack, shopper: Shopper, event: str) -> Any:
    await shopper.fills_cart(YES)
    first = await shopper.sends()
    await shopper.event(event, {"message_id": first["message_id"]}, channel="email")
    return await shopper.sends("second", template="cart_news")


async def _bounced(stack: Stack, shopper: Shopper) -> Any:
    return await _after_report(stack, shopper, "Message Bounced")


async def _complained(stack: Stack, shopper: Shopper) -> Any:
    return await _after_report(stack, shopper, "Message Complained")


async def _expired(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    return await shopper.sends(expires_at=(stack.now - timedelta(minutes=1)).isoformat())


async def _out_of_stock(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    product = {"product_id": "vase", "name": "Vase", "price": 5.0, "in_stock": False}
    await stack.event("Product Updated", {}, properties=product)
    return await shopper.sends(promoting=[{"product_id": "vase", "name": "Vase"}], cart_id=None)


async def _held(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await shopper.event("Ticket Opened", {"ticket_id": "t-1"})
    return await shopper.sends(hold_while=[TICKET])


async def _holdout(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    return await shopper.sends(holdout=100.0)


async def _run_ended(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    closed = await stack.perform("close_run", {"run_id": shopper.run_id, "outcome": "nudged", "seen": []})
    return [closed, await shopper.sends()]


async def _erased(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await stack.rows(
        "UPDATE profile SET erased_at = $1 WHERE profile_id = (SELECT profile_id FROM run WHERE run_id = $2)",
        stack.now,
        shopper.run_id,
    )
    return await shopper.sends()


async def _kill_switch(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    path = "/v1/stops/template/cart_offer"
    await stack.admin("PUT", path, json={"reason": "a wrong price"})
    outcome = await shopper.sends(template="cart_offer")
    await stack.admin("DELETE", path)
    return outcome


async def _duplicate(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    first = await shopper.sends()
    shopper.cart_id += "-again"
    await shopper.fills_cart()
    return [first, await shopper.sends()]


async def _content(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    refused = await shopper.sends(template="order_confirmation", journey="post-purchase")
    return [refused, await shopper.sends("unrendered", template="delivery_apology", context={"order_id": {}})]


async def _error(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    await stack.rows("INSERT INTO kill_switch VALUES ('weather', 'rain', now(), 'not known', 'golden')")
    outcome = await shopper.sends()
    await stack.rows("DELETE FROM kill_switch")
    return outcome


WITH_DEFAULTS: dict[str, Scenario] = {
    name.removeprefix("_"): scenario
    for name, scenario in {
        one.__name__: one
        for one in (
            *(
                _allow,
                _allow_what_is_left,
                _allow_sms,
                _allow_chosen_channel,
                _allow_transactional,
                _audience,
            ),
            *(_purchased, _opted_out, _no_consent, _capped, _capped_and_waiting, _quiet_hours, _no_address),
            *(_bounced, _complained, _expired, _out_of_stock, _held, _holdout, _run_ended, _erased),
            *(_kill_switch, _duplicate, _content, _error),
        )
    }.items()
}


async def _provider_budget(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    first = await shopper.sends("first", channel="sms")
    return [first, await shopper.sends("second", channel="sms", template="cart_news")]


async def _lower_priority(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    shopper.stack.now += NIGHT
    await shopper.event("Customer Lapsed", {})
    win_back = await stack.value("SELECT run_id FROM run WHERE journey = 'win-back'")
    waiting = await shopper.sends(
        run_id=str(win_back), journey="win-back", template="we_miss_you", promoting=None, cart_id=None
    )
    return [waiting, await shopper.sends()]


async def _kill_switch_of_the_policy(stack: Stack, shopper: Shopper) -> Any:
    await shopper.fills_cart(YES)
    return await shopper.sends(template="cart_rest")


WITH_POLICY: dict[str, Scenario] = {
    "provider_budget": _provider_budget,
    "lower_priority": _lower_priority,
    "kill_switch": _kill_switch_of_the_policy,
}


async def play(stack: Stack, scenarios: dict[str, Scenario]) -> dict[str, Any]:
    """All scenarios in their order, each with a shopper of its own; returns what each was answered."""
    answers = {}
    for number, (name, scenario) in enumerate(scenarios.items()):
        stack.now = MONDAY
        shopper = Shopper(stack, name.replace("_", "-"), number)
        answers[name] = await scenario(stack, shopper)
    return answers


def without_details(value: Any) -> Any:
    """The same without texts for people, which have a golden file of their own."""
    if isinstance(value, dict):
        return {key: without_details(one) for key, one in value.items() if key != "detail"}
    return [without_details(one) for one in value] if isinstance(value, list) else value
