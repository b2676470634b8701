"""Which runs an event starts and signals, and what of it they get to see."""

import asyncio
import random
from datetime import timedelta

import pytest

from policy.reentry import After, Once
from profiles.db.database import Database
from profiles.ingest.pipeline import IngestConfig
from profiles.projection import apply
from profiles.runs import routing
from profiles.runs.routing import MAX_SIGNALS_PER_RUN
from profiles.state.run_keys import run_key
from profiles.state.unit_of_work import MESSAGE_RANK
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness, RoutedJourney, order

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

IN_CART = LAMP | {"cart_id": "c"}


async def test_people_with_one_key_at_once_have_one_run_each(facts: IngestHarness) -> None:
    answers = await asyncio.gather(
        *(facts.happens("Product Added", IN_CART, email=f"u{n}@x.org") for n in range(6))
    )

    runs = await facts.runs()
    assert [run_key(run["key"]) for run in runs] == ["c"] * 6
    assert len({run["profile_id"] for run in runs}) == len({run["workflow_id"] for run in runs}) == 6
    assert await facts.outbox() == ["start: Product Added"] * 6
    assert [await facts.problems(answer.event_id) for answer in answers] == [[]] * 6


async def test_one_person_at_once_has_one_run_of_a_key(facts: IngestHarness) -> None:
    await facts.happens("Product Added", IN_CART, email="first@x.org")
    await asyncio.gather(*(facts.happens("Product Added", IN_CART, email=ADA) for _ in range(6)))

    runs = await facts.runs()
    assert [run["profile_id"] for run in runs].count(await facts.who("email", ADA)) == 1
    assert len(runs) == 2


