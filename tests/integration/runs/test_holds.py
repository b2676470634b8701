"""Which cases are open for a person, whatever order their events come in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from profiles.runs.holds import MAX_HOLD_AGE, HoldDefinition, OpenHold, load_open_holds
from tests.support.environments.ingest import IngestHarness

ADA, PHONE = "ada@example.com", "+4915112345678"

TICKETS = HoldDefinition("Ticket Opened", ("Ticket Solved",), "ticket_id")

RETURNS = HoldDefinition("Return Requested", ("Return Completed", "Order Refunded"), "order_id")

Told = tuple[str, str | None, float]
"""(event, its number, hours ago)."""


async def tell(facts: IngestHarness, by: str, *told: Told, **who: str) -> None:
    """These events, in this order."""
    for name, ref, hours in told:
        said: dict[str, Any] = {} if ref is None else {by: ref}
        await facts.happens(name, said, ago=timedelta(hours=hours), **(who or {"email": ADA}))


async def holds(
    facts: IngestHarness, *pairs: HoldDefinition, at: datetime | None = None
) -> tuple[OpenHold, ...]:
    """What is open for Ada."""
    who = await facts.who("email", ADA)
    async with facts.database.transaction() as connection:
        return await load_open_holds(connection, who, pairs, at or datetime.now(UTC))


O, S = "Ticket Opened", "Ticket Solved"  # noqa: E741 - short, so that a row reads as a story


@pytest.mark.parametrize(
    ("told", "left"),
    [
        pytest.param([(O, "1", 5)], ["1"], id="opened"),
        pytest.param([(O, "1", 5), (S, "1", 4)], [], id="opened and solved"),
        pytest.param([(S, "1", 4), (O, "1", 5)], [], id="the solution came in first"),
        pytest.param([(O, "1", 5), (S, "1", 5)], [], id="solved in the same instant"),
        pytest.param([(O, "1", 5), (S, "2", 4)], ["1"], id="another ticket was solved"),
        pytest.param([(O, "1", 5), (S, "1", 4), (O, "1", 3)], ["1"], id="opened again"),
        pytest.param([(O, "1", 3), (O, "1", 5), (S, "1", 4)], ["1"], id="opened again, told out of order"),
        pytest.param([(O, "1", 5), (O, "2", 4), (S, "1", 3)], ["2"], id="one of two solved"),
        pytest.param([(O, "1", 5), (S, None, 4)], [], id="a solution without a number closes all before it"),
        pytest.param([(O, "1", 4), (S, None, 5)], ["1"], id="and none after it"),
        pytest.param([(O, None, 5), (S, "9", 4)], [], id="a ticket without a number is closed by any"),
        pytest.param([(O, None, 5)], [None], id="a ticket without a number"),
        pytest.param([(S, "1", 5)], [], id="solved only"),
        pytest.param([], [], id="nothing"),
    ],
)
async def test_what_was_opened_and_not_closed_since_is_open(
    facts: IngestHarness, told: list[Told], left: list[str | None]
) -> None:
    await tell(facts, "ticket_id", ("Product Viewed", None, 9), *told)

    assert [one.ref for one in await holds(facts, TICKETS)] == left


async def test_kinds_of_case_are_asked_for_at_once_each_by_its_own_property(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, "t", 5))
    await tell(facts, "order_id", ("Return Requested", "a", 4), ("Return Requested", "b", 3))
    await tell(facts, "order_id", ("Order Refunded", "a", 2))
    found = await holds(facts, RETURNS, TICKETS)

    assert [(one.opened, one.ref) for one in found] == [("Return Requested", "b"), ("Ticket Opened", "t")]
    assert found[1].since == (await facts.values("SELECT time FROM event WHERE type = 'Ticket Opened'"))[0]
    assert await holds(facts) == ()


async def test_a_number_and_the_same_digits_in_quotes_name_one_case(facts: IngestHarness) -> None:
    await facts.happens(O, {"ticket_id": 17}, email=ADA, ago=timedelta(hours=2))
    await facts.happens(S, {"ticket_id": "17"}, email=ADA)

    assert await holds(facts, TICKETS) == ()


async def test_without_a_property_one_closing_event_closes_every_case(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, "1", 5), (O, "2", 4), (S, "3", 3))

    assert await holds(facts, HoldDefinition(O, (S,))) == ()


async def test_events_that_come_by_the_dozen_may_open_a_case_too(facts: IngestHarness) -> None:
    pair = HoldDefinition("Cart Viewed", ("Product Added",))
    await tell(facts, "x", ("Cart Viewed", None, 2))
    before = await holds(facts, pair)
    await tell(facts, "x", ("Product Added", None, 1))

    assert [one.opened for one in before] == ["Cart Viewed"]
    assert await holds(facts, pair) == ()


async def test_the_cases_of_both_merged_people_count(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, "1", 5), (O, "2", 5), phone=PHONE)
    await tell(facts, "ticket_id", (S, "2", 4))
    before = await holds(facts, TICKETS)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert before == ()
    assert [one.ref for one in await holds(facts, TICKETS)] == ["1"]


async def test_a_clock_that_runs_ahead_keeps_no_case_open(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, "1", -2), (S, "1", 0))

    assert await holds(facts, TICKETS) == ()


async def test_a_case_that_nobody_closes_holds_for_ninety_days(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, "1", 1))
    now = datetime.now(UTC)

    assert len(await holds(facts, TICKETS, at=now + MAX_HOLD_AGE - timedelta(hours=2))) == 1
    assert await holds(facts, TICKETS, at=now + MAX_HOLD_AGE) == ()


async def test_a_number_that_reads_as_an_address_is_not_told_on(facts: IngestHarness) -> None:
    await tell(facts, "ticket_id", (O, ADA, 1))

    assert [one.ref for one in await holds(facts, TICKETS)] == [None]
