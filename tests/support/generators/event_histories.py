"""Made-up lives for Hypothesis: a few people with shared devices, carts, orders, refunds, consents."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from profiles.state.event_records import IncomingEvent

START = datetime(2026, 11, 1, 12, tzinfo=UTC)

_USERS = [("user_id", "u-1"), ("user_id", "u-2"), ("user_id", "u-3")]

_EMAILS = [("email", "ada@example.com"), ("email", "bob@example.com")]

_OTHERS = [
    *(("phone", "+4915112345678"), ("loyalty_id", "L-1")),
    *(("anonymous_id", "tablet"), ("anonymous_id", "handset"), ("push_token", "t-1")),
]

_PRODUCTS = [{"product_id": name, "sku": f"{name}-red", "price": 10.0} for name in ("lamp", "chair", "desk")]


@dataclass(frozen=True)
class HistoryEvent:
    """What happened, without its place in the line."""

    name: str
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]
    channel: str
    named: tuple[tuple[str, str], ...]
    verified: bool
    minute: int


_product = st.sampled_from(_PRODUCTS)

_in_cart = st.sampled_from([{}, {}, {"cart_id": "c-1"}, {"cart_id": "c-2"}])

_order = st.sampled_from([{"order_id": "o-1"}, {"order_id": "o-2"}, {"order_id": "o-3"}])

_happening = st.one_of(
    st.builds(lambda product, cart: ("Product Added", product | cart), _product, _in_cart),
    st.builds(lambda product, cart: ("Product Removed", product | cart), _product, _in_cart),
    st.builds(lambda product, cart: ("Checkout Started", {"products": [product]} | cart), _product, _in_cart),
    st.builds(
        lambda order, products: ("Order Completed", order | {"products": products}),
        _order,
        st.lists(_product, min_size=1, max_size=2),
    ),
    st.builds(lambda order, products: ("Order Refunded", order | {"products": products}), _order,
              st.lists(_product, max_size=1)),
    st.builds(
        lambda channel, state: ("Consent Changed", {"channel": channel, "state": state}),
        st.sampled_from(["email", "sms", "all"]),
        st.sampled_from(["granted", "withdrawn"]),
    ),
    st.just(("Product Viewed", {"product_id": "lamp"})),
)  # fmt: skip

_traits = st.dictionaries(
    st.sampled_from(["plan", "city", "timezone"]), st.sampled_from(["a", "b"]), max_size=2
)


def _told(identifiers: list[tuple[str, str]]) -> st.SearchStrategy[HistoryEvent]:
    return st.builds(
        lambda happening, traits, context, channel, named, verified, minute: HistoryEvent(
            happening[0], happening[1], traits, context, channel, tuple(named), verified, minute
        ),
        _happening,
        _traits,
        st.sampled_from(
            [{}, {"timezone": "Europe/Berlin"}, {"timezone": "America/New_York", "locale": "en-US"}]
        ),
        st.sampled_from(["web", "mobile", "store"]),
        st.lists(st.sampled_from(identifiers), min_size=1, max_size=3, unique=True),
        st.booleans(),
        st.integers(0, 60 * 24 * 20),
    )


told = _told([*_USERS, *_EMAILS, *_OTHERS])

lives = st.lists(told, min_size=1, max_size=30)

_ELSE = {"email": "else.{}", "phone": "{}9"}

lives_of_some = st.lists(told, min_size=1, max_size=10)


def _somebody_else(one: HistoryEvent) -> HistoryEvent:
    named = tuple((kind, _ELSE.get(kind, "{}-else").format(value)) for kind, value in one.named)
    cart = one.properties.get("cart_id")
    return replace(
        one, named=named, properties=one.properties | ({"cart_id": f"{cart}-else"} if cart else {})
    )


lives_of_others = st.lists(_told([*_EMAILS, *_OTHERS]).map(_somebody_else), min_size=1, max_size=10)
"""Shares no identifier and no cart with ``lives``, though orders go by the same numbers; nobody signs in, so
that they can be taken for somebody who does."""


def as_events(
    life: list[HistoryEvent],
    name: str = "e",
    *,
    start: datetime = START,
    minute: timedelta = timedelta(minutes=1),
) -> list[IncomingEvent]:
    """A life as events, each with an id of its own that does not depend on where it stands.

    ``start``: when the first can happen; ``minute``: how long one of the life's minutes takes.
    """
    return [
        IncomingEvent(
            source=f"life/{one.channel}",
            id=f"{name}-{number}",
            type=one.name,
            channel=one.channel,
            time=start + one.minute * minute,
            identifiers=one.named,
            properties=one.properties,
            traits=one.traits,
            context=one.context,
            verified=one.verified,
        )
        for number, one in enumerate(life)
    ]
