"""What each word costs on Temporal Cloud, counted from the history of a run that uses it."""

import inspect
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from authoring.testing.environment import Row as Found
from authoring.testing.environment import Waypost
from bench.billed_actions import count_billed_actions
from journeys.registry import SHIPPED, JourneyRegistry
from journeys.vocabulary import Journey
from journeys.vocabulary.deciding import Deciding
from journeys.vocabulary.waiting import Waiting
from local.temporal_server import TemporalDevServer
from tests.support.docs import ROOT
from tests.support.journeys.costs.row import ACTIVITY, TIMER, Row
from tests.support.journeys.costs.table import BEGIN, END, STORIES, documented, markdown, row_of
from tests.support.journeys.vocabulary import points_of

YES = {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"}
CART_BUDGET = 10
"""Of a cart left behind and told of to the end."""

KINDS = {"timer": TIMER, "activity attempt": ACTIVITY}
ONCE_A_RUN = Counter({"start": 1, ACTIVITY: 1})
"""The start, and the activity that closes the run."""


async def told(shop: Waypost, story: type[Journey]) -> Found:
    """A run of the story, told to its end."""
    row = row_of(story)
    person = {"email": "ada@example.com"} | ({"phone": "+4915112345678"} if row.phone else {})
    shop.clock += row.later
    for name, properties in row.before:
        await shop.ingest_event(name, properties, **person)
    await shop.ingest_event("Product Viewed", {"product_id": "lamp"}, traits=YES | row.traits, **person)
    run = await shop.run(story.definition.name)
    for step in row.happens:
        if isinstance(step, timedelta):
            await shop.advance_run(run, step)
        else:
            await shop.ingest_event(step[0], step[1] | await about(shop, step[0]), **person)
    await shop.run_result(run)
    return run


async def about(shop: Waypost, event: str) -> dict[str, Any]:
    """The message that an event of messages is about: the last one."""
    if not event.startswith("Message "):
        return {}
    return {"message_id": str((await shop.messages())[-1]["message_id"])}


async def counted(shop: Waypost, run: Found) -> tuple[Counter[str], int]:
    """Billed actions of a run by kind, and how many of its events it was told of by a signal of its own."""
    history = (await shop.handle(run).fetch_history()).events
    found = count_billed_actions(history, started_with_signal=True)
    signals = found.pop("signal", 0)
    return Counter({KINDS.get(kind, kind): count for kind, count in found.items()}), signals


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{row_of(story).word} {row_of(story).case}")
async def test_a_word_costs_what_the_table_says(
    database_url: str, temporal: TemporalDevServer, story: type[Journey]
) -> None:
    row = row_of(story)
    async with Waypost(database_url, temporal.client, journeys=(story,), effects=(points_of,)) as shop:
        cost, signals = await counted(shop, await told(shop, story))

    assert Counter(row.costs) == cost - ONCE_A_RUN
    assert cost == cost | ONCE_A_RUN
    assert signals == sum(isinstance(step, tuple) for step in row.happens)


async def test_what_is_free_is_in_the_history_and_not_counted(
    database_url: str, temporal: TemporalDevServer
) -> None:
    [story] = [one for one in STORIES if one.__name__ == "Experiments"]
    async with Waypost(database_url, temporal.client, journeys=(story,)) as shop:
        run = await told(shop, story)
        details = await shop.run_details(run)
        history = (await shop.handle(run).fetch_history()).events

    assert "experiment offer" in details
    assert history[0].workflow_execution_started_event_attributes.search_attributes.indexed_fields
    assert {event.event_type for event in history}.isdisjoint(
        {
            EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
            EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
            EventType.EVENT_TYPE_MARKER_RECORDED,
        }
    )


def test_every_word_has_its_cost() -> None:
    words = [
        name
        for room in (Waiting, Deciding, Journey)
        for name, word in vars(room).items()
        if inspect.isfunction(word) and not name.startswith("_")
    ]

    assert sorted(set(words) - {"now"}) == sorted({row_of(story).word for story in STORIES})


def test_the_table_has_a_row_for_each_story() -> None:
    lines = markdown().splitlines()

    assert len(lines) == 2 + 3 + len(STORIES)
    assert "| `sleep_until` | the first one in a run, which reads the zone | 2 | activity, timer |" in lines
    assert "| `choose` | by weight or by score | 0 |  |" in lines


def test_the_documentation_shows_the_table_as_it_is() -> None:
    text = (ROOT / "docs" / "explanation" / "temporal.md").read_text(encoding="utf-8")

    assert documented(text) == markdown(), f"put it between {BEGIN} and {END}:\n{markdown()}"


def test_a_document_without_its_marks_shows_nothing() -> None:
    assert documented("# Temporal\n") is None
    assert documented(f"{BEGIN}\nrows\n{END}\nmore") == "rows"


def test_a_row_says_what_it_is_made_of() -> None:
    assert Row("send", "twice", (ACTIVITY, TIMER, ACTIVITY)).costs.count(ACTIVITY) == 2


async def test_a_cart_that_nobody_comes_back_to_costs_no_more_than_its_budget(
    database_url: str, temporal: TemporalDevServer
) -> None:
    """Entry, one more event of the cart, quiet armed again, two waits, three sends, end."""
    story = JourneyRegistry(SHIPPED)["cart-abandonment"].cls
    lamp, desk = ({"product_id": name, "price": 39.0, "cart_id": "c-1"} for name in ("lamp", "desk"))
    ada = {"email": "ada@example.com", "phone": "+4915112345678"}
    async with Waypost(database_url, temporal.client, journeys=(story,)) as shop:
        await shop.ingest_event("Product Added", lamp, traits=YES, **ada)
        run = await shop.run("cart-abandonment")
        await shop.advance_run(run, timedelta(minutes=30))
        await shop.ingest_event("Product Added", desk, **ada)
        await shop.advance_run(run, timedelta(days=60))
        outcome = (await shop.run_result(run)).outcome
        cost, signals = await counted(shop, run)

    assert outcome not in ("bought", "emptied")
    assert signals == 1
    assert cost.total() + signals <= CART_BUDGET, cost
