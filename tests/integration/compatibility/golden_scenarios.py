"""Fixed scenarios through the real gate: a shopper's past as events, then requests for messages."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.integration.compatibility.golden_stack import MONDAY, YES, Stack

TICKET = {
    "opened": "Ticket Opened",
    "closed": ["Ticket Solved"],
    "by": "ticket_id",
    "says": "a support ticket",
}


_CART = [
    {"product_id": "lamp", "sku": "lamp-red", "name": "Lamp", "category": "Lamps"},
    {"product_id": "chair", "sku": "chair-red", "name": "Chair", "category": "Chairs"},
]


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

    async def fills_cart(self, traits: dict[str, Any]) -> None:
        """The events that start the run."""
        for item, price in zip(_CART, (39.0, 99.0), strict=True):
            properties = {"cart_id": self.cart_id, **item, "price": price}
            await self.event("Product Added", properties, traits={"timezone": "Europe/Berlin", **traits})
        self.run_id = await self.stack.run_id(f"key = '{self.cart_id}'")

    async def asks(self, activity: str, step: str, **more: Any) -> dict[str, Any]:
        """One attempt of an activity, by default for a message that promotes the cart."""
        request = {
            "run_id": self.run_id,
            "step": step,
            "journey": "cart-abandonment",
            "template": "cart_reminder",
            "channel": "email",
            "promoting": _CART,
            "expires_at": (self.stack.now + timedelta(days=2)).isoformat(),
            "cart_id": self.cart_id,
            "value": 138.0,
        }
        return await self.stack.perform(activity, request | more)


Step = Callable[[Shopper], Awaitable[Any]]
"""What happens to the shopper next; where it is a request of the run, its answer is one of the scenario's."""


def cart(**traits: Any) -> Step:
    """The shopper's run starts."""
    return lambda shopper: shopper.fills_cart(traits)


def send(step: str = "first", **more: Any) -> Step:
    """The run asks for a message."""
    return lambda shopper: shopper.asks("send_message", step, **more)


def event(name: str, **properties: Any) -> Step:
    """Something else happens to the shopper."""
    return lambda shopper: shopper.event(name, properties)


def reported(name: str) -> Step:
    """A message is sent, and the provider reports this of it."""

    async def step(shopper: Shopper) -> None:
        sent = await shopper.asks("send_message", "first")
        await shopper.event(name, {"message_id": sent["message_id"]}, channel="email")

    return step


def stored(statement: str) -> Step:
    """Rows as no request could make them."""
    return lambda shopper: shopper.stack.rows(statement)


async def night(shopper: Shopper) -> None:
    """From noon to eleven in the evening, in Berlin."""
    shopper.stack.now += timedelta(hours=11)


async def no_phone(shopper: Shopper) -> None:
    """The shopper has only a mail address."""
    del shopper.contacts["phone"]


async def run_ends(shopper: Shopper) -> Any:
    """The workflow of the run closes it."""
    closed = {"run_id": shopper.run_id, "outcome": "nudged", "seen": []}
    return await shopper.stack.perform("close_run", closed)


async def another_cart(shopper: Shopper) -> None:
    """A second run asks for what the first one got."""
    shopper.cart_id += "-again"
    await shopper.fills_cart({})


async def win_back_waits(shopper: Shopper) -> Any:
    """A run of a less urgent journey asks first."""
    await shopper.event("Customer Lapsed")
    other = {"run_id": await shopper.stack.run_id("journey = 'win-back'"), "journey": "win-back"}
    more = {"template": "we_miss_you", "promoting": None, "cart_id": None}
    return await shopper.asks("send_message", "first", **other, **more)


_LAMP, _CHAIR = {"product_id": "lamp"}, {"product_id": "chair"}

_VASE = {"product_id": "vase", "name": "Vase"}

_RECEIPT: dict[str, Any] = {
    "journey": "post-purchase",
    "template": "order_confirmation",
    "promoting": None,
    "showing": [{"product_id": "lamp", "name": "Lamp", "price": 39.0}],
    "context": {"order_id": "o-1"},
    "exposures": [{"experiment": "offer", "arm": "control", "at": MONDAY.isoformat()}],
}

_ERASED = (
    "UPDATE profile SET erased_at = '2040-06-04T10:00Z' "
    "WHERE profile_id = (SELECT profile_id FROM run WHERE key = 'cart-of-erased')"
)

