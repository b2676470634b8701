"""Behaviour of the simulated shoppers: visits, carts, orders, support cases, and reactions to messages.

The rates are those of an ordinary web shop: about a third of the visits fill a cart, and about a quarter
of the carts are paid for at once. Three parts are drawn from separate random streams: ``ShopperPlan`` (visits
and orders), ``ShopperCases`` (tickets, returns, reviews), and ``plan_reaction`` (to a delivered message).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from local.demo.catalog import STORES, DemoProduct, pick_products
from local.demo.events import EventBuilder, JsonObject, ShopperEvent
from local.demo.people import DemoShopper

_CART_RATE = 0.3
"""Share of visits. With shoppers that fill several carts or use two devices, it is a third of all visits."""

_CHECKOUT_RATE = 0.5

_PAYMENT_RATE = 0.55
"""Share of checkouts."""

_STORE_PURCHASE_RATE = 0.5
"""Share of abandoned carts of shoppers with a loyalty card that are bought in a store, whole or in part."""

_CART_TICKET_RATE = 0.16

_ORDER_TICKET_RATE = 0.25

_PARTIAL_RETURN_RATE = 0.4
"""Share of orders with several products."""

_UNREQUESTED_REVIEW_RATE = 0.15

_LATE_SOLUTION_RATE = 0.25
"""Share of tickets about a cart that are solved only after the cart journey has ended."""

_OPEN_RATE = 0.45

_UNSUBSCRIBE_RATE = 0.04

_RESPONSE_RATES: Mapping[str, tuple[float, float]] = {
    "cart_reminder": (0.2, 0.5),
    "cart_offer": (0.16, 0.6),
    "cart_news": (0.3, 0.6),
    "cart_rest": (0.16, 0.4),
    "we_miss_you": (0.2, 0.5),
    "win_back_offer": (0.25, 0.6),
    "cross_sell": (0.08, 0),
    "review_request": (0.12, 0),
    "goodbye": (0.03, 0),
}
"""By template: the share of messages that are clicked, and the share of clicks that end in a purchase."""

_REVIEW_RATE = 0.8
"""Share of clicks on a review request."""


class ShopperPlan:
    """Planned events of one shopper. Events are planned ahead and taken as the calendar advances."""

    def __init__(self, shopper: DemoShopper, opening: datetime, seed: int) -> None:
        """``opening``: start of the shop's first day."""
        self.shopper = shopper
        self.opening = opening
        self.builder = EventBuilder(shopper)
        self.case_builder = ShopperCases(shopper, self.builder, seed)
        self.bought: list[DemoProduct] = []
        self._rng = Random(f"{seed}/days/{shopper.number}")  # noqa: S311 - a simulation
        self._orders = 0
        self._visits = 0
        self._signed_in_devices: set[str] = set()
        self._planned: list[ShopperEvent] = []

    def past_events(self, now: datetime) -> list[ShopperEvent]:
        """Return events from before the demo: an account, orders of weeks or months ago, a recent visit."""
        shopper, rng = self.shopper, self._rng
        if not (shopper.lapsed or shopper.bought_recently):
            return []
        if shopper.ordered_regularly:
            return self._regular_past_events(now)
        ago = timedelta(days=rng.uniform(105, 260) if shopper.lapsed else rng.uniform(6, 60))
        past = [self._account_event(now - ago), self._past_order_event(now - ago)]
        return [*past, *self._recent_visit(now)]

    def _regular_past_events(self, now: datetime) -> list[ShopperEvent]:
        """Return an order every few weeks, the last one more than two such intervals ago."""
        every = timedelta(days=self._rng.uniform(14, 23))
        last = now - every * self._rng.uniform(2.3, 3.2)
        orders = [
            self._past_order_event(last - every * back) for back in reversed(range(self._rng.randint(3, 4)))
        ]
        return [self._account_event(orders[0].at), *orders, *self._recent_visit(now)]

    def _recent_visit(self, now: datetime) -> list[ShopperEvent]:
        """Return a visit of a lapsed shopper, without which what is known of them is history."""
        if not self.shopper.lapsed:
            return []
        return [self.builder.track(now - timedelta(minutes=5), "web", "Page Viewed", {})]

    def _account_event(self, ordered: datetime) -> ShopperEvent:
        return self.builder.identify(ordered - timedelta(minutes=9), "web")

    def _past_order_event(self, at: datetime) -> ShopperEvent:
        shopper, rng = self.shopper, self._rng
        goods = pick_products(rng, shopper.favourite, rng.randint(1, 3))
        self.bought += goods
        order = self._build_order(goods)
        if shopper.loyalty_id and rng.random() < 0.7:
            return self.builder.store_order(at, rng.choice(STORES), order)
        return self.builder.track(at, "web", "Order Completed", order)

    def plan_visits(self) -> None:
        """Plan the visits and store purchases of the first days."""
        shopper, rng = self.shopper, self._rng
        if shopper.lapsed:
            if shopper.loyalty_id and rng.random() < 0.35:
                at = self.opening + timedelta(days=rng.randint(3, 12), hours=rng.uniform(8, 17))
                self.buy_in_store(at, pick_products(rng, shopper.favourite, 1))
            return
        first = self.opening + timedelta(minutes=rng.uniform(0, 24 * 60 - 5))
        if rng.random() < 0.92:
            if shopper.two_devices:
                first = self._plan_second_device(first)
            self._plan_visit(first)
        if shopper.fills_several_carts:
            for hour in (1.5, 3, 4.5):
                self._plan_visit(first + timedelta(hours=hour), fills_a_cart=True)
        elif rng.random() < 0.28:
            self._plan_visit(first + timedelta(days=rng.choice((2, 3)), hours=rng.uniform(-3, 5)))
        if shopper.loyalty_id and rng.random() < 0.12:
            at = self.opening + timedelta(days=rng.randint(0, 4), hours=rng.uniform(8, 17))
            self.buy_in_store(at, pick_products(rng, shopper.favourite, rng.randint(1, 3)))
            if rng.random() < 0.5:
                self._plan_visit(at + timedelta(hours=rng.uniform(3, 9)), fills_a_cart=True)

    def take_due(self, until: datetime) -> list[ShopperEvent]:
        """Return the events before ``until``, in order, and remove them from the plan."""
        due = sorted((event for event in self._planned if event.at < until), key=lambda event: event.at)
        self._planned = [event for event in self._planned if event.at >= until]
        return due

    def planned_product_ids(self, until: datetime) -> list[str]:
        """Return the ids of the products that are added to a cart before ``until``, as far as planned."""
        return [
            event.body["properties"]["product_id"]
            for event in self._planned
            if event.at < until and event.body.get("event") == "Product Added"
        ]

    def add_events(self, *acts: ShopperEvent) -> None:
        """Add events to the plan."""
        self._planned.extend(acts)

    def buy_online(self, at: datetime, goods: list[DemoProduct], device: str = "web") -> None:
        """Plan an order on the web, and its cancellation, delivery or return."""
        order = self._build_order(goods)
        self.add_events(self.builder.track(at, device, "Order Completed", order))
        self.bought += goods
        self._plan_order_outcome(at, order)

    def buy_in_store(self, at: datetime, goods: list[DemoProduct]) -> None:
        """Plan a purchase in a store, in random variants."""
        shelf = [product.to_line(self._rng.choice(product.variants)) for product in goods]
        order = self._build_order(goods) | {"products": shelf}
        self.add_events(self.builder.store_order(at, self._rng.choice(STORES), order))
        self.bought += goods

    def _plan_visit(self, at: datetime, *, fills_a_cart: bool = False) -> None:
        """Plan a visit: product views, then possibly a cart and a checkout."""
        rng, shopper = self._rng, self.shopper
        self._visits += 1
        device = "mobile" if rng.random() < 0.4 else "web"
        at = self._plan_sign_in(at, device)
        seen = pick_products(rng, shopper.favourite, rng.randint(1, 6))
        if self.bought and rng.random() < 0.5:
            seen.append(rng.choice(self.bought))  # shoppers return to products they bought
        for product in seen:
            at = self._plan_click(at, device, "Product Viewed", product.to_line())
        if not fills_a_cart and rng.random() > _CART_RATE:
            return
        goods = rng.sample(seen, min(len(seen), rng.choice((1, 2, 2, 3))))
        if seen[-1] in self.bought and seen[-1] not in goods and rng.random() < 0.6:
            goods.append(seen[-1])
        cart = {"cart_id": f"cart-{shopper.number}-{self._visits}"}
        for product in goods:
            line = product.to_line(rng.choice(product.variants))
            at = self._plan_click(at, device, "Product Added", line | cart)
        if len(goods) > 1 and rng.random() < 0.1:
            at = self._plan_click(at, device, "Product Removed", goods.pop().to_line() | cart)
        self._plan_checkout(at, device, goods)

    def _plan_checkout(self, at: datetime, device: str, goods: list[DemoProduct]) -> None:
        rng = self._rng
        if rng.random() < _CHECKOUT_RATE:
            lines = [product.to_line() for product in goods]
            checkout = {"value": sum(line["price"] for line in lines), "currency": "EUR", "products": lines}
            at = self._plan_click(at, device, "Checkout Started", checkout)
            if rng.random() < _PAYMENT_RATE:
                self.buy_online(at + timedelta(minutes=2), goods, device)
                return
        self.add_events(*self.case_builder.cart_events(at))
        if self.shopper.loyalty_id and rng.random() < _STORE_PURCHASE_RATE:
            some = goods if rng.random() < 0.45 else rng.sample(goods, max(1, len(goods) - 1))
            # Either before the first reminder, or the day after it.
            soon = rng.random() < 0.3
            later = timedelta(minutes=rng.uniform(20, 50)) if soon else timedelta(hours=rng.uniform(13, 22))
            self.buy_in_store(at + later, some)

    def _plan_second_device(self, at: datetime) -> datetime:
        """Plan views on the phone without a login, then a login on both devices, which merges profiles."""
        [product] = pick_products(self._rng, self.shopper.favourite, 1)
        self.add_events(self.builder.track(at, "mobile", "Product Viewed", product.to_line(), known=False))
        at += timedelta(minutes=4)
        if self._rng.random() < 0.6:
            line = product.to_line() | {"cart_id": f"cart-{self.shopper.number}-phone"}
            self.add_events(self.builder.track(at, "mobile", "Product Added", line, known=False))
        self._plan_sign_in(at + timedelta(minutes=25), "web")
        return self._plan_sign_in(at + timedelta(minutes=35), "mobile")

    def _plan_sign_in(self, at: datetime, device: str) -> datetime:
        if self.shopper.has_account and device not in self._signed_in_devices:
            self._signed_in_devices.add(device)
            self.add_events(self.builder.identify(at, device))
        return at + timedelta(seconds=20)

    def _plan_click(self, at: datetime, device: str, name: str, properties: JsonObject) -> datetime:
        self.add_events(self.builder.track(at, device, name, properties))
        return at + timedelta(seconds=self._rng.uniform(20, 150))

    def _build_order(self, goods: list[DemoProduct]) -> JsonObject:
        self._orders += 1
        lines = [product.to_line() for product in goods]
        return {
            "order_id": f"order-{self.shopper.number}-{self._orders}",
            "total": round(sum(line["price"] for line in lines), 2),
            "currency": "EUR",
            "products": lines,
        }

    def _plan_order_outcome(self, at: datetime, order: JsonObject) -> None:
        """Plan what follows a web order: cancellation, or delivery in time, late or never, or a return."""
        rng = self._rng
        about = {"order_id": order["order_id"]}
        if rng.random() < 0.05:
            cancelled = at + timedelta(hours=rng.uniform(3, 11))
            self.add_events(self.builder.support_event(cancelled, "Order Cancelled", about))
            return
        fate = rng.random()
        if fate > 0.93:
            return
        delivered = at + timedelta(days=rng.uniform(2, 4) if fate < 0.8 else rng.uniform(8, 12))
        self.add_events(self.builder.system_event(delivered, "carrier", "Order Delivered", about))
        if rng.random() < 0.1:
            back = delivered + timedelta(days=rng.uniform(1, 4))
            self.add_events(self.builder.support_event(back, "Order Refunded", about))
            return
        self.add_events(*self.case_builder.order_events(delivered, order))


