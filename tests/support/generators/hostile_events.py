"""Unverified events of a stranger who knows how Waypost works: wrong types, endless texts, great numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from profiles.events import Event
from profiles.state.event_records import IncomingEvent

NUMBERS = st.sampled_from(
    (0, -1, 1, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63), 1e27, 1e308, -1e308, 0.1, True, None, "9" * 400)
) | st.sampled_from(("1e400", "nan", "-inf", "Infinity", "2147483648", " 7 ", "٣", "", "x"))

TEXTS = st.sampled_from(
    (
        *("", " ", "lamp", "L7", "marketing", "all", "withdrawn", "granted", "\u202e", "\ufdfa" * 400),
        *("t" * 2_641, "\U0001f600" * 2_641, "%40" * 3_000, "a@b.c" * 500, "+1" * 2_000, "c" * 60_000),
    )
)

SCALARS = NUMBERS | TEXTS

VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("a", "b")), inner, max_size=2)
    ),
    max_leaves=4,
)

LINES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("product_id", "sku", "name", "category", "group", "url", "brand"), SCALARS),
        **dict.fromkeys(("price", "quantity"), NUMBERS),
    },
)

PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("product_id", "sku", "name", "order_id", "cart_id", "checkout_token"), SCALARS),
        **dict.fromkeys(("price", "quantity", "total", "value", "was", "rating"), NUMBERS),
        **dict.fromkeys(("topic", "source", "method", "text_version", "text", "in_stock", "bundle"), VALUES),
        "channel": st.sampled_from(("email", "sms", "ads", "all", "x")) | SCALARS,
        "state": st.sampled_from(("granted", "withdrawn")) | SCALARS,
        "products": st.lists(LINES | VALUES, max_size=4)
        | LINES.map(lambda line: [line | {"sku": f"s{number}"} for number in range(600)]),
    },
)

TRAITS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("timezone", "locale", "first_name", "n" * 3_000), VALUES),
        "many": VALUES,
        "consents": st.dictionaries(st.sampled_from(("email", "sms", "all", "x" * 500)), VALUES, max_size=3)
        | VALUES,
    },
)

NAMES = st.sampled_from(
    (
        *sorted(Event.registry.keys() - {"Customer Lapsed", "Segment Entered"}),
        *("Consent Changed", "Identified", "Unknown " + "n" * 240),
    )
)


@st.composite
def hostile_events(draw: Any, kinds: Sequence[str]) -> IncomingEvent:
    """One unverified event with the till's ids. It names identifiers of ``kinds``, without their values."""
    named = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3, unique=True))
    now = datetime.now(UTC)
    time = draw(
        st.sampled_from((now, now - timedelta(days=300), now + timedelta(days=30)))
        | st.datetimes(datetime(1970, 1, 2), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    )
    return IncomingEvent(
        source="pos/berlin-3",
        id=draw(st.sampled_from(("till-1", "till-2", "p-1", "p-2", "p-3"))),
        type=draw(NAMES),
        channel=draw(st.sampled_from(("web", "store", "sms", "email"))),
        time=time,
        identifiers=tuple((kind, "") for kind in named),
        properties=draw(PROPERTIES),
        traits=draw(TRAITS),
        verified=False,
    )
