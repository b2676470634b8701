"""Taking events in: each once, whatever comes twice, at once, or broken."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.ingest.pipeline import IngestConfig
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, RoutedJourney, order

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

COUNTS = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM purchase) + (SELECT count(*) FROM run)"


def statuses(answers: list[IngestResult]) -> list[str]:
    return [answer.status.value for answer in answers]


async def test_a_replay_is_a_duplicate_and_changes_nothing(facts: IngestHarness) -> None:
    event = facts.event("Order Completed", order(LAMP), email=ADA)
    first = await facts.ingest([event])
    before = await facts.values(COUNTS)
    again = await facts.ingest([event])

    assert statuses(first) == ["accepted"]
    assert statuses(again) == ["duplicate"]
    assert again[0].event_id == first[0].event_id
    assert await facts.values(COUNTS) == before
    assert await facts.values("SELECT orders FROM profile") == [1]


async def test_the_same_id_from_another_source_is_another_event(database: Database) -> None:
    web, till = IngestHarness(database), IngestHarness(database, source="till")

    assert (
        await web.happens("Product Viewed", LAMP, email=ADA, event_id="1")
    ).status is IngestStatus.ACCEPTED
    assert (
        await till.happens("Product Viewed", LAMP, email=ADA, event_id="1")
    ).status is IngestStatus.ACCEPTED


async def test_other_content_under_a_known_id_is_a_conflict_and_the_first_one_stands(
    facts: IngestHarness,
) -> None:
    await facts.happens("Order Completed", order(LAMP), email=ADA, event_id="x")
    answer = await facts.happens("Order Completed", order(CHAIR), email=ADA, event_id="x")

    assert answer.status is IngestStatus.CONFLICT
    assert await facts.suppressed("email", ADA) == ["lamp"]


async def test_duplicates_and_conflicts_inside_one_batch_are_told_apart(facts: IngestHarness) -> None:
    first = facts.event("Product Added", LAMP, email=ADA, event_id="x")
    other = facts.event("Product Added", CHAIR, email=ADA, event_id="x")
    answers = await facts.ingest([first, first, other, facts.event("Product Added", CHAIR, email=ADA)])

    assert statuses(answers) == ["accepted", "duplicate", "conflict", "accepted"]
    assert await facts.values("SELECT count(*) FROM event") == [2]


async def test_batches_at_once_with_the_same_events_take_each_once(facts: IngestHarness) -> None:
    events = [
        facts.event("Order Completed", order(LAMP, order_id=f"o-{n}"), email=f"u{n % 3}@x.org")
        for n in range(12)
    ]
    answers = await asyncio.gather(*(facts.ingest(events[::step]) for step in (1, -1, 1, -1)))

    accepted = [answer.id for batch in answers for answer in batch if answer.status is IngestStatus.ACCEPTED]
    assert sorted(accepted) == sorted(event.id for event in events)
    assert await facts.values("SELECT count(*) FROM purchase") == [12]
    assert sum(await facts.values("SELECT orders FROM profile")) == 12


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"note": "a\x00b"}, id="a character that jsonb cannot hold"),
        pytest.param({"note": 2**70}, id="a number that JSON encoders refuse"),
        pytest.param({"note": "\ud800"}, id="half a surrogate pair"),
    ],
)
async def test_one_event_that_cannot_be_stored_harms_no_other(
    facts: IngestHarness, poison: dict[str, Any]
) -> None:
    events = [facts.event("Product Viewed", LAMP, email=f"u{n}@x.org") for n in range(6)]
    events[2] = facts.event("Product Viewed", LAMP | poison, email="poison@x.org")
    answers = await facts.ingest(events)

    assert statuses(answers) == ["accepted", "accepted", "rejected", "accepted", "accepted", "accepted"]
    assert answers[2].detail
    assert await facts.values("SELECT count(*) FROM event") == [5]
    assert await facts.values("SELECT count(*) FROM identifier WHERE type = 'email'") == [5]


async def test_no_event_is_no_work(facts: IngestHarness) -> None:
    assert await facts.ingest([]) == []


async def test_an_event_that_names_nobody_is_kept_without_a_person(facts: IngestHarness) -> None:
    answer = await facts.happens("Message Delivered", {"message_id": "01a20064-b20d-72ae-b3d4-9cfd25afa398"})

    assert answer.status is IngestStatus.ACCEPTED
    assert await facts.problems(answer.event_id) == ["it names nobody: no identifier, and no message of ours"]
    assert await facts.values("SELECT count(*) FROM profile") == [0]


async def test_values_that_do_not_fit_are_left_out_and_the_purchase_still_counts(
    facts: IngestHarness,
) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    broken = LAMP | {"price": "about 39", "quantity": None}
    answer = await facts.happens("Order Completed", order(broken), email=ADA)

    assert await facts.suppressed("email", ADA) == ["lamp"]
    assert await facts.carts() == {"c-1": []}
    assert await facts.outbox() == ["start: Product Added", "Order Completed"]
    [problem] = await facts.problems(answer.event_id)
    assert "/properties/products/0/price" in problem


async def test_author_code_that_raises_costs_nobody_an_event(database: Database) -> None:
    def breaks(event: object) -> bool:
        raise ZeroDivisionError("of the author")

    faulty = RoutedJourney(name="faulty", where=breaks)
    unkeyed = RoutedJourney(name="unkeyed", key_property=None, key=lambda event: str(1 // 0))
    facts = IngestHarness(database, faulty, unkeyed, CARTS)
    answer = await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)

    assert answer.status is IngestStatus.ACCEPTED
    assert [run["journey"] for run in await facts.runs()] == ["carts"]
    assert len(await facts.problems(answer.event_id)) == 2
    assert all("keyed_by or filter raised" in problem for problem in await facts.problems(answer.event_id))


async def test_the_clock_of_a_server_is_not_moved_by_events_and_that_of_a_local_stack_is(
    database: Database,
) -> None:
    tomorrow = -timedelta(days=1)
    await IngestHarness(database).happens("Product Viewed", LAMP, email=ADA, event_id="server", ago=tomorrow)
    await IngestHarness(database, rules=IngestConfig(local=True)).happens(
        "Product Viewed", LAMP, email=ADA, event_id="local", ago=tomorrow
    )
    ahead = await IngestHarness(database).values(
        "SELECT at > now() + '1 hour'::interval FROM event ORDER BY id"
    )

    assert ahead == [True, False]


async def test_events_carry_their_instants_in_utc_and_odd_calendars_do_no_harm(facts: IngestHarness) -> None:
    late = facts.event(
        "Order Completed", order(LAMP), email=ADA, ago=datetime.now(UTC) - datetime(9998, 12, 31, tzinfo=UTC)
    )
    early = facts.event(
        "Order Completed", order(CHAIR), email=ADA, ago=datetime.now(UTC) - datetime(1, 1, 2, tzinfo=UTC)
    )
    assert statuses(await facts.ingest([late, early])) == ["accepted", "accepted"]

    assert await facts.suppressed("email", ADA) == ["lamp"]
    assert (await facts.happens("Product Viewed", LAMP, email=ADA)).status is IngestStatus.ACCEPTED
