"""A device that strangers have quarantined: a verified purchase on it still suppresses for its owners."""

from dataclasses import replace
from datetime import timedelta

import pytest

from profiles.ingest import resolution
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, order
from tests.support.queries.identity import quarantined_in

JOURNEYS = (CARTS,)

DEVICE = {"anonymous_id": "d-1"}

ADA = {"email": "ada@example.com"}


async def made_up(facts: IngestHarness, number: int = 40) -> None:
    """A stranger names made-up people together with Ada's device, until it is quarantined."""
    await facts.happens("Signed In", **ADA, **DEVICE)
    for each in range(number):
        event = facts.event("Page Viewed", user_id=f"made-up-{each}", **DEVICE)
        await facts.ingest([replace(event, verified=False)])
    assert await quarantined_in(facts.database) == {"anonymous_id:d-1"}


async def buys(
    facts: IngestHarness, item: dict[str, object], *, verified: bool = True, **who: str
) -> list[str]:
    [result] = await facts.ingest(
        [replace(facts.event("Order Completed", order(item), **who), verified=verified)]
    )
    return await facts.problems(result.event_id)


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_verified_purchase_on_a_device_suppresses_for_its_owner_whatever_strangers_made_up(
    facts: IngestHarness, restarted: bool
) -> None:
    await made_up(facts)
    if restarted:
        # A process that does not know yet that the device is quarantined.
        facts.ingest = Ingest(facts.database, (CARTS,))
    [problem] = await buys(facts, LAMP, **DEVICE)

    assert "name the customer" in problem
    assert await facts.suppressed("email", ADA["email"]) == ["lamp"]
    assert await facts.suppressed("user_id", "made-up-7") == []
    assert await facts.values("SELECT count(*) FROM purchase") == [0]


async def test_without_the_owners_of_devices_a_stranger_hides_the_purchase(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object) -> dict[str, frozenset[str]]:
        return {}

    monkeypatch.setattr(resolution, "load_owners_of_devices", none)
    await made_up(facts)
    await buys(facts, LAMP, **DEVICE)

    assert await facts.suppressed("email", ADA["email"]) == []


async def test_it_leaves_the_owners_cart_and_ends_what_waits_for_it(facts: IngestHarness) -> None:
    await facts.happens("Product Added", {"cart_id": "c-1", **LAMP}, **ADA)
    await made_up(facts)
    await buys(facts, LAMP, **DEVICE)

    assert await facts.carts() == {"c-1": []}
    [run] = await facts.runs()
    assert "Order Completed" in await facts.outbox(run["run_id"])


async def test_a_later_merge_of_the_owner_keeps_the_suppression(facts: IngestHarness) -> None:
    await facts.happens("Signed In", loyalty_id="L-1")
    await made_up(facts)
    await buys(facts, LAMP, **DEVICE)
    await facts.happens("Signed In", loyalty_id="L-1", **ADA)

    assert await facts.who("loyalty_id", "L-1") == await facts.who("email", ADA["email"])
    assert await facts.suppressed("loyalty_id", "L-1") == ["lamp"]


async def test_an_unverified_purchase_on_it_suppresses_for_nobody(facts: IngestHarness) -> None:
    await made_up(facts)
    await buys(facts, LAMP, verified=False, **DEVICE)
    assert await facts.suppressed("email", ADA["email"]) == []


async def test_a_device_of_many_customers_suppresses_for_none_of_them(facts: IngestHarness) -> None:
    for number in range(6):
        await facts.happens("Signed In", email=f"at-the-till-{number}@example.com", **DEVICE)
    assert await quarantined_in(facts.database) == {"anonymous_id:d-1"}
    await buys(facts, CHAIR, **DEVICE)

    assert await facts.values("SELECT count(*) FROM suppression") == [0]


async def test_a_purchase_of_a_clock_that_is_behind_leaves_the_owners_cart_too(facts: IngestHarness) -> None:
    await facts.happens("Product Added", {"cart_id": "c-1", **LAMP}, **ADA)
    await made_up(facts)
    late = facts.event("Order Completed", order(LAMP), ago=timedelta(days=500), **DEVICE)
    [result] = await facts.ingest([late])

    assert result.status is IngestStatus.ACCEPTED
    assert await facts.carts() == {"c-1": []}
