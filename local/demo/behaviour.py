"""How people shop: what they look at, leave in the cart, buy on the web or in the store, and send back.

The rates are those of an ordinary web shop: about a third of the visits fill a cart, and about a quarter
of the carts are paid for at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from local.demo.catalog import STORES, Product, browse
from local.demo.events import Act, Pen, Row
from local.demo.people import Shopper

_CART = 0.3
"""Of visits; with those who compare in several carts, and on two devices, it comes to a third of all."""

_CHECKOUT = 0.5

_PAID = 0.55
"""Of checkouts."""

_STORE_AFTER_CART = 0.5
"""Of carts left behind by people with a loyalty card: bought in the store instead, all of it or some."""


class Life:
    """One shopper's days; acts are planned ahead and handed out as time goes by."""

    def __init__(self, shopper: Shopper, opening: datetime, seed: int) -> None:
        """``opening``: when the shop's first day begins."""
        self.shopper = shopper
        self.opening = opening
        self.pen = Pen(shopper)
        self.cases = Cases(shopper, self.pen, seed)
        self.bought: list[Product] = []
        self._rng = Random(f"{seed}/days/{shopper.number}")  # noqa: S311 - a simulation
        self._orders = 0
        self._visits = 0
        self._seen_on: set[str] = set()
        self._ahead: list[Act] = []

    def past(self, now: datetime) -> list[Act]:
        """What the shop's books say of earlier times: an account, and orders of weeks or months ago."""
        shopper, rng = self.shopper, self._rng
        if not (shopper.lapsed or shopper.regular):
            return []
        if shopper.steady:
            return self._steady_past(now)
        ago = timedelta(days=rng.uniform(105, 260) if shopper.lapsed else rng.uniform(6, 60))
        return [self._account(now - ago), self._past_order(now - ago)]

    def _steady_past(self, now: datetime) -> list[Act]:
        """An order every few weeks, the last one more than two such stretches ago."""
        every = timedelta(days=self._rng.uniform(14, 23))
        last = now - every * self._rng.uniform(2.3, 3.2)
        orders = [self._past_order(last - every * back) for back in reversed(range(self._rng.randint(3, 4)))]
        return [self._account(orders[0].at), *orders]

    def _account(self, ordered: datetime) -> Act:
        return self.pen.identify(ordered - timedelta(minutes=9), "web")

    def _past_order(self, at: datetime) -> Act:
        shopper, rng = self.shopper, self._rng
        goods = browse(rng, shopper.favourite, rng.randint(1, 3))
        self.bought += goods
        order = self._order(goods)
        if shopper.loyalty_id and rng.random() < 0.7:
            return self.pen.receipt(at, rng.choice(STORES), order)
        return self.pen.track(at, "web", "Order Completed", order, known=True)

    def plan(self) -> None:
        """Plan the first days: visits, and walks into a store."""
        shopper, rng = self.shopper, self._rng
        if shopper.lapsed:
            if shopper.loyalty_id and rng.random() < 0.35:
                at = self.opening + timedelta(days=rng.randint(3, 12), hours=rng.uniform(8, 17))
                self.buy_in_store(at, browse(rng, shopper.favourite, 1))
            return
        first = self.opening + timedelta(minutes=rng.uniform(0, 24 * 60 - 5))
        if rng.random() < 0.92:
            if shopper.two_devices:
                first = self._other_device(first)
            self._visit(first)
        if shopper.undecided:
            for hour in (1.5, 3, 4.5):
                self._visit(first + timedelta(hours=hour), fills_a_cart=True)
        elif rng.random() < 0.28:
            self._visit(first + timedelta(days=rng.choice((2, 3)), hours=rng.uniform(-3, 5)))
        if shopper.loyalty_id and rng.random() < 0.12:
            at = self.opening + timedelta(days=rng.randint(0, 4), hours=rng.uniform(8, 17))
            self.buy_in_store(at, browse(rng, shopper.favourite, rng.randint(1, 3)))
            if rng.random() < 0.5:
                self._visit(at + timedelta(hours=rng.uniform(3, 9)), fills_a_cart=True)

    def take(self, until: datetime) -> list[Act]:
        """The acts before ``until``, in order; they are not handed out twice."""
        due = sorted((act for act in self._ahead if act.at < until), key=lambda act: act.at)
        self._ahead = [act for act in self._ahead if act.at >= until]
        return due

    def wants(self, until: datetime) -> list[str]:
        """Ids of the products that go into a cart before ``until``, as far as it is planned."""
        added = [
            act.body for act in self._ahead if act.at < until and act.body.get("event") == "Product Added"
        ]
        return [body["properties"]["product_id"] for body in added]

    def add(self, *acts: Act) -> None:
        """Plan more."""
        self._ahead.extend(acts)

    def buy_online(self, at: datetime, goods: list[Product], device: str = "web") -> None:
        """Order on the web, and what follows from it."""
        known = self.shopper.has_account
        order = self._order(goods)
        email = None if known else self.shopper.email
        self.add(self.pen.track(at, device, "Order Completed", order, known=known, email=email))
        self.bought += goods
        self._aftermath(at, order)

    def buy_in_store(self, at: datetime, goods: list[Product]) -> None:
        """Buy at a till, in whatever variant is on the shelf."""
        shelf = [product.line(self._rng.choice(product.variants)) for product in goods]
        order = self._order(goods) | {"products": shelf}
        self.add(self.pen.receipt(at, self._rng.choice(STORES), order))
        self.bought += goods

    def _visit(self, at: datetime, *, fills_a_cart: bool = False) -> None:
        """Look at things; perhaps fill a cart, perhaps pay."""
        rng, shopper = self._rng, self.shopper
        self._visits += 1
        device = "mobile" if rng.random() < 0.4 else "web"
        at = self._sign_in(at, device)
        seen = browse(rng, shopper.favourite, rng.randint(1, 6))
        if self.bought and rng.random() < 0.5:
            seen.append(rng.choice(self.bought))  # to see what it costs now, or to want a second one
        for product in seen:
            at = self._click(at, device, "Product Viewed", product.line())
        if not fills_a_cart and rng.random() > _CART:
            return
        goods = rng.sample(seen, min(len(seen), rng.choice((1, 2, 2, 3))))
        if seen[-1] in self.bought and seen[-1] not in goods and rng.random() < 0.6:
            goods.append(seen[-1])
        cart = {"cart_id": f"cart-{shopper.number}-{self._visits}"}
        for product in goods:
            at = self._click(at, device, "Product Added", product.line(rng.choice(product.variants)) | cart)
        if len(goods) > 1 and rng.random() < 0.1:
            at = self._click(at, device, "Product Removed", goods.pop().line() | cart)
        self._leave_or_pay(at, device, goods)

    def _leave_or_pay(self, at: datetime, device: str, goods: list[Product]) -> None:
        rng = self._rng
        if rng.random() < _CHECKOUT:
            lines = [product.line() for product in goods]
            checkout = {"value": sum(line["price"] for line in lines), "currency": "EUR", "products": lines}
            at = self._click(at, device, "Checkout Started", checkout, email=self.shopper.email)
            if rng.random() < _PAID:
                self.buy_online(at + timedelta(minutes=2), goods, device)
                return
        self.add(*self.cases.about_cart(at))
        if self.shopper.loyalty_id and rng.random() < _STORE_AFTER_CART:
            some = goods if rng.random() < 0.45 else rng.sample(goods, max(1, len(goods) - 1))
            # On the way home, before any reminder; or the day after, with the reminder in mind.
            soon = rng.random() < 0.3
            later = timedelta(minutes=rng.uniform(20, 50)) if soon else timedelta(hours=rng.uniform(13, 22))
            self.buy_in_store(at + later, some)

    def _other_device(self, at: datetime) -> datetime:
        """Browse on the phone without signing in; both devices turn out to be one person at the login."""
        [product] = browse(self._rng, self.shopper.favourite, 1)
        self.add(self.pen.track(at, "mobile", "Product Viewed", product.line(), known=False))
        at += timedelta(minutes=4)
        if self._rng.random() < 0.6:
            cart = {"cart_id": f"cart-{self.shopper.number}-phone"}
            self.add(self.pen.track(at, "mobile", "Product Added", product.line() | cart, known=False))
        self._sign_in(at + timedelta(minutes=25), "web")
        return self._sign_in(at + timedelta(minutes=35), "mobile")

    def _sign_in(self, at: datetime, device: str) -> datetime:
        if self.shopper.has_account and device not in self._seen_on:
            self._seen_on.add(device)
            self.add(self.pen.identify(at, device))
        return at + timedelta(seconds=20)

    def _click(
        self, at: datetime, device: str, name: str, properties: Row, email: str | None = None
    ) -> datetime:
        known = self.shopper.has_account
        told = None if known else email
        self.add(self.pen.track(at, device, name, properties, known=known, email=told))
        return at + timedelta(seconds=self._rng.uniform(20, 150))

    def _order(self, goods: list[Product]) -> Row:
        self._orders += 1
        lines = [product.line() for product in goods]
        return {
            "order_id": f"order-{self.shopper.number}-{self._orders}",
            "total": round(sum(line["price"] for line in lines), 2),
            "currency": "EUR",
            "products": lines,
        }

    def _aftermath(self, at: datetime, order: Row) -> None:
        """A web order is called off, or delivered: in time, late or never; some are sent back."""
        rng = self._rng
        about = {"order_id": order["order_id"]}
        if rng.random() < 0.05:
            self.add(
                self.pen.told(
                    at + timedelta(hours=rng.uniform(3, 11)),
                    "support",
                    "Order Cancelled",
                    about,
                    channel="support",
                )
            )
            return
        fate = rng.random()
        if fate > 0.93:
            return
        delivered = at + timedelta(days=rng.uniform(2, 4) if fate < 0.8 else rng.uniform(8, 12))
        self.add(self.pen.told(delivered, "carrier", "Order Delivered", about))
        if rng.random() < 0.1:
            back = delivered + timedelta(days=rng.uniform(1, 4))
            self.add(self.pen.told(back, "support", "Order Refunded", about, channel="support"))
            return
        self.add(*self.cases.about_order(delivered, order))


