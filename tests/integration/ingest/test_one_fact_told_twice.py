"""One fact that several systems report has one effect, by its business id and in any order of arrival."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from profiles.views.profile import load_profile
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, Row, order

ADA = "ada@example.com"

Told = tuple[str, str, Row]
"""Source, name and properties of an event."""

LAMPS = LAMP | {"quantity": 3}

BOUGHT: Told = ("shop", "Order Completed", order(LAMPS, CHAIR))


def refunded(source: str, *products: Row, name: str = "Order Refunded", **more: Any) -> Told:
    return source, name, {**order(*products), **more}


def whole(source: str, name: str = "Order Refunded", **more: Any) -> Told:
    return source, name, {"order_id": "o-1", **more}


ONE_LAMP = LAMP | {"quantity": 1}

RETURNED: tuple[tuple[str, list[Told], list[int]], ...] = (
    (
        "one refund_id from shop and ERP",
        [refunded("shop", ONE_LAMP, refund_id="r1"), refunded("erp", ONE_LAMP, refund_id="r1")],
        [1, 0],
    ),
    (
        "its id as a number and as a text, and by another name",
        [refunded("shop", ONE_LAMP, refund_id=7.0), refunded("erp", ONE_LAMP, refundId=" 7")],
        [1, 0],
    ),
    (
        "one id under two names of events",
        [
            refunded("shop", ONE_LAMP, refund_id="r1"),
            refunded("erp", ONE_LAMP, name="Order Cancelled", refund_id="r1"),
        ],
        [1, 0],
    ),
    (
        "one return_id",
        [refunded("shop", ONE_LAMP, return_id="x"), refunded("erp", ONE_LAMP, return_id="x")],
        [1, 0],
    ),
    (
        "the unit in one, the product in the other",
        [refunded("shop", ONE_LAMP, refund_id="r1"), refunded("erp", {"product_id": "lamp"}, refund_id="r1")],
        [1, 0],
    ),
    (
        "no id, two sources",
        [refunded("shop", ONE_LAMP), refunded("erp", ONE_LAMP)],
        [1, 0],
    ),
    (
        "a piece that is cancelled and then refunded",
        [refunded("shop", ONE_LAMP, name="Order Cancelled"), refunded("shop", ONE_LAMP)],
        [1, 0],
    ),
    (
        "three reports",
        [refunded(source, ONE_LAMP, refund_id="r1") for source in ("shop", "erp", "payments")],
        [1, 0],
    ),
    (
        "two refunds with ids of their own",
        [refunded("shop", ONE_LAMP, refund_id="r1"), refunded("erp", ONE_LAMP, refund_id="r2")],
        [2, 0],
    ),
    (
        "two refunds of one payment",
        [refunded("shop", ONE_LAMP, payment_id="p"), refunded("shop", ONE_LAMP, payment_id="p")],
        [2, 0],
    ),
    (
        "two refunds, each from both",
        [
            refunded(source, ONE_LAMP, refund_id=number)
            for number in ("r1", "r2")
            for source in ("shop", "erp")
        ],
        [2, 0],
    ),
    (
        "no id, one source: two refunds",
        [refunded("shop", ONE_LAMP), refunded("shop", ONE_LAMP)],
        [2, 0],
    ),
    (
        "the amount from the payments, the lines from the shop",
        [whole("payments", refund_id="r1", amount=39.0), refunded("shop", ONE_LAMP, refund_id="r1")],
        [1, 0],
    ),
    (
        "no lines in one: those of the other, and not the whole order",
        [whole("erp", refund_id="r1"), refunded("shop", CHAIR, refund_id="r1")],
        [0, 1],
    ),
    (
        "other lines in each: all of them",
        [refunded("shop", ONE_LAMP, refund_id="r1"), refunded("erp", CHAIR, refund_id="r1")],
        [1, 1],
    ),
    ("the whole order twice", [whole("shop", "Order Cancelled"), whole("erp", "Order Cancelled")], [3, 1]),
    ("a part of the money twice", [whole("shop", refund_id="r1", amount=39.0)] * 2, [0, 0]),
    (
        "parts of the money that add up to the order",
        [whole("shop", refund_id="r1", amount=117.0), whole("shop", refund_id="r2", amount=99.0)],
        [0, 0],
    ),
)


async def told(facts: IngestHarness, events: list[Told]) -> None:
    for source, name, properties in events:
        facts.source = source
        await facts.happens(name, properties, email=ADA)


async def returned(facts: IngestHarness) -> list[int]:
    return await facts.values("SELECT returned FROM purchase ORDER BY line, event_id")


@pytest.mark.parametrize(
    ("events", "pieces"), [pytest.param(events, pieces, id=name) for name, events, pieces in RETURNED]
)
async def test_each_piece_comes_back_once(
    facts: IngestHarness, events: list[Told], pieces: list[int]
) -> None:
    await told(facts, [BOUGHT, *events])

    assert await returned(facts) == pieces
    owned = [
        item for item, back, of in zip(("chair", "lamp"), reversed(pieces), (1, 3), strict=True) if back < of
    ]
    assert await facts.suppressed("email", ADA) == owned


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(
    ("events", "pieces"), [pytest.param(events, pieces, id=name) for name, events, pieces in RETURNED]
)
async def test_and_in_every_order_of_arrival(
    facts: IngestHarness, events: list[Told], pieces: list[int], together: bool
) -> None:
    for number, arrival in enumerate(list(permutations([BOUGHT, *events]))[:24]):
        who = f"p{number}@example.com"
        batch = []
        for source, name, properties in arrival:
            batch.append(replace(facts.event(name, properties, email=who), source=source))
        for part in [batch] if together else [[event] for event in batch]:
            await facts.ingest(part)
        profile = await facts.who("email", who)
        query = "SELECT returned FROM purchase WHERE profile_id = $1 ORDER BY line"
        assert await facts.values(query, profile) == pieces, [name for _, name, _ in arrival]


AGAIN: tuple[tuple[str, Told, list[str], list[tuple[str, int]], float], ...] = (
    (
        "the same again",
        ("erp", "Order Completed", order(LAMPS, CHAIR)),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
    (
        "as an update",
        ("erp", "Order Updated", order(LAMPS, CHAIR)),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
    (
        "its number in another form",
        ("erp", "Order Completed", order(LAMPS, CHAIR, order_id=" o-1 ")),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
    (
        "a line more: it is bought",
        ("erp", "Order Updated", order(LAMPS, CHAIR, {"product_id": "rug", "price": 10.0})),
        ["chair", "lamp", "rug"],
        [("chair", 1), ("lamp", 3), ("rug", 1)],
        226.0,
    ),
    (
        "a line less: it is still owned, until a refund says so",
        ("erp", "Order Updated", order(LAMPS)),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
    (
        "fewer pieces: the greater number counts",
        ("erp", "Order Completed", order(LAMP, CHAIR)),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
    (
        "more pieces",
        ("erp", "Order Completed", order(LAMP | {"quantity": 4}, CHAIR)),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 4)],
        255.0,
    ),
    (
        "without prices",
        ("erp", "Order Completed", order({"product_id": "lamp", "quantity": 3}, {"product_id": "chair"})),
        ["chair", "lamp"],
        [("chair", 1), ("lamp", 3)],
        216.0,
    ),
)


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize(
    ("again", "owned", "pieces", "spent"), [pytest.param(*row, id=name) for name, *row in AGAIN]
)
async def test_an_order_that_two_systems_report_is_bought_once(
    facts: IngestHarness,
    again: Told,
    owned: list[str],
    pieces: list[tuple[str, int]],
    spent: float,
    is_first: bool,
) -> None:
    completed = ("erp", "Order Completed", again[2]) if is_first else again
    await told(facts, [completed, BOUGHT] if is_first else [BOUGHT, again])
    profile = await facts.who("email", ADA)
    async with facts.database.transaction() as connection:
        seen = await load_profile(connection, profile, lambda named, context, phone: ("UTC", "test"))
    [figures] = await facts.rows("SELECT orders, spent FROM profile")

    assert await facts.suppressed("email", ADA) == owned
    assert sorted((line.item, line.quantity) for line in seen.purchases) == pieces
    assert figures == {"orders": 1, "spent": spent}


async def test_reports_of_the_next_day_are_no_visit(facts: IngestHarness) -> None:
    for number, day in enumerate((90, 60, 30)):
        for source, late in (("web", 0.0), ("erp", 1.2)):
            facts.source = source
            ago = timedelta(days=day - late)
            await facts.happens("Order Completed", order(LAMP, order_id=f"o-{number}"), ago=ago, email=ADA)

    assert await facts.values("SELECT median_gap_days FROM profile") == [30.0]


async def test_a_refund_of_an_order_that_two_systems_report_lifts_both(facts: IngestHarness) -> None:
    again: Told = ("erp", "Order Completed", order(LAMPS, CHAIR))
    await told(
        facts,
        [BOUGHT, again, refunded("shop", LAMPS, refund_id="r1"), refunded("erp", LAMPS, refund_id="r1")],
    )

    assert await facts.suppressed("email", ADA) == ["chair"]
    assert await facts.values("SELECT spent FROM profile") == [99.0]


async def test_a_page_takes_nothing_from_what_the_shop_says_of_a_refund(facts: IngestHarness) -> None:
    """A stranger who names the refund with one line of it does not narrow the shop's own word."""
    await told(facts, [BOUGHT, whole("shop", refund_id="r1")])
    page = facts.event("Order Refunded", order(CHAIR) | {"refund_id": "r1"}, email=ADA)
    await facts.ingest([replace(page, source="page", verified=False)])

    assert await returned(facts) == [3, 1]


async def test_a_page_gives_nothing_back_that_the_shop_sold(facts: IngestHarness) -> None:
    await told(facts, [BOUGHT, refunded("shop", CHAIR, refund_id="r1")])
    page = facts.event("Order Refunded", order(LAMPS) | {"refund_id": "r1"}, email=ADA)
    await facts.ingest([replace(page, source="page", verified=False)])

    assert await returned(facts) == [0, 1]
    assert await facts.suppressed("email", ADA) == ["lamp"]
