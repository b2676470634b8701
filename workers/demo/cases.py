"""What people turn to support with, send back, and say of what they bought."""

from datetime import datetime, timedelta
from random import Random

from workers.demo.acts import Act, Pen, Row
from workers.demo.cast import Shopper

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
