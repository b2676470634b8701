"""A journey's code read into a flow: every way a story can take is in it, in words."""

from datetime import timedelta
from enum import StrEnum

import pytest

from authoring.graph.flow import Kind
from authoring.graph.reader import flow_of
from journeys.registry import SHIPPED
from journeys.vocabulary import (
    EMAIL,
    PERSON,
    SMS,
    After,
    AtMost,
    Journey,
    Sent,
    Unknown,
    Withheld,
    days,
    exit_on,
    goal,
    hours,
    journey,
    weeks,
)
from profiles.events import (
    MessageClicked,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderRefunded,
    TicketOpened,
    TicketSolved,
)
from tests.support.queries.flow import said, ways

PATIENCE = timedelta(days=3)


class Outcome(StrEnum):
    OK = "all right"


def worth_it(event: OrderCompleted) -> bool:
    raise AssertionError("a filter is never asked for a picture")


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda cls: cls.definition.name)
def test_every_step_of_a_shipped_journey_is_reached_and_only_ends_lead_nowhere(
    shipped: type[Journey],
) -> None:
    flow = flow_of(shipped.definition)
    reached = {edge.target for edge in flow.edges}
    left = {edge.source for edge in flow.edges}

    assert {node.id for node in flow.nodes} - reached == {flow.nodes[0].id}
    assert {node.id for node in flow.nodes if node.kind is Kind.END} == {n.id for n in flow.nodes} - left
    assert flow.nodes[0].kind is Kind.ENTRY


def test_the_cart_journey_is_drawn_as_it_is_told() -> None:
    flow = flow_of(SHIPPED[0].definition)

    assert [(node.kind.value, node.title) for node in flow.nodes] == [
        ("starts on", "Product Added or Checkout Started"),
        ("quiet", "1 h"),
        ("forget", "Price Dropped, Back In Stock and Order Completed"),
        ("send", "cart_reminder"),
        ("ad audience", "left-in-cart"),
        ("wait for", "Message Clicked or Price Dropped or Back In Stock or Order Completed"),
        ("end", "engaged"),
        ("send", "cart_news"),
        ("sleep", "2 days"),
        ("send", "cart_rest"),
        ("send", "cart_offer"),
        ("wait for", "Message Clicked"),
        ("end", "engaged"),
        ("end", "nudged"),
    ]
    assert said(flow, "Product Added or Checkout Started") == (
        "one live run per cart",
        "again 3 days after the last entry",
        "silent while a support ticket is open",
    )
    assert said(flow, "1 h") == ("without Product Added, Product Removed or Checkout Started",)
    assert said(flow, "cart_reminder") == ("on the channel that suits", "promotes the cart's items")
    assert said(flow, "cart_news") == ("on the channel that suits", "promotes the news' item")
    assert said(flow, "cart_offer") == ("by sms, else email", "promotes the cart's items")
    waited = "Message Clicked or Price Dropped or Back In Stock or Order Completed"
    assert {
        f"{waited} -Message Clicked-> engaged",
        f"{waited} -Price Dropped or Back In Stock-> cart_news",
        f"{waited} -Order Completed-> 2 days",
        f"{waited} -1 day passed-> cart_offer",
        "Message Clicked -Message Clicked-> engaged",
        "Message Clicked -2 days passed-> nudged",
    } < ways(flow)
    assert [(each.event, each.outcome) for each in flow.interrupts] == [
        ("Order Completed", "bought"),
        ("Product Removed", "emptied"),
    ]


def test_a_condition_of_two_parts_is_taken_part_by_part_as_python_does() -> None:
    flow = flow_of(SHIPPED[1].definition)
    sleeps = {node.id for node in flow.nodes if node.title == "5 days"}

    assert "handed_over is in ARRIVED?" in {node.title for node in flow.nodes if node.kind is Kind.CHOICE}
    assert {"yes", "Order Delivered"} <= {edge.label for edge in flow.edges if edge.target in sleeps}


def test_a_goal_or_exit_with_a_filter_says_when_it_counts() -> None:
    flow = flow_of(SHIPPED[1].definition)

    assert [(each.event, each.outcome, each.reason) for each in flow.interrupts] == [
        ("Order Cancelled", "cancelled", "exit"),
        ("Order Refunded", "refunded", "exit, where it has no products"),
    ]


