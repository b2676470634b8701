"""The benches: the arithmetic of their report, and that each of them runs."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import asyncpg
import orjson
import pytest
from rich.console import Console
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskStartedEventAttributes, HistoryEvent

from bench import gate, hostile, identity, ingest, journeys, latency
from bench.__main__ import encode_results
from bench.billed_actions import count_billed_actions
from bench.cart_drivers import NOON
from bench.concurrency import time_workers
from bench.events import EventGenerator, cart_event, split_batches
from bench.identity_events import IdentityEventGenerator, IdentityEventKind
from bench.ingest_paths import parse_event
from bench.machine import CpuClock, cpu_seconds, describe_machine
from bench.population import populate
from bench.report import BenchComparison, Measure, comparison_table, per_second, percentile
from bench.servers import BenchServers
from bench.sizes import Sizes
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from profiles.ingest.pipeline import Ingest

TINY = Sizes(
    "tiny", repeats=1, singles=20, batches=2, batch=10, runs=2, purchases=2, decisions=10, few=60, many=300
)


def compared(ours: tuple[float, ...], bare: tuple[float, ...] | None, note: str = "") -> BenchComparison:
    return BenchComparison(
        "bench", "name", "events/s", Measure(ours), Measure(bare) if bare else None, note=note
    )


def test_a_ratio_is_taken_repeat_by_repeat_and_only_then_the_median() -> None:
    ratio = compared((10, 90, 30), (20, 100, 10)).ratio

    assert ratio is not None
    assert ratio.values == (0.5, 0.9, 3.0)
    assert ratio.median == 0.9  # the ratio of the medians would be 1.5


def test_an_even_number_of_repeats_has_the_mean_of_the_middle_two_as_its_median() -> None:
    assert Measure((1, 2, 4, 100)).median == 3


def test_without_a_bare_counterpart_or_with_one_of_zero_there_is_no_ratio() -> None:
    assert compared((1,), None).ratio is None
    assert compared((1, 1), (1, 0)).ratio is None


def test_repeats_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="2 repeats of Waypost and 1 bare ones cannot be paired"):
        _ = compared((1, 2), (1,)).ratio


def test_a_measure_without_values_and_a_rate_without_time_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        Measure(())
    with pytest.raises(ValueError, match="positive time"):
        per_second(5, 0)

    assert per_second(500, 0.25) == 2000


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.5, 50),  # of a hundred values the fiftieth
        (0.99, 99),  # one of a hundred may be worse
        (1, 100),  # none may
        (0.001, 1),  # the smallest there is
    ],
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 values"):
        percentile([], 0.5)


def test_the_results_file_holds_every_value_and_what_the_table_shows_of_them() -> None:
    rows = [compared((10, 30, 20), (20, 30, 80), note="why")]

    kept = orjson.loads(encode_results(describe_machine(), TINY, rows))

    assert kept["sizes"]["name"] == "tiny"
    assert len(kept["machine"]["load_average"]) == 3
    assert kept["comparisons"] == [
        {
            "bench": "bench",
            "name": "name",
            "unit": "events/s",
            "more_is_better": True,
            "sides": ["Waypost", "bare"],
            "ours": {"median": 20, "min": 10, "max": 30, "values": [10, 30, 20]},
            "bare": {"median": 30, "min": 20, "max": 80, "values": [20, 30, 80]},
            "ratio": {"median": 0.5, "min": 0.25, "max": 1, "values": [0.5, 1, 0.25]},
            "note": "why",
        }
    ]


def test_the_table_shows_medians_with_their_spread_in_three_digits() -> None:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(comparison_table([compared((1234.5, 1250.0, 1300.0), (2500.0, 2500.0, 2500.0))]))
    said = captured.get()

    assert "1,250 (1,230 to 1,300)" in said
    assert "0.500 (0.494 to 0.520)" in said


def test_the_table_names_the_sides_of_a_bench_that_has_others() -> None:
    row = BenchComparison("people", "an event", "ms", Measure((2.0,)), Measure((1.0,)), sides=("many", "few"))
    console = Console(width=160)
    with console.capture() as captured:
        console.print(comparison_table([row]))
    [said] = [line for line in captured.get().splitlines() if "people" in line]

    assert said.split() == ["people", "many", "few", "ratio"]


def test_a_start_with_its_signal_is_one_action_and_each_attempt_of_an_activity_is_one() -> None:
    attempted = ActivityTaskStartedEventAttributes(attempt=3)
    history = [
        HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED),
        HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
        HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED),
        HistoryEvent(event_type=EventType.EVENT_TYPE_TIMER_STARTED),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
            activity_task_started_event_attributes=attempted,
        ),
        HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
    ]

    counted = count_billed_actions(history, started_with_signal=True)

    assert counted == {"start": 1, "signal": 1, "timer": 1, "activity attempt": 3}


def test_the_same_seed_makes_the_same_traffic_and_another_one_another() -> None:
    def bought(seed: int) -> list[object]:
        return [(event["type"], event["properties"]) for event in EventGenerator(seed).events(200)]

    assert bought(1) == bought(1)
    assert bought(1) != bought(2)
    assert len({event["id"] for event in EventGenerator(1).events(200)}) == 200


def test_of_five_hundred_events_as_many_are_of_each_kind_as_of_all() -> None:
    visitors = IdentityEventGenerator(1, 1000)
    first, second = visitors.mixed(500), visitors.mixed(500)

    alone = [[event for event in block if len(event["identifiers"]) == 1] for block in (first, second)]
    assert [len(block) for block in alone] == [75, 75]
    assert len({event["id"] for event in (*first, *second)}) == 1000
    assert all("email" in event["identifiers"] for event in visitors.of_kind(IdentityEventKind.MERGE, 20))


def test_batches_hold_every_event_once_in_order() -> None:
    events = EventGenerator(1).events(25)

    batches = split_batches(events, 10)

    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [event for batch in batches for event in batch] == events


def test_shoppers_have_addresses_of_their_own() -> None:
    people = [cart_event("Product Added", shopper, NOON)["identifiers"] for shopper in range(300)]

    assert len({person["phone"] for person in people}) == len({person["email"] for person in people}) == 300


async def test_every_item_is_worked_on_once_and_no_more_at_once_than_workers() -> None:
    done: list[int] = []

    def worker() -> Callable[[int], Awaitable[None]]:
        async def work(item: int) -> None:
            done.append(item)

        return work

    seconds = await time_workers(range(50), [worker() for _ in range(4)])

    assert sorted(done) == list(range(50))
    assert seconds > 0


def test_processor_time_is_told_per_item_and_only_of_processes_there_are() -> None:
    clock = CpuClock({"init": 1, "nobody": 2**22 + 1})
    clock.start()

    told = clock.ms_per_item(1)

    assert cpu_seconds(2**22 + 1) is None
    assert set(told) == {"init"}
    assert told["init"] >= 0


@pytest.fixture
def servers(
    postgres: str, temporal: TemporalDevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BenchServers:
    """The servers of the tests, as the benches use them; hardly warmed up, since no figure is looked at."""
    monkeypatch.setattr(gate, "_WARM_UP", max(gate.WRITERS))
    monkeypatch.setattr(ingest, "_WARM_UP", 2)
    return BenchServers(postgres, temporal, tmp_path)


async def measured(bench: ModuleType, servers: BenchServers) -> list[BenchComparison]:
    """Rows of a bench, which must have told of each of its steps."""
    told: list[str] = []
    rows: list[BenchComparison] = await bench.measure(servers, TINY, told.append)
    assert len(told) == bench.steps(TINY)
    return rows


async def test_ingest_is_measured_by_every_way_in(servers: BenchServers) -> None:
    rows = await measured(ingest, servers)

    with_ratio = [row.name for row in rows if row.ratio]
    assert with_ratio == [
        *(f"{way}, one by one, 16 at once" for way in ("HTTP", "Batcher", "Ingest")),
        *(f"{way}, batches of 10" for way in ("HTTP", "Batcher", "Ingest")),
    ]


async def test_a_till_is_measured_calm_and_under_attack(
    servers: BenchServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "_ATTACK_BEGIN_S", 0.1)
    rows = await measured(hostile, servers)

    assert [row.name for row in rows if row.ratio] == [
        "purchase of a till, p50",
        "purchase of a till, p99",
        "memory of the API process",
    ]


async def test_a_made_up_population_is_what_its_own_events_would_have_left(servers: BenchServers) -> None:
    async with servers.database() as url:
        indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        before = await _asked(url, indexes)
        made = await populate(url, 50)
        after = await _asked(url, indexes)
        people = IdentityEventGenerator(1, 50).of_kind(IdentityEventKind.KNOWN, 40)
        database = Database(url)
        await Ingest(database, ())([parse_event(event) for event in people])
        await database.close()

        assert after == before
        assert made.count == await _asked(url, "SELECT count(*) FROM profile", whole=False)
        assert await _asked(url, "SELECT count(*) FROM identity_link", whole=False) == 45
        assert await _asked(url, "SELECT count(*) FROM identity_log", whole=False) == 0


async def _asked(url: str, query: str, *, whole: bool = True) -> object:
    connection = await asyncpg.connect(url)
    try:
        return (
            [row[0] for row in await connection.fetch(query)] if whole else await connection.fetchval(query)
        )
    finally:
        await connection.close()


async def test_people_are_resolved_among_few_and_among_many(servers: BenchServers) -> None:
    rows = {row.name: row for row in await measured(identity, servers)}

    assert {row.sides for row in rows.values()} == {("300 people", "60 people")}
    trips = {kind: rows[f"{kind}, one by one"] for kind in IdentityEventKind}
    assert all(row.ratio == Measure((1.0,)) for row in trips.values())
    assert trips[IdentityEventKind.KNOWN].ours.median <= identity.MAX_ROUND_TRIPS
    assert trips[IdentityEventKind.SINGLE].ours.median <= identity.MAX_ROUND_TRIPS


async def test_the_cart_journey_costs_no_more_actions_than_its_budget(servers: BenchServers) -> None:
    rows = {row.name: row for row in await measured(journeys, servers)}

    whole = rows["billed: the whole story, nothing bought"]
    assert whole.ours.median <= journeys.ACTION_BUDGET
    assert whole.bare is not None
    assert whole.ours.median == whole.bare.median
    assert rows["billed: reminded, then bought"].ratio == Measure((1.0,))
    assert rows["runs, entry to end"].ratio is not None


async def test_latency_is_measured_at_every_load(servers: BenchServers) -> None:
    rows = await measured(latency, servers)

    assert [row.name for row in rows] == [
        f"purchase to end of run, {load} at once, {share}"
        for load in latency.LOADS
        for share in ("p50", "p99")
    ]
    assert all(row.ours.median > 0 for row in rows)


async def test_the_gate_is_measured_with_and_without_contention(servers: BenchServers) -> None:
    rows = await measured(gate, servers)

    assert [row.name for row in rows[:4]] == [
        "1 writer, each another person of 60",
        "  beside the same rows",
        "  p99",
        "8 writers, each another person of 60",
    ]
    assert len([row for row in rows if row.unit == "decisions/s"]) == 2 * 3 * len(gate.WRITERS)
    assert len([row for row in rows if row.unit == "ms"]) == 2 * len(gate.WRITERS)
    assert all(row.ratio for row in rows)
