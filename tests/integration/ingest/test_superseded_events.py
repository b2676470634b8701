"""A verified event takes the place of an unverified one of its source and id; what that leaves behind."""

from dataclasses import replace
from datetime import timedelta

import pytest

from profiles.ingest.event_store import IngestStatus
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, Row

JOURNEYS = (CARTS,)

ADA = "ada@example.com"


def unverified(event: IncomingEvent) -> IncomingEvent:
    return replace(event, verified=False)


async def cart(facts: IngestHarness) -> list[tuple[str, int]]:
    """(product, quantity) of all lines of all carts."""
    rows = await facts.rows(
        "SELECT l ->> 'product_id' AS product, (l ->> 'quantity')::int AS quantity "
        "FROM cart, jsonb_array_elements(lines) l ORDER BY 1, 2"
    )
    return [(row["product"], row["quantity"]) for row in rows]


async def test_a_page_and_a_backend_that_report_one_event_add_the_product_once(facts: IngestHarness) -> None:
    event = facts.event("Product Added", LAMP, email=ADA)
    results = [(await facts.ingest([each]))[0] for each in (unverified(event), event, unverified(event))]

    statuses = [result.status for result in results]
    assert statuses == [IngestStatus.ACCEPTED, IngestStatus.ACCEPTED, IngestStatus.DUPLICATE]
    assert await cart(facts) == [("lamp", 1)]


async def test_a_superseded_event_counts_in_no_cart_and_the_cart_keeps_its_id(facts: IngestHarness) -> None:
    """The stranger's event began the cart; the run that the person has keeps its key."""
    await facts.ingest([unverified(facts.event("Product Added", CHAIR, event_id="t-1", email=ADA))])
    await facts.happens("Product Added", LAMP, email=ADA)
    before = await facts.rows("SELECT cart_id FROM cart")
    [answer] = await facts.ingest([facts.event("Ticket Opened", {}, event_id="t-1", email="eve@example.com")])

    assert answer.status is IngestStatus.ACCEPTED
    assert await cart(facts) == [("lamp", 1)]
    assert await facts.rows("SELECT cart_id FROM cart") == before


async def test_a_superseded_event_is_kept_and_says_what_took_its_place(facts: IngestHarness) -> None:
    event = facts.event("Product Viewed", LAMP, event_id="t-1", email=ADA)
    [first] = await facts.ingest([unverified(event)])
    [second] = await facts.ingest([replace(event, properties={"product_id": "rug"})])
    rows = await facts.rows("SELECT event_id, id, superseded_by, problems::text AS problems FROM event")
    kept = {row["event_id"]: row for row in rows}

    assert second.event_id is not None
    assert first.event_id is not None
    assert kept[first.event_id]["superseded_by"] == second.event_id
    assert kept[first.event_id]["id"] == f"t-1/superseded/{first.event_id}"
    assert "took its place" in kept[first.event_id]["problems"]
    assert (kept[second.event_id]["id"], kept[second.event_id]["superseded_by"]) == ("t-1", None)
    assert "took the place of an unverified event" in kept[second.event_id]["problems"]


async def test_an_unverified_event_never_takes_the_place_of_another(facts: IngestHarness) -> None:
    event = facts.event("Product Viewed", LAMP, email=ADA)
    other = replace(event, properties=CHAIR)
    await facts.ingest([unverified(event)])

    assert [(await facts.ingest([unverified(other)]))[0].status] == [IngestStatus.CONFLICT]
    assert await facts.values("SELECT count(*) FROM event WHERE superseded_by IS NOT NULL") == [0]


def order(order_id: str | None = None) -> Row:
    return {"products": [LAMP | {"quantity": 2}]} | ({"order_id": order_id} if order_id else {})


async def test_an_order_of_page_and_backend_is_one_order(facts: IngestHarness) -> None:
    event = facts.event("Order Completed", order(), email=ADA)
    await facts.ingest([unverified(event)])
    await facts.ingest([event])

    assert await facts.rows("SELECT orders, spent FROM profile") == [{"orders": 1, "spent": 78.0}]


async def test_a_refund_of_page_and_backend_returns_its_quantity_once(facts: IngestHarness) -> None:
    bought = facts.event("Order Completed", order("o-1"), email=ADA)
    returned = facts.event(
        "Order Refunded", {"order_id": "o-1", "products": [LAMP | {"quantity": 1}]}, email=ADA
    )
    for event in (bought, returned):
        await facts.ingest([unverified(event)])
        await facts.ingest([event])

    assert set(await facts.values("SELECT returned FROM purchase")) == {1}
    assert set(await facts.values("SELECT lifted_at FROM suppression")) == {None}


@pytest.mark.parametrize("later", [False, True])
async def test_a_merge_and_a_replay_leave_superseded_events_out(facts: IngestHarness, later: bool) -> None:
    """The superseding event comes before or after the merge; the replayed carts are the same."""
    chair = facts.event("Product Added", CHAIR, event_id="t-1", anonymous_id="a-1")
    lamp = facts.event("Product Added", LAMP, loyalty_id="L7")
    merge = facts.event("Identified", {}, loyalty_id="L7", anonymous_id="a-1")
    truth = facts.event("Ticket Opened", {}, event_id="t-1", email="eve@example.com")
    await facts.ingest([unverified(chair)])
    await facts.ingest([lamp])
    for event in (merge, truth) if later else (truth, merge):
        await facts.ingest([event])
    # A late event has the carts replayed once more.
    await facts.happens("Product Viewed", LAMP, loyalty_id="L7")
    late = facts.event("Product Added", LAMP, loyalty_id="L7", ago=timedelta(hours=1))
    await facts.ingest([late])

    assert await cart(facts) == [("lamp", 2)]


async def test_no_trigger_of_a_superseded_event_starts_a_run_again(facts: IngestHarness) -> None:
    """The run of the stranger's event is there already; the verified event starts no second one."""
    event = facts.event("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.ingest([unverified(event)])
    await facts.ingest([event])

    assert await facts.values("SELECT count(*) FROM run") == [1]
