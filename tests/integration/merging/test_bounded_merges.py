"""A merge costs the same whatever its profiles have behind them, and its sender pays for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from profiles.state import bounds
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order

JOURNEYS = (CARTS,)

ADA, PHONE = "ada@example.com", "+4915112345678"


def unverified(facts: IngestHarness, name: str, properties: object = None, **more: object) -> IncomingEvent:
    return replace(facts.event(name, properties, **more), verified=False)  # type: ignore[arg-type]


def forged_orders(facts: IngestHarness, count: int, lines: int) -> list[IncomingEvent]:
    products = [{"product_id": f"p-{line}"} for line in range(lines)]
    return [
        unverified(facts, "Order Updated", order(*products, order_id=f"o-{number}"), email=ADA)
        for number in range(count)
    ]


async def test_a_merge_applies_a_bounded_part_of_the_history(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 200 orders of 500 lines, each merge took 5 s."""
    monkeypatch.setattr(bounds, "MAX_REPLAYED_SIZE", 10_000)
    visit = {"traits": {"city": "Bonn"}, "ago": timedelta(days=1), "email": ADA}
    first = unverified(facts, "Checkout Started", LAMP | {"cart_id": "old"}, **visit)
    await facts.ingest([first])
    # One request after the other, as they would come.
    for event in forged_orders(facts, 20, 100):
        await facts.ingest([event])
    for cart, named in (("new", {"email": ADA}), ("phone", {"phone": PHONE})):
        await facts.ingest([unverified(facts, "Product Added", LAMP | {"cart_id": cart}, **named)])
    [link] = await facts.ingest([unverified(facts, "Signed In", email=ADA, phone=PHONE)])
    again, *_ = await facts.ingest([unverified(facts, "Signed In", email=ADA, phone=PHONE)])

    assert await facts.who("email", ADA) == await facts.who("phone", PHONE)
    assert 20 <= link.replayed_events <= 60, "as many events of the usual size as fit, not the 4 orders"
    assert again.replayed_events == 0
    assert await facts.carts() == {"new": ["lamp"], "old": [], "phone": ["lamp"]}
    kept = "SELECT traits ->> 'city' FROM profile WHERE merged_into IS NULL AND last_checkout_at IS NOT NULL"
    assert await facts.values(kept) == ["Bonn"]


async def test_a_run_of_a_cart_before_the_window_has_no_items_after_the_merge(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run had is not known any more, so that its cart is closed and not forgotten."""
    monkeypatch.setattr(bounds, "MAX_REPLAYED_EVENTS", 5)
    await facts.happens("Product Added", LAMP | {"cart_id": "old"}, email=ADA)
    await facts.happens("Product Removed", LAMP | {"cart_id": "old"}, email=ADA)
    for event in forged_orders(facts, 10, 1):
        await facts.ingest([event])
    await facts.happens("Product Viewed", LAMP, phone=PHONE)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert await facts.values("SELECT closed_at IS NOT NULL FROM cart WHERE cart_id = 'old'") == [True]
    assert await facts.carts() == {"old": []}
