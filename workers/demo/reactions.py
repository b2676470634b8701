"""How people take a message: open it, follow it, buy, or never want another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from workers.demo.shop import Product, browse
from workers.demo.shoppers import Life

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
