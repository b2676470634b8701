"""What a stranger with the public key may do to the runs of a customer, and what only verified events may."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policy.reentry import After, AtMost, Once, Reentry
from profiles.db.database import Database
from profiles.ingest.pipeline import IngestConfig
from profiles.runs import unverified_events
from profiles.runs.holds import (
    MAX_UNVERIFIED_HOLD_AGE,
    MAX_UNVERIFIED_HOLDS,
    HoldDefinition,
    load_open_holds,
)
from profiles.runs.lifecycle import request_run_end
from profiles.runs.routing import KEY_PERSON, MAX_SIGNALS_PER_RUN
from profiles.runs.unverified_events import MAX_UNVERIFIED_SIGNALS
from profiles.state.run_keys import run_key
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, RoutedJourney, order

ORDERS = RoutedJourney(
    name="orders",
    starts=("Order Completed",),
    listens=("Order Delivered", "Order Updated", "Product Reviewed", "Return Requested", "Ticket Opened"),
    ends=("Order Cancelled", "Order Refunded"),
    key_property="order_id",
    reentry=Once(),
)

VISITORS = RoutedJourney(
    name="visitors",
    starts=("Customer Lapsed",),
    listens=("Product Viewed",),
    ends=("Order Completed", "Ticket Solved"),
    key_property=KEY_PERSON,
)

ADA = "ada@example.com"

ORDER = order(LAMP) | {"order_id": "1001"}

OTHER_ORDER = order(CHAIR) | {"order_id": "1001"}


@pytest.fixture
def facts(database: Database) -> IngestHarness:
    return IngestHarness(database, ORDERS, VISITORS, CARTS)


async def forged(facts: IngestHarness, name: str, properties: dict[str, Any], **more: Any) -> list[str]:
    """Take in an event of the public key; returns its problems."""
    [answer] = await facts.ingest([replace(facts.event(name, properties, **more), verified=False)])
    return await facts.problems(answer.event_id)


async def keys(facts: IngestHarness, state: str = "running") -> list[tuple[str, str]]:
    return [(run["journey"], run_key(run["key"])) for run in await facts.runs(state)]


# Keys


async def test_a_key_that_a_stranger_holds_keeps_no_customer_from_a_run(facts: IngestHarness) -> None:
    await forged(facts, "Order Completed", ORDER, anonymous_id="mallory")
    bought = await facts.happens("Order Completed", ORDER, email=ADA)

    own = [run for run in await facts.runs() if run["profile_id"] == await facts.who("email", ADA)]
    assert [(run["journey"], run_key(run["key"])) for run in own] == [("orders", "1001")]
    assert await facts.problems(bought.event_id) == []
    assert await facts.outbox(own[0]["run_id"]) == ["start: Order Completed"]


async def test_two_strangers_with_one_order_number_have_a_run_each_and_each_its_own_events(
    facts: IngestHarness,
) -> None:
    await facts.happens("Order Completed", ORDER, email="bob@example.com")
    await facts.happens("Order Completed", ORDER, email=ADA)
    await facts.happens("Order Delivered", {"order_id": "1001"}, email=ADA)

    bobs, adas = await facts.runs()
    assert await facts.outbox(bobs["run_id"]) == ["start: Order Completed"]
    assert await facts.outbox(adas["run_id"]) == ["start: Order Completed", "Order Delivered"]
    assert adas["workflow_id"] == f"orders/1001/{adas['run_id']}"


async def test_a_key_is_free_again_when_its_run_has_ended_also_behind_another_persons(
    database: Database,
) -> None:
    facts = IngestHarness(database, replace(ORDERS, reentry=AtMost(2)))
    await facts.happens("Order Completed", ORDER, email="bob@example.com")
    await facts.happens("Order Completed", ORDER, email=ADA)
    _, adas = await facts.runs()
    await facts.close(adas["run_id"])
    for _ in range(3):
        await facts.happens("Order Completed", ORDER, email=ADA)

    assert await keys(facts) == [("orders", "1001")] * 2
    assert await keys(facts, "ended") == [("orders", "1001")]


async def test_one_order_told_under_two_devices_has_one_run_after_the_merge(facts: IngestHarness) -> None:
    await forged(facts, "Order Completed", ORDER, anonymous_id="m-5f2a")
    await facts.happens("Order Completed", ORDER, email=ADA)
    [_, verified] = await facts.runs()
    await facts.happens("Signed In", anonymous_id="m-5f2a", email=ADA)

    [left] = await facts.runs()
    assert left["run_id"] == verified["run_id"]
    assert [run["outcome"] for run in await facts.runs("ended")] == ["merged"]
    assert await facts.happens("Order Delivered", {"order_id": "1001"}, email=ADA)
    assert (await facts.outbox(left["run_id"]))[-1] == "Order Delivered"


async def test_an_order_that_also_names_the_customer_starts_no_second_run(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", ORDER, email=ADA)
    told = await forged(facts, "Order Completed", ORDER, email=ADA, anonymous_id="a page")

    assert await keys(facts) == [("orders", "1001")]
    assert told == ["the event also names another profile, which has a run of this key"]


# Ends and changes

UNVERIFIED_ROWS = [
    pytest.param("Order Cancelled", {"order_id": "1001"}, False, id="a cancellation"),
    pytest.param("Order Refunded", {"order_id": "1001"}, False, id="a refund"),
    pytest.param("Order Delivered", {"order_id": "1001"}, False, id="a delivery"),
    pytest.param("Order Updated", {"order_id": "1001"}, False, id="a change"),
    pytest.param("Return Requested", {"order_id": "1001"}, False, id="a return"),
    pytest.param("Product Reviewed", {"product_id": "lamp"}, True, id="a review names no order"),
    pytest.param("Ticket Opened", {"ticket_id": "t"}, True, id="a ticket names no order"),
]


@pytest.mark.parametrize(("name", "properties", "arrives"), UNVERIFIED_ROWS)
@pytest.mark.parametrize("started", [pytest.param(True, id="verified"), pytest.param(False, id="unverified")])
async def test_only_verified_events_change_the_run_of_an_order(
    facts: IngestHarness, name: str, properties: dict[str, Any], arrives: bool, started: bool
) -> None:
    await facts.ingest([replace(facts.event("Order Completed", ORDER, email=ADA), verified=started)])
    problems = await forged(facts, name, properties, email=ADA)
    await facts.happens(name, properties, email=ADA)

    expected = [name] * (2 if arrives else 1)
    assert await facts.outbox() == ["start: Order Completed", *expected]
    assert any("unverified" in problem for problem in problems) is not arrives


async def test_a_forged_cancellation_ends_the_run_if_every_sender_is_believed(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unverified_events, "why_left_out", lambda *_, **__: None)
    await facts.happens("Order Completed", ORDER, email=ADA)
    await forged(facts, "Order Cancelled", {"order_id": "1001"}, email=ADA)

    assert await facts.outbox() == ["start: Order Completed", "Order Cancelled"]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        pytest.param("Product Viewed", True, id="a visit"),
        pytest.param("Order Completed", True, id="a purchase silences marketing"),
        pytest.param("Ticket Solved", False, id="an exit"),
    ],
)
async def test_what_a_page_says_of_a_visitor_reaches_a_verified_run_and_ends_it_by_a_purchase_only(
    facts: IngestHarness, name: str, arrives: bool
) -> None:
    await facts.happens("Customer Lapsed", {}, email=ADA)
    await forged(facts, name, ORDER, email=ADA)
    [run] = [run for run in await facts.runs() if run["journey"] == "visitors"]

    assert await facts.outbox(run["run_id"]) == ["start: Customer Lapsed", *([name] if arrives else [])]


async def test_an_unverified_purchase_empties_the_cart_of_a_verified_run(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    await forged(facts, "Order Completed", ORDER, email=ADA)
    [run] = [run for run in await facts.runs() if run["journey"] == "carts"]

    assert await facts.outbox(run["run_id"]) == ["start: Product Added", "Order Completed"]


async def test_a_forged_cancellation_that_came_first_stops_no_order(facts: IngestHarness) -> None:
    await forged(facts, "Order Cancelled", {"order_id": "1001"}, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)

    assert await keys(facts) == [("orders", "1001")]
    assert await facts.outbox() == ["start: Order Completed"]


async def test_a_forged_order_hides_no_cancellation_that_came_first(facts: IngestHarness) -> None:
    await forged(facts, "Order Completed", ORDER, email=ADA)
    [forgery] = await facts.runs()
    await facts.close(forgery["run_id"])
    await facts.happens("Order Cancelled", {"order_id": "1001"}, email=ADA, ago=timedelta(minutes=5))
    await facts.happens("Order Completed", ORDER, email=ADA)

    assert await facts.runs() == []


# Re-entry


@pytest.mark.parametrize(
    "reentry", [Once(), After(timedelta(days=3)), AtMost(1)], ids=lambda each: repr(each)
)
async def test_a_forged_entry_uses_up_no_verified_one(database: Database, reentry: Reentry) -> None:
    facts = IngestHarness(database, replace(ORDERS, reentry=reentry))
    await forged(facts, "Order Completed", ORDER, email=ADA)
    [run] = await facts.runs()
    await facts.sent(run["run_id"])
    await facts.close(run["run_id"])
    await forged(facts, "Order Completed", ORDER, email=ADA)
    assert await facts.runs() == []
    await facts.happens("Order Completed", ORDER, email=ADA)
    [second] = await facts.runs()
    await facts.sent(second["run_id"])
    await facts.close(second["run_id"])
    await facts.happens("Order Completed", ORDER, email=ADA)

    assert await facts.runs() == []


async def test_a_verified_order_takes_the_place_of_a_forged_one_with_its_number(facts: IngestHarness) -> None:
    await forged(facts, "Order Completed", ORDER, email=ADA)
    [forgery] = await facts.runs()
    await facts.happens("Order Completed", OTHER_ORDER, email=ADA)

    [run] = await facts.runs()
    assert run["run_id"] != forgery["run_id"]
    assert [each["outcome"] for each in await facts.runs("ended")] == ["superseded"]
    assert await facts.outbox(forgery["run_id"]) == ["start: Order Completed", "End Run"]
    await forged(facts, "Order Cancelled", {"order_id": "1001"}, email=ADA)
    assert await facts.outbox(run["run_id"]) == ["start: Order Completed"]


async def test_a_verified_order_takes_the_place_of_a_forged_one_of_its_own_request(
    facts: IngestHarness,
) -> None:
    forgery = replace(facts.event("Order Completed", ORDER, email=ADA), verified=False)
    answers = await facts.ingest([forgery, facts.event("Order Completed", OTHER_ORDER, email=ADA)])

    [run] = await facts.runs()
    assert run["entry_event"] == answers[1].event_id
    assert await facts.outbox() == ["start: Order Completed"]
    [problem] = await facts.problems(answers[0].event_id)
    assert "a verified one with its key is about something else" in problem


async def test_an_order_told_by_the_page_and_then_by_the_shop_has_one_run_which_is_verified_then(
    facts: IngestHarness,
) -> None:
    await forged(facts, "Order Completed", ORDER, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)

    [run] = await facts.runs()
    assert run["verified"]
    assert await facts.outbox() == ["start: Order Completed", "Order Completed"]


async def test_an_unverified_order_takes_no_verified_ones_place(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", ORDER, email=ADA)
    before = [run["run_id"] for run in await facts.runs()]
    await forged(facts, "Order Completed", OTHER_ORDER, email=ADA)

    assert [run["run_id"] for run in await facts.runs()] == before


async def test_a_rerouted_event_keeps_the_trust_it_came_with(facts: IngestHarness) -> None:
    await forged(facts, "Order Completed", ORDER, email=ADA)
    [run] = await facts.runs()
    await facts.rows("UPDATE run SET state = 'stuck' RETURNING run_id")
    assert await request_run_end(facts.database, facts.routes, run["run_id"], "cancelled", "a test")

    [again] = await facts.runs()
    assert again["run_id"] != run["run_id"]
    assert not again["verified"]


# Numbers


async def test_a_flood_of_unverified_events_ends_no_run_and_verified_ones_arrive(database: Database) -> None:
    left_out: dict[str, int] = {}
    facts = IngestHarness(
        database, VISITORS, rules=IngestConfig(on_left_out=lambda key, code, n: left_out.update({code: n}))
    )
    await facts.happens("Customer Lapsed", {}, email=ADA)
    flood = [
        replace(facts.event("Product Viewed", LAMP, email=ADA), verified=False)
        for _ in range(MAX_SIGNALS_PER_RUN + 20)
    ]
    answers = await facts.ingest(flood)
    await facts.happens("Product Viewed", CHAIR, email=ADA)

    [run] = await facts.runs()
    names = await facts.outbox(run["run_id"])
    assert names == ["start: Customer Lapsed"] + ["Product Viewed"] * (MAX_UNVERIFIED_SIGNALS + 1)
    assert (run["signals"], run["unverified_signals"]) == (MAX_UNVERIFIED_SIGNALS + 1, MAX_UNVERIFIED_SIGNALS)
    assert left_out == {"too_many": MAX_SIGNALS_PER_RUN + 20 - MAX_UNVERIFIED_SIGNALS}
    [problem] = await facts.problems(answers[-1].event_id)
    assert "receives no more" in problem


async def test_the_run_overflows_if_unverified_events_have_no_bound_of_their_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unverified_events, "MAX_UNVERIFIED_SIGNALS", MAX_SIGNALS_PER_RUN + 1)
    facts = IngestHarness(database, VISITORS)
    await facts.happens("Customer Lapsed", {}, email=ADA)
    flood = [facts.event("Product Viewed", LAMP, email=ADA) for _ in range(MAX_SIGNALS_PER_RUN)]
    await facts.ingest([replace(event, verified=False) for event in flood])

    assert (await facts.outbox())[-1] == "End Run"


# Names that only the server says


@pytest.mark.parametrize("name", ["Customer Lapsed", "Segment Entered", "Opt In Requested"])
async def test_what_only_sweeps_say_enters_nobody_from_a_public_key(database: Database, name: str) -> None:
    facts = IngestHarness(database, replace(VISITORS, starts=(name,)))
    problems = await forged(facts, name, {"segment": "vip", "request_id": "r"}, email=ADA)

    assert await facts.runs() == []
    assert problems == ["only Waypost itself states this of a person; it has no effect"]


# Holds

TICKETS = HoldDefinition("Ticket Opened", ("Ticket Solved",), "ticket_id")


async def held(facts: IngestHarness, after: timedelta = timedelta(0)) -> list[str | None]:
    who, at = await facts.who("email", ADA), datetime.now(UTC) + after
    async with facts.database.transaction() as connection:
        return [hold.ref for hold in await load_open_holds(connection, who, (TICKETS,), at)]


@pytest.mark.parametrize(
    ("opened", "closed", "left"),
    [
        pytest.param(True, False, ["t"], id="the desk's ticket, closed by a page"),
        pytest.param(True, True, [], id="the desk's ticket, closed by the desk"),
        pytest.param(False, False, [], id="a page's ticket, closed by a page"),
        pytest.param(False, True, [], id="a page's ticket, closed by the desk"),
    ],
)
@pytest.mark.parametrize("named", [pytest.param("t", id="by number"), pytest.param(None, id="without one")])
async def test_what_a_verified_event_opened_only_a_verified_event_closes(
    facts: IngestHarness, opened: bool, closed: bool, left: list[str], named: str | None
) -> None:
    opening = facts.event("Ticket Opened", {"ticket_id": "t"}, email=ADA, ago=timedelta(hours=1))
    closing = facts.event("Ticket Solved", {"ticket_id": named} if named else {}, email=ADA)
    await facts.ingest([replace(opening, verified=opened), replace(closing, verified=closed)])

    assert await held(facts) == left


async def test_unverified_openings_hold_in_a_bounded_number_and_time(facts: IngestHarness) -> None:
    for number in range(9):
        await forged(facts, "Ticket Opened", {"ticket_id": f"f{number}"}, email=ADA)
    await facts.happens("Ticket Opened", {"ticket_id": "desk"}, email=ADA)

    assert len(await held(facts)) == MAX_UNVERIFIED_HOLDS + 1
    assert await held(facts, MAX_UNVERIFIED_HOLD_AGE + timedelta(minutes=1)) == ["desk"]
