"""The end of a run: its row closes once, and what its story did not see is routed afresh, once."""

import asyncio
from uuid import UUID

import pytest

from policy.reentry import Once
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.runs.lifecycle import request_run_end, signal_run_manually
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness, RoutedJourney, order

JOURNEYS = (CARTS,)

ADA = "ada@example.com"


async def running(facts: IngestHarness) -> UUID:
    """The only live run."""
    [run] = await facts.runs()
    assert isinstance(run["run_id"], UUID)
    return run["run_id"]


async def added(facts: IngestHarness, product: dict[str, object] = LAMP) -> UUID:
    """Something goes into Ada's cart; the event's id."""
    answer = await facts.happens("Product Added", product | {"cart_id": "c"}, email=ADA)
    assert answer.event_id
    return answer.event_id


async def test_a_run_ends_with_its_outcome_and_frees_its_key(facts: IngestHarness) -> None:
    entry = await added(facts)
    first = await running(facts)
    await facts.close(first, seen=[entry], outcome="nudged")
    await added(facts, CHAIR)

    [ended] = await facts.runs("ended")
    assert (ended["run_id"], ended["outcome"]) == (first, "nudged")
    assert ended["ended_at"] is not None
    assert await running(facts) != first


async def test_a_trigger_the_story_did_not_see_starts_the_next_run(facts: IngestHarness) -> None:
    entry = await added(facts)
    first = await running(facts)
    unseen = await added(facts, CHAIR)
    closed = await facts.close(first, seen=[entry])

    assert closed.rerouted == 1
    second = await running(facts)
    assert await facts.values("SELECT entry_event FROM run WHERE run_id = $1", second) == [unseen]
    assert await facts.outbox(second) == ["start: Product Added"]
    assert await facts.values(
        "SELECT count(*) FROM outbox WHERE lane = $1 AND delivered_at IS NULL AND seq > 1", first
    ) == [0]


async def test_what_the_story_saw_is_not_routed_again(facts: IngestHarness) -> None:
    seen = [await added(facts), await added(facts, CHAIR)]
    closed = await facts.close(await running(facts), seen=seen)

    assert closed.rerouted == 0
    assert await facts.runs() == []


async def test_only_triggers_are_routed_again(facts: IngestHarness) -> None:
    entry = await added(facts)
    await facts.happens("Product Removed", LAMP | {"cart_id": "c"}, email=ADA)

    assert (await facts.close(await running(facts), seen=[entry])).rerouted == 0


async def test_closing_again_changes_nothing_whatever_is_said_to_have_been_seen(facts: IngestHarness) -> None:
    """A relay that finds the workflow gone closes too, and cannot know what the story acted on."""
    seen = [await added(facts), await added(facts, CHAIR)]
    run_id = await running(facts)
    await facts.close(run_id, seen=seen, outcome="bought")
    closed = await facts.runs("ended")
    again = await facts.close(run_id, seen=seen[:1], outcome="gone")

    assert again.rerouted == 0
    assert [run["outcome"] for run in closed] == ["bought"]
    assert await facts.runs("ended") == closed
    assert await facts.runs() == []


async def test_closing_at_once_from_two_sides_routes_once(facts: IngestHarness) -> None:
    entry = await added(facts)
    run_id = await running(facts)
    await added(facts, CHAIR)
    closed = await asyncio.gather(*(facts.close(run_id, seen=[entry]) for _ in range(4)))

    assert sorted(one.rerouted for one in closed) == [0, 0, 0, 1]
    assert len(await facts.runs()) == 1


async def test_events_that_arrive_while_a_run_closes_are_acted_on_by_some_run(facts: IngestHarness) -> None:
    entry = await added(facts)
    run_id = await running(facts)
    await asyncio.gather(
        *(added(facts, CHAIR | {"product_id": f"p-{n}"}) for n in range(6)), facts.close(run_id, seen=[entry])
    )

    second = await running(facts)
    assert len(await facts.outbox(second)) == 6


async def test_routing_afresh_respects_reentry(database: Database) -> None:
    facts = IngestHarness(database, RoutedJourney(reentry=Once()))
    entry = await added(facts)
    run_id = await running(facts)
    await facts.sent(run_id)
    await added(facts, CHAIR)
    await facts.close(run_id, seen=[entry])

    assert await facts.runs() == []


async def test_a_run_that_ended_as_merged_keeps_that_outcome_and_hands_its_triggers_to_the_older(
    database: Database,
) -> None:
    facts = IngestHarness(database, PEOPLE)
    await facts.happens("Order Completed", order(LAMP), email=ADA)
    older = await running(facts)
    await facts.happens("Order Completed", order(CHAIR), phone="+4915112345678")
    younger = next(run["run_id"] for run in await facts.runs() if run["run_id"] != older)
    unseen = await facts.happens("Order Completed", order(LAMP, order_id="o-3"), phone="+4915112345678")
    await facts.happens("Signed In", email=ADA, phone="+4915112345678")
    closed = await facts.close(younger, outcome="nudged")

    assert closed.rerouted == 1
    assert [run["outcome"] for run in await facts.runs("ended")] == ["merged"]
    assert unseen.event_id in await facts.values("SELECT event_id FROM outbox WHERE lane = $1", older)
    assert await running(facts) == older


async def test_the_audiences_of_a_run_are_left_with_it(facts: IngestHarness) -> None:
    entry = await added(facts)
    run_id = await running(facts)
    await facts.joined(run_id, "lamp")
    for _ in range(2):
        await facts.close(run_id, seen=[entry])

    assert await facts.values("SELECT state || ' ' || reason FROM audience_member") == ["leaving run_ended"]
    assert await facts.values("SELECT name FROM outbox WHERE kind = 'audience'") == ["remove"]


async def test_closing_a_run_that_never_was_says_so(facts: IngestHarness) -> None:
    with pytest.raises(KeyError, match="no run"):
        await facts.close(new_id())


async def test_a_run_is_signalled_by_hand_without_anybodys_address(facts: IngestHarness) -> None:
    await added(facts)
    said = {"message_id": "m", "url": "https://shop.example/?u=ada%40example.com"}
    run_id = await signal_run_manually(
        facts.database,
        journey="carts",
        key="c",
        event_name="Message Clicked",
        properties=said,
        idempotency_key=ADA,
    )

    assert run_id == await running(facts)
    [payload] = await facts.values("SELECT payload::text FROM outbox WHERE name = 'Message Clicked'")
    assert "ada" not in payload
    assert '"by-hand-' in payload


async def test_a_run_that_is_over_is_neither_signalled_nor_ended_by_hand(facts: IngestHarness) -> None:
    entry = await added(facts)
    run_id = await running(facts)
    assert await request_run_end(facts.database, JOURNEYS, run_id, "cancelled", "by hand")
    await facts.close(run_id, seen=[entry])

    assert not await request_run_end(facts.database, JOURNEYS, run_id, "cancelled", "by hand")
    assert (
        await signal_run_manually(
            facts.database, journey="carts", key="c", event_name="Product Removed", properties={}
        )
        is None
    )


async def test_a_signal_by_hand_names_a_declared_event_that_fits(database: Database) -> None:
    for name, said in (("Nothing Declared", {}), ("Product Added", {"price": "dear"})):
        with pytest.raises(ValueError, match=r"declared|does not fit"):
            await signal_run_manually(database, journey="carts", key="c", event_name=name, properties=said)