_UNKNOWN_SWITCH = "INSERT INTO kill_switch VALUES ('weather', 'rain', now(), 'not known', 'golden')"

_OFFERS_STOPPED = "/v1/stops/template/cart_offer"

YES_CART = cart(**YES)

WITH_DEFAULTS: dict[str, tuple[Step, ...]] = {
    "allow": (YES_CART, send(), send()),
    "allow_what_is_left": (
        YES_CART,
        event("Order Completed", order_id="order-of-allow-what-is-left", products=[_LAMP]),
        send(),
    ),
    "allow_sms": (YES_CART, send(channel="sms")),
    "allow_chosen_channel": (
        cart(**YES, preferred_channel="sms"),
        send("chosen", choose=True),
        send("chosen", choose=True, channel="sms"),
    ),
    "allow_transactional": (cart(), send(**_RECEIPT)),
    "audience": (
        YES_CART,
        lambda shopper: shopper.asks("join_audience", "audience left", audience="left", items=_CART),
    ),
    "purchased": (
        YES_CART,
        event("Order Completed", order_id="order-of-purchased", products=[_LAMP, _CHAIR]),
        send(cart_id=None),
    ),
    "opted_out": (YES_CART, event("Consent Changed", channel="email", state="withdrawn"), send()),
    "no_consent": (cart(), send(channel="sms")),
    "capped": (
        YES_CART,
        *(send(f"mail {one}", template=one) for one in ("cart_reminder", "cart_news", "cart_offer")),
    ),
    "capped_and_waiting": (
        YES_CART,
        send(channel="sms"),
        send("second", channel="sms", template="cart_news", when_capped="wait"),
    ),
    "quiet_hours": (YES_CART, night, send(channel="sms")),
    "no_address": (no_phone, YES_CART, send(channel="sms"), send("push", channel="push")),
    "bounced": (YES_CART, reported("Message Bounced"), send("second", template="cart_news")),
    "complained": (YES_CART, reported("Message Complained"), send("second", template="cart_news")),
    "expired": (YES_CART, send(expires_at=(MONDAY - timedelta(minutes=1)).isoformat())),
    "out_of_stock": (
        YES_CART,
        lambda shopper: shopper.stack.event(
            "Product Updated", {}, properties={**_VASE, "price": 5.0, "in_stock": False}
        ),
        send(promoting=[_VASE], cart_id=None),
    ),
    "held": (YES_CART, event("Ticket Opened", ticket_id="t-1"), send(hold_while=[TICKET])),
    "holdout": (YES_CART, send(holdout=100.0)),
    "run_ended": (YES_CART, run_ends, send()),
    "erased": (YES_CART, stored(_ERASED), send()),
    "kill_switch": (
        YES_CART,
        lambda shopper: shopper.stack.admin("PUT", _OFFERS_STOPPED, reason="a wrong price"),
        send(template="cart_offer"),
        lambda shopper: shopper.stack.admin("DELETE", _OFFERS_STOPPED),
    ),
    "duplicate": (YES_CART, send(), another_cart, send()),
    "content": (
        YES_CART,
        send(template="order_confirmation", journey="post-purchase"),
        send("unrendered", template="delivery_apology", context={"order_id": {}}),
    ),
    "error": (YES_CART, stored(_UNKNOWN_SWITCH), send(), stored("DELETE FROM kill_switch")),
}

WITH_POLICY: dict[str, tuple[Step, ...]] = {
    "provider_budget": (
        YES_CART,
        send(channel="sms"),
        send("second", channel="sms", template="cart_news"),
    ),
    "lower_priority": (YES_CART, night, win_back_waits, send()),
    "kill_switch": (YES_CART, send(template="cart_rest")),
}


async def play(stack: Stack, scenarios: dict[str, tuple[Step, ...]]) -> dict[str, Any]:
    """All scenarios in their order, each with a shopper of its own; returns what each was answered."""
    answers = {}
    for number, (name, steps) in enumerate(scenarios.items()):
        stack.now = MONDAY
        shopper = Shopper(stack, name.replace("_", "-"), number)
        found = [answer for step in steps if isinstance(answer := await step(shopper), dict)]
        answers[name] = found if len(found) > 1 else found[0]
    return answers