class ShopperCases:
    """Support tickets, returns and reviews of one shopper, drawn independently of the visits."""

    def __init__(self, shopper: DemoShopper, pen: EventBuilder, seed: int) -> None:
        self._shopper = shopper
        self._builder = pen
        self._rng = Random(f"{seed}/cases/{shopper.number}")  # noqa: S311 - a simulation
        self._ticket_count = 0

    def cart_events(self, left_at: datetime) -> list[ShopperEvent]:
        """Return a ticket about the cart, opened before the reminder or before the offer; often nothing."""
        rng = self._rng
        if not self._shopper.has_account or rng.random() > _CART_TICKET_RATE:
            return []
        minutes = (35, 50) if rng.random() < 0.5 else (240, 900)
        opened = left_at + timedelta(minutes=rng.uniform(*minutes))
        days = (4, 6) if rng.random() < _LATE_SOLUTION_RATE else (0.7, 1.6)
        return self._ticket_events(opened, opened + timedelta(days=rng.uniform(*days)))

    def order_events(self, delivered: datetime, order: JsonObject) -> list[ShopperEvent]:
        """Return a complaint, a partial return or an unrequested review; often nothing."""
        rng, lines = self._rng, order["products"]
        acts: list[ShopperEvent] = []
        if self._shopper.has_account and rng.random() < _ORDER_TICKET_RATE:
            opened = delivered + timedelta(days=rng.uniform(1, 9))
            acts += self._ticket_events(opened, opened + timedelta(days=rng.uniform(2, 6)))
        if len(lines) > 1 and rng.random() < _PARTIAL_RETURN_RATE:
            sent_back = rng.sample(lines, rng.randint(1, len(lines) - 1))
            about = {"order_id": order["order_id"], "products": sent_back}
            requested = delivered + timedelta(days=rng.uniform(1, 3))
            refunded = requested + timedelta(days=rng.uniform(4, 9))
            acts.append(self._builder.support_event(requested, "Return Requested", about))
            acts.append(self._builder.support_event(refunded, "Order Refunded", about))
        elif rng.random() < _UNREQUESTED_REVIEW_RATE:
            at = delivered + timedelta(days=rng.uniform(1, 4))
            acts.append(self.review_event(at, rng.choice(lines)["product_id"]))
        return acts

    def review_event(self, at: datetime, product_id: str) -> ShopperEvent:
        """Return a review on the shop's web page."""
        review = {"product_id": product_id, "rating": self._rng.randint(3, 5)}
        return self._builder.track(at, "web", "Product Reviewed", review)

    def _ticket_events(self, opened: datetime, solved: datetime) -> list[ShopperEvent]:
        self._ticket_count += 1
        about = {"ticket_id": f"ticket-{self._shopper.number}-{self._ticket_count}"}
        return [
            self._builder.support_event(opened, "Ticket Opened", about),
            self._builder.support_event(solved, "Ticket Solved", about),
        ]


