"""Every word of the vocabulary has its step in a picture, and splits the story where it answers."""

from datetime import time

import pytest
from temporalio import activity

from authoring.graph.flow import Flow
from authoring.graph.mermaid import mermaid
from authoring.graph.reader import flow_of
from authoring.graph.svg import svg
from authoring.graph.vocabulary import DESCRIPTIONS
from journeys.source.vocabulary import WORDS
from journeys.vocabulary import (
    PERSON,
    SMS,
    Journey,
    Profile,
    Segment,
    Weekday,
    days,
    exit_on,
    goal,
    holding,
    hours,
    journey,
    ticket_is_open,
)
from profiles.events import (
    BackInStock,
    Event,
    OrderCompleted,
    OrderDelivered,
    OrderRefunded,
    PriceDropped,
    ReviewSubmitted,
    SegmentEntered,
    TicketSolved,
)
from tests.unit.test_graph_draws import Draws, Falls
from tests.unit.test_graph_methods import Within
from tests.unit.test_graph_reading import said, ways

BIG = Segment("big-spenders", "SELECT profile_id FROM person WHERE spent > 1000")
WEEKLY = Segment("weekly", "SELECT profile_id FROM person", every=days(7), existing=True)
NEWS = (PriceDropped, BackInStock)
IS_DEAR = goal(OrderDelivered, outcome="dear", where=lambda order: (order.total or 0) > 100)


class Member(Profile):
    """Somebody with a plan."""

    plan: str = "none"


class Complaint(Event, name='Complaint "über" [alles] {sofort} | #1; end'):
    """An event of somebody who likes punctuation."""


complaint_is_open = holding(Complaint, until=TicketSolved, says="eine Beschwerde [groß]")


@activity.defn
async def loyalty_points(customer_id: str) -> int:
    """Never called: a picture runs nothing."""
    raise AssertionError(customer_id)


async def said_twice(story: Journey, template: str) -> None:
    """A function of the module that is handed the story."""
    await story.send(template, promoting=None)
    await story.send(f"{template}_again", promoting=None)


@journey(
    starts_on=(BIG, WEEKLY),
    keyed_by=PERSON,
    hold_while=(ticket_is_open, complaint_is_open),
    holdout=5,
    ends_on=(
        goal(OrderCompleted, outcome="größer", where=lambda order: order.order_id != "o-1"),
        exit_on(OrderRefunded, outcome='"out"'),
        IS_DEAR,
    ),
)
class Whole(Journey):
    async def run(self, entry: SegmentEntered) -> str:
        await self.sleep_until(time(9), weekday=Weekday.MONDAY)
        who = await self.profile(Member)
        self.forget(*NEWS)
        if who.plan == "gold":
            await self.perform(loyalty_points, self.customer_id, within=days(1))
        if await self.wait_for_all(OrderDelivered, ReviewSubmitted, within=days(3)) is None:
            return "not both"
        if not await self.hold_while(ticket_is_open, complaint_is_open, within=days(14)):
            return "still angry"
        if await self.wait_for(*NEWS, within=hours(0)):
            return "there was news"
        await said_twice(self, "hello")
        await self.opt_out(SMS, topic="news")
        return "done"


@pytest.fixture(scope="module")
def whole() -> Flow:
    """The story above."""
    return flow_of(Whole.definition)


def test_a_segment_a_holdout_and_what_holds_all_marketing_stand_at_the_entry(whole: Flow) -> None:
    entry = whole.nodes[0]

    assert entry.title == (
        "enters segment big-spenders (every hour) or who belongs to or enters segment weekly (every 7 days)"
    )
    assert entry.lines == (
        "one live run per person",
        "silent while a support ticket or eine Beschwerde [groß] is open",
        "5% get nothing, to be measured against",
    )


def test_waits_holds_and_effects_say_what_they_are_about(whole: Flow) -> None:
    assert [(node.kind.value, node.title, node.lines) for node in whole.nodes[1:4]] == [
        ("sleep until", "Monday 09:00", ("where the person lives",)),
        ("read", "the profile", ("with plan",)),
        ("forget", "Price Dropped and Back In Stock", ("what came so far is no news",)),
    ]
    assert said(whole, "loyalty points") == ("with customer_id", "for 1 day at most")
    assert said(whole, "Order Delivered and Product Reviewed") == ("for 3 days at most",)
    assert said(whole, "a support ticket or eine Beschwerde [groß]") == ("for 14 days at most",)
    assert said(whole, "news by sms") == ()


def test_each_wait_leads_on_by_what_came_of_it(whole: Flow) -> None:
    held = "a support ticket or eine Beschwerde [groß]"

    assert {
        "the person's plan is gold? -yes-> loyalty points",
        "Order Delivered and Product Reviewed -3 days passed-> not both",
        f"Order Delivered and Product Reviewed -all came-> {held}",
        f"{held} -still open after 14 days-> still angry",
        f"{held} -none is open-> Price Dropped or Back In Stock",
        "Price Dropped or Back In Stock -one of them came-> there was news",
        "Price Dropped or Back In Stock -not so far-> hello",
        "hello --> hello_again",
        "hello_again --> news by sms",
    } < ways(whole)


def test_goals_and_exits_say_when_they_count_as_far_as_they_are_written_where_they_are_declared(
    whole: Flow,
) -> None:
    assert [(each.event, each.outcome, each.reason) for each in whole.interrupts] == [
        ("Order Completed", "größer", "goal reached, where its order_id is not o-1"),
        ("Order Refunded", '"out"', "exit"),
        ("Order Delivered", "dear", "by a rule of this journey"),
    ]


def test_no_word_of_the_vocabulary_is_without_a_step() -> None:
    steps = {word.name for word in WORDS.values() if word.is_step}

    assert set(WORDS) - steps == {"cart", "customer_id", "now"}
    assert set(DESCRIPTIONS) == steps


@pytest.mark.parametrize("story", [Whole, Falls, Draws, Within], ids=lambda cls: cls.definition.name)
def test_a_story_of_any_words_can_be_drawn_and_written(story: type[Journey]) -> None:
    flow = flow_of(story.definition)
    said_in_mermaid = mermaid(flow)

    assert svg(flow).endswith("</svg>\n")
    assert all(line.count('"') % 2 == 0 for line in said_in_mermaid.splitlines())
    assert said_in_mermaid.count(":::") == len(flow.nodes) + 2 * len(flow.interrupts)