_TICKET_ABOUT_CART = 0.16

_TICKET_ABOUT_ORDER = 0.25

_SENT_BACK_IN_PART = 0.4
"""Of orders of several things."""

_REVIEWED_UNASKED = 0.15

_NEVER_MIND = 0.25
"""Of tickets about a cart: solved when nobody cares about the cart any more."""


class Cases:
    """One shopper's; drawn apart from the visits, so that neither changes the other."""

    def __init__(self, shopper: Shopper, pen: Pen, seed: int) -> None:
        self._shopper = shopper
        self._pen = pen
        self._rng = Random(f"{seed}/cases/{shopper.number}")  # noqa: S311 - a simulation
        self._tickets = 0

    def about_cart(self, left_at: datetime) -> list[Act]:
        """Perhaps a question about what is in the cart: before the reminder, or before the offer."""
        rng = self._rng
        if not self._shopper.has_account or rng.random() > _TICKET_ABOUT_CART:
            return []
        before_reminder = rng.random() < 0.5
        opened = left_at + timedelta(
            minutes=rng.uniform(35, 50) if before_reminder else rng.uniform(240, 900)
        )
        takes = timedelta(days=rng.uniform(4, 6) if rng.random() < _NEVER_MIND else rng.uniform(0.7, 1.6))
        return self._ticket(opened, opened + takes)

    def about_order(self, delivered: datetime, order: Row) -> list[Act]:
        """Perhaps a complaint, a return of some of it, or a review that nobody asked for."""
        rng, lines = self._rng, order["products"]
        acts: list[Act] = []
        if self._shopper.has_account and rng.random() < _TICKET_ABOUT_ORDER:
            opened = delivered + timedelta(days=rng.uniform(1, 9))
            acts += self._ticket(opened, opened + timedelta(days=rng.uniform(2, 6)))
        if len(lines) > 1 and rng.random() < _SENT_BACK_IN_PART:
            about = {
                "order_id": order["order_id"],
                "products": rng.sample(lines, rng.randint(1, len(lines) - 1)),
            }
            asked = delivered + timedelta(days=rng.uniform(1, 3))
            refunded = asked + timedelta(days=rng.uniform(4, 9))
            acts.append(self._support(asked, "Return Requested", about))
            acts.append(self._support(refunded, "Order Refunded", about))
        elif rng.random() < _REVIEWED_UNASKED:
            at = delivered + timedelta(days=rng.uniform(1, 4))
            acts.append(self.review(at, rng.choice(lines)["product_id"]))
        return acts

    def review(self, at: datetime, product_id: str) -> Act:
        """A review on the shop's page."""
        said = {"product_id": product_id, "rating": self._rng.randint(3, 5)}
        return self._pen.track(at, "web", "Product Reviewed", said, known=self._shopper.has_account)

    def _ticket(self, opened: datetime, solved: datetime) -> list[Act]:
        self._tickets += 1
        about = {"ticket_id": f"ticket-{self._shopper.number}-{self._tickets}"}
        return [self._support(opened, "Ticket Opened", about), self._support(solved, "Ticket Solved", about)]

    def _support(self, at: datetime, name: str, about: Row) -> Act:
        return self._pen.told(at, "support", name, about, channel="support")


