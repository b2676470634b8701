"""Where a step leads on by more than one way of its own: a message that falls back, and what is drawn."""

from datetime import time

import pytest
from temporalio import activity

from authoring.graph.flow import Flow
from authoring.graph.mermaid import mermaid
from authoring.graph.reader import flow_of
from authoring.graph.svg import svg
from authoring.graph.vocabulary import DESCRIPTIONS
from journeys.registry import SHIPPED
from journeys.source.vocabulary import WORDS
from journeys.vocabulary import (
    EMAIL,
    PERSON,
    PUSH,
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
    if_not_delivered,
    if_not_seen,
    journey,
    minutes,
    ticket_is_open,
)
from profiles.events import (
    BackInStock,
    Event,
    MessageClicked,
    OrderCompleted,
    OrderDelivered,
    OrderRefunded,
    PriceDropped,
    ProductViewed,
    ReviewSubmitted,
    SegmentEntered,
    TicketSolved,
)
from tests.support.queries.flow import said, ways

TONES = {"warm": 3, "dry": 1}

UNDELIVERED = if_not_delivered(within=minutes(30), then=(SMS, PUSH))


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Falls(Journey):
    async def run(self, entry: ProductViewed) -> str:
        unseen = if_not_seen(within=hours(6), then=SMS)
        note = await self.send("hello", promoting=None, prefer=(EMAIL,), fallback=unseen)
        if not note:
            return "not told"
        await self.send("bye", promoting=None, fallback=UNDELIVERED)
        return "told"


def test_a_fallback_is_a_second_send_that_joins_the_way_of_the_first() -> None:
    flow = flow_of(Falls.definition)

    assert {
        "Product Viewed --> hello",
        "hello -not seen within 6 h-> hello",
        "hello -not sent-> not told",
        "hello -sent-> bye",
        "hello --> bye",
        "bye -not delivered within 30 min-> bye",
        "bye -else-> told",
        "bye --> told",
    } == ways(flow)
    assert [node.lines[0] for node in flow.nodes if node.kind.value == "send"] == [
        "by email",
        "by sms",
        "on the channel that suits",
        "by sms, else push",
    ]


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Draws(Journey):
    async def run(self, entry: ProductViewed) -> str:
        match self.experiment("size", small=50, big=30, none=20):
            case "small" | "big":
                await self.send("offer", promoting=None)
            case _:
                pass
        tone = self.choose("tone", TONES)
        await self.sleep(days(1))
        if tone == "warm":
            return "warm"
        if self.experiment("colour", red=1, green=1, blue=2) in ("red", "green"):
            return tone
        template = self.choose("words", {"long": 1, "short": 1})
        await self.send(template, promoting=None)
        best = self.choose("dearest", await self.suggestions(), by=lambda item: item.quantity)
        if best is None:
            return "nothing"
        return "else"


def test_draws_split_by_their_shares_at_once_or_later() -> None:
    flow = flow_of(Draws.definition)

    assert {
        "size -small or big: 80 of 100-> offer",
        "size -none: 20 of 100-> tone",
        "offer --> tone",
        "warm or dry? -warm: 3 of 4-> warm",
        "warm or dry? -dry: 1 of 4-> colour",
        "colour -red or green: 2 of 4-> warm or dry",
        "colour -blue: 2 of 4-> words",
        "words --> long or short",
        "dearest -none-> nothing",
        "dearest -one-> else",
    } < ways(flow)
    assert said(flow, "tone") == ("warm 3, dry 1",)
    assert said(flow, "dearest") == ("the best of the suggestions", "by its quantity")


def test_methods_of_the_story_are_drawn_as_what_they_contain() -> None:
    flow = flow_of(SHIPPED[1].definition)
    begun = [(node.kind.value, node.title) for node in flow.nodes].index(("sleep", "5 days"))

    assert [(node.kind.value, node.title) for node in flow.nodes[begun + 1 : begun + 8]] == [
        ("hold while open", "a support ticket or a return"),
        ("read", "the profile"),
        ("choice", "any kept?"),
        ("end", "nothing_kept"),
        ("loop", "for each item of kept, 3 at most"),
        ("look back for", "Product Reviewed"),
        ("send", "review_request"),
    ]
    assert said(flow, "review_request")[2] == "shows the item"
    assert {
        "the profile --> any kept?",
        "any kept? -no-> nothing_kept",
        "for each item of kept, 3 at most -next-> Product Reviewed",
        "Product Reviewed -Product Reviewed->> for each item of kept, 3 at most",
        "Product Reviewed -not so far-> review_request",
        "Product Reviewed -->> for each item of kept, 3 at most",
    } < ways(flow)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Within(Journey):
    async def run(self, entry: ProductViewed) -> str:
        if not await self.clicks(times=2) and await self.again(3):
            return "gone"
        return await self.over("seen")

    async def clicks(self, times: int) -> bool:
        for _ in range(times):
            if await self.wait_for(MessageClicked, within=days(1)):
                return True
        return False

    async def again(self, left: int) -> bool:
        await self.sleep(days(left))
        return left > 0 and await self.again(left - 1)

    async def over(self, how: str) -> str:
        if await self.wait_for(MessageClicked, within=days(2)):
            return f"{how}, clicked"
        return how


def test_what_a_method_answers_leads_on_where_it_was_asked() -> None:
    assert {
        "Product Viewed --> 2 times",
        "2 times -next-> Message Clicked",
        "Message Clicked -1 day passed->> 2 times",
        "2 times -done-> 3 days",
        "Message Clicked -Message Clicked-> Message Clicked",
        "3 days --> 3 is over 0?",
        "3 is over 0? -yes-> again(3 - 1)",
        "3 is over 0? -no-> Message Clicked",
        "again(3 - 1) --> again(3 - 1)?",
        "again(3 - 1)? -yes-> gone",
        "again(3 - 1)? -no-> Message Clicked",
        "Message Clicked -Message Clicked-> seen, clicked",
        "Message Clicked -2 days passed-> seen",
    } == ways(flow_of(Within.definition))


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