async def test_a_second_run_of_a_persons_key_is_not_written_even_if_routing_asks_for_it(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_target_runs", lambda *_: [])
    await facts.happens("Product Added", IN_CART, email=ADA)
    answer = await facts.happens("Product Added", IN_CART, email=ADA)

    assert len(await facts.runs()) == 1
    assert await facts.problems(answer.event_id) == ["key 'c' already has a live run of this profile"]


async def test_in_one_batch_two_people_have_a_run_of_one_key_each(facts: IngestHarness) -> None:
    people = ("first@x.org", "second@x.org")
    await facts.ingest([facts.event("Product Added", IN_CART, email=email) for email in (*people, people[1])])

    assert [run_key(run["key"]) for run in await facts.runs()] == ["c", "c"]
    assert await facts.outbox() == ["start: Product Added"] * 2 + ["Product Added"]


@pytest.mark.parametrize(
    ("name", "local", "age", "starts"),
    [
        pytest.param("Product Added", False, timedelta(hours=71), True, id="delivered late"),
        pytest.param("Product Added", False, timedelta(hours=73), False, id="older than 72 hours"),
        pytest.param("Product Added", False, -timedelta(minutes=4), True, id="a clock a little ahead"),
        pytest.param("Product Added", False, -timedelta(minutes=6), False, id="more than 5 minutes ahead"),
        pytest.param("Product Added", True, -timedelta(days=30), True, id="a travelled day of a local stack"),
        pytest.param("Product Added", True, timedelta(hours=73), False, id="old, on a local stack"),
        pytest.param("Order Completed", False, timedelta(days=30), False, id="an old purchase"),
    ],
)
async def test_an_events_age_decides_whether_it_starts_a_run(
    database: Database, name: str, local: bool, age: timedelta, starts: bool
) -> None:
    facts = IngestHarness(database, CARTS, PEOPLE, rules=IngestConfig(local=local))
    await facts.happens(name, IN_CART | order(LAMP), email=ADA, ago=age)

    assert bool(await facts.runs()) is starts
    if name == "Order Completed":
        assert await facts.suppressed("email", ADA) == ["lamp"]
    else:
        assert await facts.carts() == {"c": ["lamp"]}


async def test_a_cart_that_is_named_after_a_person_starts_no_run(facts: IngestHarness) -> None:
    answer = await facts.happens("Product Added", LAMP | {"cart_id": ADA}, email=ADA)

    assert await facts.runs() == []
    [problem] = await facts.problems(answer.event_id)
    assert "histories carry ids, not people" in problem


@pytest.mark.parametrize(
    ("reentry", "entered"),
    [
        pytest.param(Once(), 1, id="once"),
        pytest.param(After(timedelta(0)), 2, id="as soon as the last has ended"),
    ],
)
async def test_reentry_is_decided_by_the_entries_so_far(
    database: Database, reentry: After, entered: int
) -> None:
    facts = IngestHarness(database, RoutedJourney(reentry=reentry))
    for _ in range(2):
        answer = await facts.happens("Product Added", IN_CART, email=ADA)
        for run in await facts.runs():
            await facts.sent(run["run_id"])
            await facts.close(run["run_id"], seen=[answer.event_id] if answer.event_id else [])

    assert await facts.values("SELECT count(*) FROM run") == [entered]


async def test_a_run_that_hears_a_thousand_events_is_told_to_end_exactly_once(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 40
    monkeypatch.setattr(routing, "MAX_SIGNALS_PER_RUN", most)
    await facts.happens("Product Added", IN_CART, email=ADA)
    await facts.ingest([facts.event("Product Added", IN_CART, email=ADA) for _ in range(most - 2)])
    await asyncio.gather(*(facts.happens("Product Added", IN_CART, email=ADA) for _ in range(6)))

    told = await facts.outbox()
    assert told.count("End Run") == 1
    assert told[-1] == "End Run"
    assert len(told) == most + 1
    assert MAX_SIGNALS_PER_RUN == 1000


async def test_an_order_signals_the_carts_it_changed_with_what_is_left(facts: IngestHarness) -> None:
    for cart in ("a", "b"):
        await facts.happens("Product Added", LAMP | {"cart_id": cart}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "b"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "untouched"}, email=ADA)
    await facts.happens("Order Completed", order(LAMP), channel="store", email=ADA)

    rows = await facts.rows(
        "SELECT r.key, jsonb_array_length(o.payload -> 'cart') AS left FROM outbox o "
        "JOIN run r ON r.run_id = o.lane WHERE o.name = 'Order Completed' ORDER BY r.key"
    )
    assert [(row["key"], row["left"]) for row in rows] == [("a", 0), ("b", 1)]


async def test_what_became_of_a_message_is_told_to_the_run_that_sent_it_alone(facts: IngestHarness) -> None:
    for cart in ("a", "b"):
        await facts.happens("Product Added", LAMP | {"cart_id": cart}, email=ADA)
    sender, other = (run["run_id"] for run in await facts.runs())
    message = await facts.sent(sender)
    await facts.happens("Message Clicked", {"message_id": str(message)})

    assert await facts.outbox(sender) == ["start: Product Added", "Message Clicked"]
    assert await facts.outbox(other) == ["start: Product Added"]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_callbacks_in_any_order_and_number_leave_the_furthest_status(
    database: Database, together: bool
) -> None:
    facts, dice = IngestHarness(database, CARTS), random.Random(7)
    await facts.happens("Product Added", IN_CART, email=ADA)
    [run] = await facts.runs()
    for step, names, status in (
        ("1", ["Delivered", "Opened", "Clicked"], "clicked"),
        ("2", ["Delivered", "Opened"], "opened"),
        ("3", ["Delivered", "Bounced"], "bounced"),
    ):
        message = await facts.sent(run["run_id"], step=step)
        heard = dice.sample(names * 2, len(names) * 2)
        events = [facts.event(f"Message {name}", {"message_id": str(message)}) for name in heard]
        for batch in [events] if together else [[event] for event in events]:
            await facts.ingest(batch)
        assert await facts.values("SELECT status FROM message WHERE message_id = $1", message) == [status]


async def test_every_status_a_callback_sets_is_one_of_the_ranks() -> None:
    assert set(apply._STATUS_BY_EVENT_TYPE.values()) <= set(MESSAGE_RANK)


async def test_a_bounce_marks_the_address_and_leaves_a_complaint_standing(facts: IngestHarness) -> None:
    await facts.happens("Product Added", IN_CART, email=ADA)
    [run] = await facts.runs()
    for step, address in (("1", "bounced@x.org"), ("2", "complained@x.org")):
        message = await facts.sent(run["run_id"], address, step=step)
        await facts.rows(
            "INSERT INTO address_problem VALUES ('email', 'complained@x.org', 'complained', now()) "
            "ON CONFLICT DO NOTHING"
        )
        await facts.happens("Message Bounced", {"message_id": str(message)})

    assert await facts.values("SELECT problem FROM address_problem ORDER BY address") == [
        "bounced",
        "complained",
    ]
