"""Which events that came before a run count for it when it starts."""

from datetime import timedelta
from uuid import UUID

import pytest

from profiles.db.database import Database
from profiles.runs import earlier_events
from profiles.runs.routing import MAX_EARLIER_SIGNALS
from tests.support.environments.ingest import LAMP, IngestHarness, RoutedJourney, order

ORDERS = RoutedJourney(
    name="orders",
    starts=("Order Completed",),
    listens=("Order Delivered",),
    ends=("Order Cancelled",),
    key_property="order_id",
)

RETURNS = RoutedJourney(
    name="returns",
    starts=("Return Requested",),
    listens=(),
    ends=("Return Completed",),
    key_property="order_id",
)

ADA = "ada@example.com"

ORDER = order(LAMP) | {"order_id": "1001"}

SAME = {"order_id": "1001"}


AT_ONCE = pytest.mark.parametrize(
    "at_once", [pytest.param(True, id="in one request"), pytest.param(False, id="in two")]
)


async def arrive(facts: IngestHarness, first: str, *, at_once: bool) -> UUID | None:
    """Take in an event of the order, and then the order; returns the order's id."""
    events = [facts.event(first, SAME, email=ADA), facts.event("Order Completed", ORDER, email=ADA)]
    parts = [events] if at_once else [[event] for event in events]
    return [answer for part in parts for answer in await facts.ingest(part)][-1].event_id


@AT_ONCE
async def test_an_order_that_is_cancelled_already_starts_no_run(database: Database, at_once: bool) -> None:
    facts = IngestHarness(database, ORDERS)
    ordered = await arrive(facts, "Order Cancelled", at_once=at_once)

    assert await facts.runs() == []
    [problem] = await facts.problems(ordered)
    assert problem.startswith("no run was started, as it would be over at once (ended): Order Cancelled came")


async def test_an_order_is_confirmed_if_nothing_looks_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier_events.EarlierEvents, "of_key", lambda *_: [])
    facts = IngestHarness(database, ORDERS)
    await facts.happens("Order Cancelled", SAME, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)

    assert len(await facts.runs()) == 1


@AT_ONCE
async def test_a_delivery_that_came_first_is_signalled_after_the_start(
    database: Database, at_once: bool
) -> None:
    facts = IngestHarness(database, ORDERS)
    await arrive(facts, "Order Delivered", at_once=at_once)

    [run] = await facts.runs()
    assert await facts.outbox(run["run_id"]) == ["start: Order Completed", "Order Delivered"]
    assert run["signals"] == 1


async def test_the_events_of_others_and_of_other_orders_do_not_count(database: Database) -> None:
    facts = IngestHarness(database, ORDERS)
    await facts.happens("Order Cancelled", SAME, email="bob@example.com")
    await facts.happens("Order Cancelled", {"order_id": "1002"}, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)

    [run] = await facts.runs()
    assert await facts.outbox(run["run_id"]) == ["start: Order Completed"]


@pytest.mark.parametrize(
    ("closed_ago", "starts"),
    [
        pytest.param(timedelta(minutes=30), True, id="of the return before it"),
        pytest.param(timedelta(minutes=5), False, id="of this return, which was told late"),
    ],
)
async def test_a_key_that_comes_again_is_judged_by_the_time_of_the_events(
    database: Database, closed_ago: timedelta, starts: bool
) -> None:
    facts = IngestHarness(database, RETURNS)
    await facts.happens("Return Completed", SAME, email=ADA, ago=closed_ago)
    await facts.happens("Return Requested", SAME, email=ADA, ago=timedelta(minutes=10))

    assert bool(await facts.runs()) is starts


async def test_the_last_of_many_earlier_events_are_signalled(database: Database) -> None:
    facts = IngestHarness(database, ORDERS)
    for _ in range(MAX_EARLIER_SIGNALS + 5):
        await facts.happens("Order Delivered", SAME, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)

    assert await facts.outbox() == ["start: Order Completed"] + ["Order Delivered"] * MAX_EARLIER_SIGNALS
