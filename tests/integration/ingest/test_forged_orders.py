"""Orders of strangers that name a customer: how much of them is kept, and that her own count all the same."""

from dataclasses import replace
from datetime import timedelta

import pytest

from profiles.ingest.pipeline import IngestConfig
from profiles.state import bounds, profile_state
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, order

JOURNEYS = (CARTS,)

ADA, EVE = {"email": "ada@example.com"}, {"anonymous_id": "eve"}


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_KEPT_UNVERIFIED_LINES", 5)
    monkeypatch.setattr(bounds, "MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE", 12)


def placed(facts: IngestHarness, name: str, lines: int, *, verified: bool = False) -> IncomingEvent:
    """An order of products that only this order has."""
    products = [{"product_id": f"{name}.{line}"} for line in range(lines)]
    kind = "Order Updated" if name.startswith("u") else "Order Completed"
    return replace(facts.event(kind, order(*products, order_id=name), **ADA), verified=verified)


async def kept(facts: IngestHarness, table: str = "suppression") -> dict[str, int]:
    """Return order → its rows."""
    rows = await facts.rows(f"SELECT order_id, count(*) AS n FROM {table} GROUP BY order_id")
    return {row["order_id"]: row["n"] for row in rows}


async def problems(facts: IngestHarness, event_id: object) -> str:
    [found] = await facts.values("SELECT problems::text FROM event WHERE event_id = $1", event_id)
    return str(found)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_unverified_orders_keep_a_bounded_number_of_lines(facts: IngestHarness, together: bool) -> None:
    events = [placed(facts, name, 8) for name in ("a", "ub", "c", "ud")]
    batches = [events] if together else [[event] for event in events]
    results = [result for batch in batches for result in await facts.ingest(batch)]

    assert await kept(facts) == {"a": 5, "ub": 5, "c": 2}
    assert await kept(facts, "purchase") == {"a": 5, "ub": 5, "c": 2}
    for result in results:
        assert "send orders with a server key" in await problems(facts, result.event_id)


@pytest.mark.usefixtures("bounded")
async def test_verified_orders_are_kept_whole_whatever_strangers_sent_and_count_against_nobody(
    facts: IngestHarness,
) -> None:
    await facts.ingest([placed(facts, name, 5) for name in ("a", "b", "c")])
    [own] = await facts.ingest([placed(facts, "own", 30, verified=True)])
    await facts.rows("DELETE FROM suppression WHERE order_id = 'c'")
    await facts.ingest([placed(facts, "d", 5)])

    assert await kept(facts) == {"a": 5, "b": 5, "own": 30, "d": 2}
    assert await problems(facts, own.event_id) == "[]"


@pytest.mark.usefixtures("bounded")
async def test_what_is_not_kept_of_a_strangers_order_empties_carts_all_the_same(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, **ADA)
    await facts.ingest([placed(facts, name, 5) for name in ("a", "b", "c")])
    lamp = facts.event("Order Completed", order(LAMP, order_id="page"), **ADA)
    [page] = await facts.ingest([replace(lamp, verified=False)])

    assert await facts.carts() == {"c-1": []}
    assert "page" not in await kept(facts)
    assert "empty carts and suppress nothing" in await problems(facts, page.event_id)


@pytest.mark.usefixtures("bounded")
async def test_lines_that_were_kept_a_year_ago_leave_room(facts: IngestHarness) -> None:
    await facts.ingest([placed(facts, name, 5) for name in ("a", "b", "c")])
    await facts.rows("UPDATE event SET at = at - interval '370 days'")
    await facts.ingest([placed(facts, "d", 5)])

    assert (await kept(facts))["d"] == 5


@pytest.mark.usefixtures("bounded")
async def test_a_refund_of_a_strangers_order_makes_no_room(facts: IngestHarness) -> None:
    await facts.ingest([placed(facts, name, 5) for name in ("a", "b", "c")])
    back = [facts.event("Order Refunded", {"order_id": name}, **ADA) for name in ("a", "b", "c")]
    await facts.ingest([replace(event, verified=False) for event in back])
    await facts.ingest([placed(facts, "d", 5)])

    assert "d" not in await kept(facts)


@pytest.mark.usefixtures("bounded")
async def test_an_order_that_names_two_profiles_has_room_with_each_of_its_own(facts: IngestHarness) -> None:
    await facts.happens("Profile Updated", **ADA)
    await facts.happens("Profile Updated", **EVE, user_id="E")
    both = placed(facts, "a", 8)
    results = await facts.ingest(
        [
            replace(both, id=f"both-{number}", identifiers=(*both.identifiers, ("user_id", "E")))
            for number in range(4)
        ]
    )

    found = await facts.rows("SELECT profile_id, count(*) AS n FROM suppression GROUP BY profile_id")
    assert [row["n"] for row in found] == [12, 12]
    assert (await problems(facts, results[0].event_id)).count("server key") == 1


async def test_the_newest_suppressions_alone_are_counted(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an order costs the same whatever a profile has bought."""
    monkeypatch.setattr(profile_state, "MAX_COUNTED_SUPPRESSIONS", 10)
    monkeypatch.setattr(bounds, "MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE", 5)
    await facts.ingest([placed(facts, "a", 5)])
    await facts.ingest([placed(facts, "own", 20, verified=True)])
    await facts.ingest([placed(facts, "b", 5)])

    assert await kept(facts) == {"a": 5, "own": 20, "b": 5}


@pytest.mark.usefixtures("bounded")
async def test_a_late_event_uses_up_no_room(facts: IngestHarness) -> None:
    """It has the past orders applied again, which keep what they have."""
    await facts.ingest([placed(facts, "a", 5)])
    late = facts.event("Product Added", LAMP | {"cart_id": "c"}, ago=timedelta(hours=1), **ADA)
    await facts.ingest([late, placed(facts, "b", 5), placed(facts, "c", 5)])

    assert await kept(facts) == {"a": 5, "b": 5, "c": 2}


@pytest.mark.usefixtures("bounded")
async def test_orders_of_which_lines_are_left_out_are_counted(facts: IngestHarness) -> None:
    left_out: list[tuple[str, str, int]] = []
    rules = IngestConfig(on_left_out=lambda *call: left_out.append(call))
    ingest = IngestHarness(facts.database, CARTS, rules=rules)
    await ingest.ingest([replace(placed(ingest, name, 8), sender="page") for name in ("a", "b")])

    assert left_out == [("page", "lines", 2)]