_OPENED = 0.45

_UNSUBSCRIBED = 0.04

_CLICKED = {
    "cart_reminder": 0.2,
    "cart_offer": 0.16,
    "cart_news": 0.3,
    "cart_rest": 0.16,
    "we_miss_you": 0.2,
    "win_back_offer": 0.25,
    "cross_sell": 0.08,
    "review_request": 0.12,
    "goodbye": 0.03,
}

_BOUGHT = {
    "cart_reminder": 0.5,
    "cart_offer": 0.6,
    "cart_news": 0.6,
    "cart_rest": 0.4,
    "we_miss_you": 0.5,
    "win_back_offer": 0.6,
}
"""Of clicks."""

_REVIEWED = 0.8
"""Of clicks on a request."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that reached somebody."""

    message_id: str
    channel: str
    template: str
    marketing: bool
    items: tuple[str, ...]
    at: datetime
    """By the run's clock."""


def react(life: Life, message: Received, now: datetime, seed: int, shelf: Mapping[str, Product]) -> bool:
    """Plan what the person does about a message, from ``now`` on; True where they press unsubscribe.

    ``shelf``: the products by id, at today's prices.
    """
    rng = Random(f"{seed}/{life.shopper.number}/{message.template}/{message.channel}/{message.items}")  # noqa: S311
    at = max(message.at + timedelta(minutes=rng.uniform(2, 150)), now + timedelta(minutes=rng.uniform(1, 20)))
    if message.channel == "email" and life.shopper.bounces:
        life.add(life.pen.engagement(at, "Message Bounced", message.message_id, "email"))
        return False
    life.add(life.pen.engagement(at, "Message Delivered", message.message_id, message.channel))
    if message.channel == "email" and rng.random() > _OPENED:
        return False
    at += timedelta(minutes=1)
    if message.channel == "email":
        life.add(life.pen.engagement(at, "Message Opened", message.message_id, "email"))
        if message.marketing and rng.random() < _UNSUBSCRIBED / _OPENED:
            return True
    opened = _OPENED if message.channel == "email" else 1.0
    if rng.random() < _CLICKED.get(message.template, 0) / opened:
        at += timedelta(minutes=1)
        life.add(life.pen.engagement(at, "Message Clicked", message.message_id, message.channel))
        if rng.random() < _BOUGHT.get(message.template, 0):
            _buy(life, message, at + timedelta(minutes=rng.uniform(5, 40)), rng, shelf)
        if message.template == "review_request" and rng.random() < _REVIEWED:
            life.add(life.cases.review(at + timedelta(minutes=rng.uniform(3, 9)), message.items[0]))
    return False


def _buy(life: Life, message: Received, at: datetime, rng: Random, shelf: Mapping[str, Product]) -> None:
    shown = [shelf[item] for item in message.items if item in shelf]
    life.buy_online(at, shown or browse(rng, life.shopper.favourite, rng.randint(1, 2)))