def test_an_experiment_splits_where_it_is_asked_by_the_shares_of_its_arms() -> None:
    assert {
        "win-back-incentive -offer: 80 of 100-> win_back_offer",
        "win-back-incentive -control: 20 of 100-> Message Clicked or Product Viewed or Product Added",
    } < ways(flow_of(SHIPPED[2].definition))


@journey(
    starts_on=OrderCompleted,
    keyed_by=PERSON,
    where=worth_it,
    ends_on=(goal(TicketSolved, outcome="helped"), exit_on(OrderCancelled, outcome="undone")),
    reentry=AtMost(2),
)
class Branches(Journey):
    async def run(self, entry: OrderCompleted) -> str:
        event = await self.wait_for(TicketOpened, OrderRefunded, within=weeks(2))
        match event:
            case TicketOpened(ticket_id=number):
                return f"complaint {number}"
            case OrderRefunded():
                await self.sleep(PATIENCE)
            case None:
                return Outcome.OK
        match await self.send("sorry", promoting=None, showing=entry.products, expires=hours(12)):
            case Sent(channel=channel):
                return f"told by {channel.value}"
            case Withheld() | Unknown():
                pass
        return "told" if await self.suggestions(limit=2) else "silent"


def test_a_match_right_after_a_step_splits_at_the_step_itself() -> None:
    flow = flow_of(Branches.definition)

    assert {
        "Ticket Opened or Order Refunded -Ticket Opened-> complaint {number}",
        "Ticket Opened or Order Refunded -Order Refunded-> 3 days",
        "Ticket Opened or Order Refunded -14 days passed-> all right",
        "3 days --> sorry",
        "sorry -sent-> told by {channel.value}",
        "sorry -withheld or unknown-> up to 2 items",
        "up to 2 items -some-> told",
        "up to 2 items -none-> silent",
        "Order Completed --> Ticket Opened or Order Refunded",
    } == ways(flow)
    assert said(flow, "sorry") == (
        "on the channel that suits",
        "promotes nothing",
        "shows the entry's products",
        "expires after 12 h",
    )


def test_a_filter_is_named_and_a_goal_is_told_from_an_exit() -> None:
    flow = flow_of(Branches.definition)

    assert said(flow, "Order Completed") == ("where worth_it", "one live run per person", "2 times at most")
    assert [(each.outcome, each.reason) for each in flow.interrupts] == [
        ("helped", "goal reached"),
        ("undone", "exit"),
    ]


@journey(
    starts_on=OrderCompleted,
    keyed_by=lambda order: order.order_id,
    where=lambda order: order.currency == "EUR",
    reentry=After(days(1)),
)
class Loops(Journey):
    async def run(self, entry: OrderCompleted) -> str:
        for item in entry.products:
            if item.price is None:
                continue
            told = await self.send("told", promoting=(item,), prefer=(EMAIL, SMS))
            if not told:
                break
        while not await self.wait_for(OrderDelivered, within=days(1)):
            await self.send("waiting", promoting=None)
        while True:
            if await self.wait_for(MessageClicked, where=lambda click: click.url is not None):
                raise RuntimeError("clicked")


def test_loops_lead_back_and_are_left_where_the_code_leaves_them() -> None:
    flow = flow_of(Loops.definition)

    assert {
        "Order Completed --> for each item of the entry's products",
        "for each item of the entry's products -next-> the item's price is missing?",
        "the item's price is missing? -yes->> for each item of the entry's products",
        "the item's price is missing? -no-> told",
        "told -sent->> for each item of the entry's products",
        "told -not sent-> Order Delivered",
        "for each item of the entry's products -done-> Order Delivered",
        "Order Delivered -1 day passed-> waiting",
        "waiting -->> Order Delivered",
        "Order Delivered -Order Delivered-> again and again",
        "again and again --> Message Clicked",
        "Message Clicked -Message Clicked-> raises RuntimeError('clicked')",
    } == ways(flow)
    assert said(flow, "Order Completed")[:2] == (
        "where its currency is EUR",
        "one live run per its order_id",
    )
    assert said(flow, "Message Clicked") == ("where its url is there", "however long it takes")
