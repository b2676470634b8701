"""One tale for each wait point and each outcome of the shipped journeys, told on virtual time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.waypost import NOON, Row, Waypost

CANARIES = ("quillon", "+4915199", "4915199")
"""Parts of every name, address and number in these tales; no history may hold one."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENING = NOON.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=20, minute=30).astimezone(UTC)
YES = {
    "consents": {"email": True, "sms": True, "ads": True},
    "timezone": "Europe/Berlin",
    "first_name": "Quillon",
}


class Tale:
    """One shopper and what happens to them."""

    def __init__(self, waypost: Waypost, number: int) -> None:
        self.waypost = waypost
        self.key = f"k-{number}"
        self.who = {"email": f"quillon-{number}@example.com", "phone": f"+4915199{number:06d}"}
        waypost.clock = NOON

    async def happens(self, name: str, properties: Row | None = None, **more: Any) -> None:
        await self.waypost.happens(name, properties, **{**self.who, **more})

    async def adds(self, product: str, **more: Any) -> None:
        line = {"product_id": product, "name": f"A {product}", "price": 39.0, "cart_id": self.key}
        await self.happens("Product Added", line, traits=YES, **more)

    async def buys(self, *products: str, **more: Any) -> None:
        lines = [{"product_id": product, "name": f"A {product}", "price": 39.0} for product in products]
        order = {"order_id": self.key, "total": 39.0, "products": lines}
        await self.happens("Order Completed", order, traits=YES, **more)

    async def clicks(self, template: str) -> None:
        [message] = await self.waypost.until(
            "SELECT message_id FROM message WHERE template = $1 AND status = 'sent' "
            "AND profile_id = (SELECT profile_id FROM identifier WHERE value = $2)",
            template, self.who["email"],
        )  # fmt: skip
        await self.happens("Message Clicked", {"message_id": str(message["message_id"])})

    async def run(self, journey: str) -> Row:
        """This shopper's run."""
        [found] = await self.waypost.rows(
            "SELECT r.* FROM run r JOIN identifier i ON i.profile_id = r.profile_id "
            "WHERE i.value = $1 AND r.journey = $2", self.who["email"], journey,
        )  # fmt: skip
        return found

    async def passes(self, journey: str, length: timedelta) -> None:
        await self.waypost.passes(await self.run(journey), length)


@dataclass(frozen=True)
class Told:
    """A tale's name, journey, and how its run ends; None: it is left waiting."""

    name: str
    journey: str
    outcome: str | None
    tell: Callable[[Tale], Awaitable[None]]


TALES: list[Told] = []

CART, POST, BACK = "cart-abandonment", "post-purchase", "win-back"


def tale(journey: str, outcome: str | None) -> Callable[[Callable[[Tale], Awaitable[None]]], None]:
    """Register a tale under its function's name."""

    def register(tell: Callable[[Tale], Awaitable[None]]) -> None:
        TALES.append(Told(f"{journey}.{tell.__name__}", journey, outcome, tell))

    return register


@tale(CART, None)
async def quiet(t: Tale) -> None:
    await t.adds("lamp")


@tale(CART, None)
async def quiet_armed_again(t: Tale) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR / 2)
    await t.adds("chair")
    await t.passes(CART, HOUR * 0.7)


@tale(CART, None)
async def waiting_for_a_click(t: Tale) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)


async def is_deferred(t: Tale) -> None:
    t.waypost.clock = EVENING
    await t.adds("lamp")
    await t.passes(CART, HOUR * 26)


@tale(CART, None)
async def offer_deferred_for_the_night(t: Tale) -> None:
    await is_deferred(t)


@tale(CART, "nudged")
async def nudged(t: Tale) -> None:
    await t.adds("lamp")
    await t.passes(CART, DAY * 3)


@tale(CART, "nudged")
async def nudged_after_the_night(t: Tale) -> None:
    await is_deferred(t)
    await t.passes(CART, HOUR * 12)


@tale(CART, "nudged")
async def offer_by_mail_without_a_phone(t: Tale) -> None:
    t.who.pop("phone")
    await t.adds("lamp")
    await t.passes(CART, DAY * 3)


@tale(CART, "nudged")
async def all_withheld_without_consent(t: Tale) -> None:
    line = {"product_id": "lamp", "cart_id": t.key}
    await t.happens("Product Added", line)
    await t.passes(CART, DAY * 3)