@dataclass(frozen=True, slots=True)
class DeliveredMessage:
    """A message that was delivered to a shopper."""

    message_id: str
    channel: str
    template: str
    marketing: bool
    items: tuple[str, ...]
    at: datetime
    """By the run's clock."""


def plan_reaction(
    plan: ShopperPlan,
    message: DeliveredMessage,
    now: datetime,
    seed: int,
    products: Mapping[str, DemoProduct],
) -> bool:
    """Plan a shopper's reaction to a message, from ``now`` on; returns whether the shopper unsubscribes.

    ``products``: the products by id, at the current prices.
    """
    rng = Random(f"{seed}/{plan.shopper.number}/{message.template}/{message.channel}/{message.items}")  # noqa: S311
    at = max(message.at + timedelta(minutes=rng.uniform(2, 150)), now + timedelta(minutes=rng.uniform(1, 20)))
    by_email = message.channel == "email"

    def add(name: str) -> None:
        plan.add_events(plan.builder.message_event(at, name, message.message_id, message.channel))

    if by_email and plan.shopper.email_bounces:
        add("Message Bounced")
        return False
    add("Message Delivered")
    if by_email and rng.random() > _OPEN_RATE:
        return False
    at += timedelta(minutes=1)
    if by_email:
        add("Message Opened")
        if message.marketing and rng.random() < _UNSUBSCRIBE_RATE / _OPEN_RATE:
            return True
    click_rate, purchase_rate = _RESPONSE_RATES.get(message.template, (0, 0))
    if rng.random() < click_rate / (_OPEN_RATE if by_email else 1.0):
        at += timedelta(minutes=1)
        add("Message Clicked")
        if rng.random() < purchase_rate:
            bought_at = at + timedelta(minutes=rng.uniform(5, 40))
            promoted = [products[item] for item in message.items if item in products]
            goods = promoted or pick_products(rng, plan.shopper.favourite, rng.randint(1, 2))
            plan.buy_online(bought_at, goods)
        if message.template == "review_request" and rng.random() < _REVIEW_RATE:
            reviewed_at = at + timedelta(minutes=rng.uniform(3, 9))
            plan.add_events(plan.case_builder.review_event(reviewed_at, message.items[0]))
    return False
