"""Who has lapsed: by their own rhythm where they have one, else by the shop's word; once per absence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from profiles.projection.lapse import DEFAULT_LAPSE_RULES, LapseRules, lapse_state, lapse_threshold
from profiles.sweeps.lapsed import sweep_lapsed
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, order

ADA, PHONE = "ada@example.com", "+4915112345678"


async def bought(facts: IngestHarness, *days_ago: float, **who: str) -> None:
    """One order of the lamp on each of these days, the newest last, and then something new."""
    for days in sorted(days_ago, reverse=True):
        number = f"{next(iter(who.values()))}-{days}"
        await facts.happens("Order Completed", order(LAMP, order_id=number), ago=timedelta(days=days), **who)
    await facts.happens("Signed In", **who)


async def found(facts: IngestHarness, lapse: LapseRules = DEFAULT_LAPSE_RULES) -> list[dict[str, Any]]:
    """Properties of the events that one sweep wrote."""
    before = await facts.values("SELECT event_id FROM event")
    await sweep_lapsed(facts.database, facts.ingest, rules=lapse)
    rows = await facts.values(
        "SELECT properties::text FROM event WHERE type = 'Customer Lapsed' AND NOT event_id = ANY($1) "
        "ORDER BY id",
        before,
    )
    return [orjson.loads(row) for row in rows]


@pytest.mark.parametrize(
    ("days_ago", "lapses"),
    [
        pytest.param((91,), True, id="one order, more than 90 days ago"),
        pytest.param((89,), False, id="one order, less than 90 days ago"),
        pytest.param((60, 50), False, id="two orders make no rhythm"),
        pytest.param((91, 80), False, id="two orders, the last less than 90 days ago"),
        pytest.param((71, 61, 51, 41), True, id="every ten days, away for four times as long"),
        pytest.param((61, 51, 41, 31), True, id="every ten days: never before thirty, and then at once"),
        pytest.param((59, 49, 39, 29), False, id="every ten days, away for twenty-nine"),
        pytest.param((230, 170, 110), False, id="every sixty days, away for less than twice as long"),
        pytest.param((245, 185, 125), True, id="every sixty days, away for more than twice as long"),
        pytest.param((1170, 770, 366), True, id="every four hundred days, away for a year"),
        pytest.param((1160, 760, 360), False, id="every four hundred days, away for less than a year"),
        pytest.param((100, 99, 98, 40), True, id="the median gap, not the mean"),
    ],
)
async def test_a_customer_lapses_by_their_own_rhythm_and_else_by_the_shops_word(
    facts: IngestHarness, days_ago: tuple[int, ...], lapses: bool
) -> None:
    await bought(facts, *days_ago, email=ADA)
    [row] = await facts.rows("SELECT last_order_at, orders, median_gap_days, now() AS now FROM profile")
    events = await found(facts)

    # The sweep asks in SQL what the rule says in Python.
    assert bool(events) is lapses is (lapse_state(**row) == "lapsed")
    rhythm = row["orders"], row["median_gap_days"]
    assert [event["lapse_after_days"] for event in events] == [lapse_threshold(*rhythm).days] * lapses


async def test_the_event_says_by_what_it_was_found_and_what_the_last_order_was_of(
    facts: IngestHarness,
) -> None:
    await bought(facts, 90, 70, email=ADA)
    two = order(CHAIR, {"sku": "oil", "name": "Oil", "price": 9.0, "quantity": 2}, order_id="last")
    await facts.happens("Order Completed", two, ago=timedelta(days=50), email=ADA)
    await facts.happens("Signed In", email=ADA)

    [said] = await found(facts)
    assert said == {
        "days_since_order": 50,
        "orders": 3,
        "median_gap_days": 20.0,
        "lapse_after_days": 40.0,
        "products": [
            {"product_id": "chair", "sku": "chair-oak", "name": "Oslo chair", "price": 99.0, "quantity": 1},
            {"sku": "oil", "name": "Oil", "price": 9.0, "quantity": 2},
        ],
    }


async def test_lines_of_one_order_and_orders_of_one_day_are_one_visit(facts: IngestHarness) -> None:
    for number in range(4):
        basket = order(LAMP, CHAIR, order_id=f"o-{number}")
        await facts.happens("Order Completed", basket, ago=timedelta(days=80), email=ADA)
    await facts.happens("Signed In", email=ADA)

    assert await found(facts) == []
    assert await facts.values("SELECT orders FROM profile") == [4]


async def test_each_absence_is_told_once_and_a_new_one_again(facts: IngestHarness) -> None:
    await bought(facts, 400, email=ADA)
    first, again = await found(facts), await found(facts)
    await bought(facts, 100, email=ADA)
    second = await found(facts)

    assert [[one["days_since_order"] for one in sweep] for sweep in (first, again, second)] == [
        [400], [], [100]
    ]  # fmt: skip


async def test_a_sweep_that_died_before_its_mark_is_repeated_without_a_second_event(
    facts: IngestHarness,
) -> None:
    await bought(facts, 100, email=ADA)
    assert await sweep_lapsed(facts.database, facts.ingest) == 1
    await facts.rows("UPDATE profile SET lapsed_after = NULL")

    assert await sweep_lapsed(facts.database, facts.ingest) == 0
    assert await facts.values("SELECT count(*) FROM event WHERE type = 'Customer Lapsed'") == [1]


async def test_batches_find_everybody_the_longest_away_first(facts: IngestHarness) -> None:
    for number in range(5):
        await bought(facts, 100 + number, email=f"u{number}@x.org")
    batches = []
    while count := await sweep_lapsed(facts.database, facts.ingest, limit=2):
        batches.append(count)

    assert batches == [2, 2, 1]
    assert await facts.values(
        "SELECT (properties ->> 'days_since_order')::int FROM event WHERE type = 'Customer Lapsed' "
        "ORDER BY event_id"
    ) == [104, 103, 102, 101, 100]


async def test_a_receipt_that_comes_in_after_the_sweep_begins_an_absence_of_its_own(
    facts: IngestHarness,
) -> None:
    await bought(facts, 200, email=ADA)
    first = await found(facts)
    # Bought before the sweep, heard of after it.
    await bought(facts, 1, email=ADA)
    soon = LapseRules(default_threshold=timedelta(hours=23))

    assert [len(sweep) for sweep in (first, await found(facts), await found(facts, soon))] == [1, 0, 1]


async def test_a_profile_that_nothing_names_keeps_nobody_else_from_being_found(facts: IngestHarness) -> None:
    await bought(facts, 120, user_id="gone")
    await bought(facts, 100, email=ADA)
    await facts.rows("DELETE FROM identifier WHERE type = 'user_id'")

    assert await sweep_lapsed(facts.database, facts.ingest, limit=1) == 1


async def test_the_absence_of_a_merged_person_is_that_of_their_later_order(facts: IngestHarness) -> None:
    await bought(facts, 200, email=ADA)
    assert len(await found(facts)) == 1
    await bought(facts, 100, phone=PHONE)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    # Ada's absence was told, and it was not one; that of the whole person has not been.
    [said] = await found(facts)
    assert said["days_since_order"] == 100


async def test_a_shop_sets_its_own_lengths(facts: IngestHarness) -> None:
    await bought(facts, 10, email=ADA)

    assert await found(facts, LapseRules(default_threshold=timedelta(days=11))) == []
    assert len(await found(facts, LapseRules(default_threshold=timedelta(days=9)))) == 1


@pytest.mark.parametrize(
    ("days", "orders", "gap", "state"),
    [
        pytest.param(None, 0, None, "never_bought", id="no order"),
        pytest.param(45, 1, None, "active", id="half of the shop's ninety days"),
        pytest.param(46, 1, None, "at_risk", id="more than half of them"),
        pytest.param(90, 2, None, "at_risk", id="all of them"),
        pytest.param(91, 2, None, "lapsed", id="more than all"),
        pytest.param(20, 3, 20.0, "active", id="as long as between two visits"),
        pytest.param(21, 3, 20.0, "at_risk", id="longer than between two visits"),
        pytest.param(41, 3, 20.0, "lapsed", id="more than twice as long"),
        pytest.param(15, 9, 1.0, "active", id="every day: half of thirty days"),
        pytest.param(29, 9, 1.0, "at_risk", id="every day: nobody lapses before thirty"),
        pytest.param(366, 3, 400.0, "lapsed", id="seldom: after a year at the latest"),
    ],
)
def test_who_is_away_for_more_than_half_of_what_makes_a_lapse_is_at_risk(
    days: int | None, orders: int, gap: float | None, state: str
) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    last = None if days is None else now - timedelta(days=days)

    assert lapse_state(last, orders, gap, now) == state


def test_lengths_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="expected factor > 0, 0 < min_threshold <= max_threshold"):
        LapseRules(min_threshold=timedelta(days=9), max_threshold=timedelta(days=8))
