"""Computed traits: what one statement makes of orders and messages is what a naive reading of them makes."""

import csv
import gzip
import os
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.projection.computed import refresh_computed_traits
from tests.support.builders.profiles import START, TAKEN_IN, Line, Order, ProfileRows, Touch, naive, somebody
from tests.support.environments.ingest import IngestHarness, order

NOTHING = {
    "orders": 0, "last_order_at": None, "first_order_at": None, "spent": 0.0, "median_gap_days": None,
    "opens": 0, "clicks": 0, "preferred_channel": None, "preferred_hour": None,
}  # fmt: skip

COMPUTED = f"SELECT {', '.join(NOTHING)} FROM profile WHERE profile_id = $1"


async def worked_out(database: Database, people: Iterable[ProfileRows]) -> list[dict[str, Any]]:
    """What Waypost works out of people, all at once."""
    async with database.transaction() as connection:
        for person in people:
            await person.keep(connection)
        await refresh_computed_traits(connection, [person.profile_id for person in people])
        return [dict(await connection.fetchrow(COMPUTED, person.profile_id)) for person in people]


@pytest.mark.parametrize("seed", range(4))
async def test_one_statement_works_out_what_plain_loops_do(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    people = [somebody(chance) for _ in range(60)]
    expected = [naive(one, one.timezone or one.context_timezone or "UTC") for one in people]

    assert expected == await worked_out(database, people)


async def test_who_did_nothing_has_nothing(database: Database) -> None:
    assert await worked_out(database, [ProfileRows()]) == [NOTHING]


async def test_refunds_lessen_what_was_spent_and_nothing_else(database: Database) -> None:
    bought = [
        Order(START + timedelta(days=day), [Line(19.99, 2), Line(5.0)], f"o-{day}") for day in (0, 10, 30)
    ]
    sent_back = [Order(one.at, [Line(19.99, 2, 1), Line(5.0, 1, 1)], one.order_id) for one in bought]
    kept, returned = await worked_out(database, [ProfileRows(bought), ProfileRows(sent_back)])

    assert (kept.pop("spent"), returned.pop("spent")) == (134.94, 59.97)
    assert kept == returned
    assert (kept["orders"], kept["median_gap_days"]) == (3, 15.0)


async def test_three_orders_of_one_day_are_three_orders_and_one_visit(database: Database) -> None:
    def days(*hours: int) -> ProfileRows:
        return ProfileRows([Order(START + timedelta(hours=hour), [Line(1.0)], f"o-{hour}") for hour in hours])

    found = await worked_out(database, [days(0, 12, 23), days(0, 24, 48), days(0, 1, 24, 25)])

    assert [(one["orders"], one["median_gap_days"]) for one in found] == [(3, None), (3, 1.0), (4, None)]


async def test_an_order_counts_once_and_also_where_its_products_could_not_be_read(database: Database) -> None:
    twice = ProfileRows([Order(START, [Line(39.0)], "o-1"), Order(START + timedelta(hours=1), [], "o-1 ")])
    nameless = ProfileRows([Order(START, []), Order(START, [])])
    first, second = await worked_out(database, [twice, nameless])

    assert (1, START + timedelta(hours=1), START) == (
        first["orders"], first["last_order_at"], first["first_order_at"]
    )  # fmt: skip
    assert (
        second["orders"], second["last_order_at"], second["first_order_at"], second["spent"]
    ) == (2, START, None, 0.0)  # fmt: skip


async def test_an_order_that_two_channels_report_is_paid_once(database: Database) -> None:
    till = Order(START, [Line(19.99, 2, 1), Line(5.0)], "o-1")
    backend = Order(START + timedelta(hours=1), [Line(19.99, 2, 1), Line(5.0), Line(4.0)], "o-1")
    nameless = [Order(START, [Line(5.0)]), Order(START, [Line(5.0)])]
    [once, each] = await worked_out(database, [ProfileRows([till, backend]), ProfileRows(nameless)])

    assert (once["spent"], once["orders"], once["first_order_at"]) == (28.99, 1, START)
    assert each["spent"] == 10.0


async def test_the_preferred_hour_is_that_of_the_persons_own_clock_in_summer_and_winter(
    database: Database,
) -> None:
    winter, summer = datetime(2026, 1, 15, 19, 30, tzinfo=UTC), datetime(2026, 7, 15, 18, 30, tzinfo=UTC)
    said = [Order(winter), Order(summer)]
    # The clocks of Berlin go from 2 to 3 at 1:00 UTC on 29 March.
    night = [Order(datetime(2026, 3, 29, 0, 59, tzinfo=UTC)), Order(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))]
    people = [
        ProfileRows(said, timezone="Europe/Berlin"),
        ProfileRows(said, context_timezone="Europe/Berlin"),
        ProfileRows(said, timezone="Asia/Tokyo", context_timezone="Europe/Berlin"),
        ProfileRows(said),
        ProfileRows([*night, night[1]], timezone="Europe/Berlin"),
    ]

    assert [one["preferred_hour"] for one in await worked_out(database, people)] == [20, 20, 3, 18, 3]


@pytest.mark.parametrize(
    ("touches", "channel"),
    [
        pytest.param([("sms", 0), ("sms", 9), ("email", 0)], "sms", id="the one used most"),
        pytest.param([("ads", 0), ("email", 9)], "email", id="email where two are even"),
        pytest.param([("sms", 0), ("push", 9)], "push", id="else by name"),
        pytest.param(
            [("sms", 180), ("sms", 180), ("email", 0)], "email", id="not what was long before the last"
        ),
        pytest.param([("sms", 179), ("sms", 179), ("email", 0)], "sms", id="all of half a year"),
        pytest.param([("sms", 900), ("sms", 900), ("email", 901)], "sms", id="however long ago that is"),
    ],
)
async def test_the_preferred_channel_is_the_one_answered_most_before_the_last_answer(
    database: Database, touches: list[tuple[str, int]], channel: str
) -> None:
    answered = [Touch(name, "opened", START - timedelta(days=ago)) for name, ago in touches]
    [found] = await worked_out(database, [ProfileRows(touches=answered)])

    assert found["preferred_channel"] == channel