@tale(CART, "engaged")
async def engaged(t: Tale) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    await t.clicks("cart_reminder")


@tale(CART, "bought")
async def bought_in_the_quiet(t: Tale) -> None:
    await t.adds("lamp")
    await t.buys("lamp")


@tale(CART, "bought")
async def bought_in_the_middle_of_the_wait(t: Tale) -> None:
    await t.adds("lamp")
    await t.passes(CART, HOUR * 2)
    await t.buys("lamp", channel="store", source="pos/1")


@tale(CART, "bought")
async def bought_while_deferred(t: Tale) -> None:
    await is_deferred(t)
    await t.buys("lamp")


@tale(CART, "nudged")
async def half_bought(t: Tale) -> None:
    await t.adds("lamp")
    await t.adds("chair")
    await t.passes(CART, HOUR * 2)
    await t.buys("lamp")
    await t.passes(CART, DAY * 3)


@tale(CART, "emptied")
async def emptied(t: Tale) -> None:
    await t.adds("lamp")
    await t.happens("Product Removed", {"product_id": "lamp", "cart_id": t.key})


@tale(CART, "cancelled")
async def ended_by_hand(t: Tale) -> None:
    await t.adds("lamp")
    handle = t.waypost.handle(await t.run(CART))
    await handle.signal("End Run", {"outcome": "cancelled", "reason": "by hand"})


@tale(CART, "bought")
async def bought_after_signals_that_cannot_be_read(t: Tale) -> None:
    await t.adds("lamp")
    handle = t.waypost.handle(await t.run(CART))
    await handle.signal("Nobody Knows", {"id": "x"})
    await handle.signal("Product Added", {"product_id": "lamp"})
    await t.buys("lamp")


@tale(POST, None)
async def waiting_for_the_delivery(t: Tale) -> None:
    await t.buys("lamp")
    await t.passes(POST, HOUR)


@tale(POST, None)
async def waiting_on_after_the_apology(t: Tale) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 8)


@tale(POST, "completed")
async def delivered(t: Tale) -> None:
    await t.happens("Product Viewed", {"product_id": "desk", "name": "A desk"})
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 20)


@tale(POST, None)
async def sleeping_before_the_review_request(t: Tale) -> None:
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY)


@tale(POST, None)
async def sleeping_before_the_suggestions(t: Tale) -> None:
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 7)


@tale(POST, "completed")
async def delivered_late(t: Tale) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 8)
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 20)


@tale(POST, "not_delivered")
async def not_delivered(t: Tale) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY * 23)


@tale(POST, "completed")
async def bought_in_the_store(t: Tale) -> None:
    await t.buys("lamp", channel="store")
    await t.passes(POST, DAY * 20)


@tale(POST, "cancelled")
async def cancelled(t: Tale) -> None:
    await t.buys("lamp")
    await t.passes(POST, DAY)
    await t.happens("Order Cancelled", {"order_id": t.key})


@tale(POST, "refunded")
async def refunded(t: Tale) -> None:
    await t.buys("lamp")
    await t.happens("Order Delivered", {"order_id": t.key})
    await t.passes(POST, DAY * 6)
    await t.happens("Order Refunded", {"order_id": t.key})


async def lapses(t: Tale) -> None:
    await t.happens("Product Viewed", {"product_id": "desk", "name": "A desk"}, traits=YES)
    await t.happens("Customer Lapsed", {"days_since_order": 120})


@tale(BACK, None)
async def waiting_after_the_hello(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, HOUR)


@tale(BACK, None)
async def waiting_after_the_offer(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 8)


@tale(BACK, "sunset")
async def sunset(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 23)


@tale(BACK, "engaged")
async def engaged_by_the_offer(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 8)
    await t.clicks("win_back_offer")


@tale(BACK, "sunset")
async def clicked_the_hello_and_no_more(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, HOUR)
    await t.clicks("we_miss_you")
    await t.passes(BACK, DAY * 15)


@tale(BACK, "won_back")
async def won_back(t: Tale) -> None:
    await lapses(t)
    await t.passes(BACK, DAY)
    await t.buys("lamp")


@tale(BACK, "sunset")
async def sunset_with_nothing_to_suggest(t: Tale) -> None:
    await t.happens("Customer Lapsed", {"days_since_order": 120}, traits=YES)
    await t.passes(BACK, DAY * 23)
