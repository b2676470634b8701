"""The inbox of a run: each event once, in order of arrival, used once, and what the story has looked at."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journeys.vocabulary.inbox import Inbox
from profiles.events import (
    Event,
    MessageClicked,
    MessageOpened,
    OrderCompleted,
    OrderDelivered,
    ProductAdded,
    ProductViewed,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

MINUTE = timedelta(minutes=1)


def inbox(*events: Event) -> Inbox:
    """Events that came a minute apart, from noon on."""
    filled = Inbox()
    for number, event in enumerate(events):
        assert filled.receive(event, NOON + number * MINUTE)
    return filled


def found(inbox: Inbox, *kinds: type[Event], **more: Any) -> str | None:
    """Id of what ``first`` finds, which is then used up."""
    arrival = inbox.first_unused(kinds, **more)
    if arrival is None:
        return None
    arrival.used = True
    return arrival.event.id


def test_an_event_is_received_once_however_often_it_comes() -> None:
    box = inbox(OrderCompleted(id="1"))

    assert not box.receive(OrderCompleted(id="1"), NOON + MINUTE)
    assert not box.receive(ProductAdded(id="1"), NOON + MINUTE)
    assert box.count([OrderCompleted, ProductAdded]) == 1
    assert box.last_arrival([OrderCompleted]) == NOON


def test_the_earliest_unused_event_of_a_kind_is_found_in_order_of_arrival() -> None:
    box = inbox(OrderCompleted(id="1"), ProductAdded(id="2"), OrderCompleted(id="3"))

    assert [found(box, OrderCompleted) for _ in range(3)] == ["1", "3", None]
    assert found(box, OrderCompleted, ProductAdded) == "2"


def test_a_filter_passes_over_what_it_does_not_want_and_leaves_it_unused() -> None:
    box = inbox(ProductAdded(id="1", price=5), ProductAdded(id="2", price=50))

    assert found(box, ProductAdded, where=lambda e: e.price > 10) == "2"
    assert found(box, ProductAdded) == "1"


def test_of_a_message_means_events_of_that_message_only() -> None:
    box = inbox(
        MessageClicked(id="1", message_id="other"),
        MessageOpened(id="2", message_id="m-1"),
        MessageClicked(id="3", message_id="m-1"),
        MessageClicked(id="4", message_id="m-2"),
    )

    assert found(box, MessageClicked, of=("m-1", "m-2")) == "3"
    assert found(box, MessageClicked, of=("m-1", "m-2")) == "4"
    assert found(box, MessageClicked, of=()) is None
    assert box.has([MessageClicked], of=["m-1"])
    assert not box.has([MessageOpened], of=["m-2"])


def test_of_a_message_no_other_kind_of_event_comes() -> None:
    assert found(inbox(OrderCompleted(id="1")), OrderCompleted, of=("m-1",)) is None


def test_several_can_be_gathered_before_any_is_used() -> None:
    box = inbox(OrderDelivered(id="1"), OrderDelivered(id="2"))
    first = box.first_unused([OrderDelivered])
    assert first is not None
    second = box.first_unused([OrderDelivered], excluding=[first])

    assert second is not None
    assert (first.event.id, second.event.id) == ("1", "2")
    assert box.first_unused([OrderDelivered], excluding=[first, second]) is None


def test_used_events_still_count_and_still_break_the_quiet() -> None:
    box = inbox(ProductAdded(id="1"), ProductViewed(id="2"))
    found(box, ProductAdded)

    assert box.count([ProductAdded]) == 1
    assert box.last_arrival([ProductAdded]) == NOON
    assert box.last_arrival([ProductAdded, ProductViewed]) == NOON + MINUTE
    assert box.last_arrival([OrderCompleted]) is None


def test_what_is_used_up_is_not_found_and_what_comes_later_is() -> None:
    box = inbox(ProductAdded(id="1"), OrderCompleted(id="2"), ProductAdded(id="3"))
    box.mark_used([ProductAdded])
    box.receive(ProductAdded(id="4"), NOON)

    assert [found(box, ProductAdded) for _ in range(2)] == ["4", None]
    assert found(box, OrderCompleted) == "2"


LOOKS = [
    pytest.param(lambda box: box.first_unused([OrderCompleted]), ("1", "2"), id="a wait looks"),
    pytest.param(lambda box: box.last_arrival([OrderCompleted]), ("1", "2"), id="quiet looks"),
    pytest.param(lambda box: box.acknowledge_all(), ("1", "2"), id="the cart looks"),
    pytest.param(lambda box: box.has([MessageOpened], of=["m-1"]), (), id="a fallback's watch does not"),
    pytest.param(lambda box: box.count([OrderCompleted]), (), id="a hold's watch does not"),
]


@pytest.mark.parametrize(("look", "seen"), LOOKS)
def test_seen_is_what_had_come_when_the_story_looked_last(look: Any, seen: tuple[str, ...]) -> None:
    box = inbox(OrderCompleted(id="1"), ProductAdded(id="2"))
    look(box)
    box.receive(ProductAdded(id="3"), NOON)

    assert box.acknowledged_ids == seen