@pytest.mark.parametrize(
    "nonsense",
    ["Mars/Olympus", "PM", "Berlin", "+02:00", "a/b5", "epoch", "", " ", 5, {"a": 1}, "Europe/Berlin'--"],
)
async def test_what_is_no_zone_is_passed_over_and_stops_nothing(database: Database, nonsense: object) -> None:
    at = [Order(datetime(2026, 1, 15, 19, tzinfo=UTC))]
    people = [
        ProfileRows(at, timezone=nonsense, context_timezone="Europe/Berlin"),
        ProfileRows(at, timezone=nonsense),
    ]

    assert [one["preferred_hour"] for one in await worked_out(database, people)] == [20, 19]


async def test_every_zone_of_the_iana_regions_is_one_to_authors_queries(facts: IngestHarness) -> None:
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    regions = [name for name in names if "/" in name]
    await worked_out(facts.database, [ProfileRows(timezone=name) for name in [*regions, "UTC"]])
    kept = await facts.values("SELECT timezone FROM person WHERE now() AT TIME ZONE timezone IS NOT NULL")

    assert sorted([*regions, "UTC"]) == sorted(kept)


async def test_a_price_beyond_all_bounds_poisons_nobody(database: Database) -> None:
    dear = [Order(START, [Line(1e308, 9), Line(1e308, 9)]), Order(START, [Line(1.0)])]
    [found] = await worked_out(database, [ProfileRows(dear)])

    assert (found["orders"], found["spent"]) == (2, 1e300)


async def test_a_time_ahead_of_its_arrival_counts_as_of_then(database: Database) -> None:
    ahead = Order(TAKEN_IN + timedelta(days=9), [Line(1.0)])
    [found] = await worked_out(database, [ProfileRows([ahead])])

    assert [found["first_order_at"], found["last_order_at"]] == [TAKEN_IN] * 2


async def test_rows_that_are_as_they_should_be_are_not_written_again(database: Database) -> None:
    facts, person = IngestHarness(database), ProfileRows([Order(START, [Line(1.0)])])
    await worked_out(database, [person])
    versions = []
    for _ in range(2):
        versions += await facts.values("SELECT xmin::text FROM profile")
        async with database.transaction() as connection:
            await refresh_computed_traits(connection, [person.profile_id])
            await refresh_computed_traits(connection, [])

    assert versions[0] == versions[1]


async def test_merged_and_erased_people_are_passed_over(database: Database) -> None:
    facts, people = IngestHarness(database), [ProfileRows([Order(START)]), ProfileRows([Order(START)])]
    async with database.transaction() as connection:
        for person in people:
            await person.keep(connection)
    await facts.rows(
        "UPDATE profile SET merged_into = $1 WHERE profile_id = $2", *(p.profile_id for p in people)
    )
    await facts.rows("UPDATE profile SET erased_at = now() WHERE merged_into IS NULL")
    async with database.transaction() as connection:
        await refresh_computed_traits(connection, [person.profile_id for person in people])

    assert await facts.values("SELECT orders FROM profile") == [0, 0]


def purchase_history() -> list[dict[str, str]]:
    """CDNOW's orders of the years 1997 and 1998, or a skip that says what to set."""
    beside = Path(__file__).resolve().parents[4] / "shared"
    place = Path(os.environ.get("WAYPOST_SHARED") or beside) / "data" / "CDNOW_master_restored.csv.gz"
    if not place.exists():
        pytest.skip(f"no purchase histories: set WAYPOST_SHARED to a folder that has data/{place.name}")
    with gzip.open(place, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_the_histories_of_real_customers_come_out_as_counted_by_hand(database: Database) -> None:
    facts, rows = IngestHarness(database), purchase_history()
    of = Counter(row["customer_id"] for row in rows)
    # Some of every kind: one order, a few, very many.
    chosen = [*list(of)[:25], *(customer for customer, _ in of.most_common(2))]
    events, expected = [], {}
    for customer in chosen:
        theirs = [row for row in rows if row["customer_id"] == customer]
        for number, row in enumerate(theirs):
            line = {"product_id": "cd", "price": float(row["dollars"]), "quantity": 1}
            said = order(line, order_id=f"{customer}-{number}")
            event = facts.event("Order Completed", said, user_id=f"c{customer}")
            when = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            events.append(replace(event, time=when))
        days = sorted({datetime.fromisoformat(row["date"]) for row in theirs})
        gaps = [(later - sooner).days for sooner, later in pairwise(days)]
        cents = sum(round(float(row["dollars"]) * 100) for row in theirs)
        rhythm = float(median(gaps)) if len(gaps) > 1 else None
        last = days[-1].replace(tzinfo=UTC)
        expected[f"c{customer}"] = (len(theirs), cents / 100, rhythm, days[0].replace(tzinfo=UTC), last)
    random.Random(1).shuffle(events)
    for start in range(0, len(events), 100):
        await facts.ingest(events[start : start + 100])
    found = await facts.rows(
        "SELECT i.value, p.orders, p.spent, p.median_gap_days, p.first_order_at, p.last_order_at "
        "FROM profile p JOIN identifier i USING (profile_id)"
    )

    assert expected == {row.pop("value"): tuple(row.values()) for row in found}
