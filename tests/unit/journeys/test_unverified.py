"""A run knows which values of ``context=`` only unverified events stated."""

from typing import Any

import pytest

from activities.contracts import ProfileSnapshot
from authoring.testing.calendar import DEFAULT_START
from journeys.vocabulary.sending import total_value
from journeys.vocabulary.unverified import UnverifiedValues
from profiles.events import CheckoutStarted, Event, Item, OrderCompleted

WORDS = "Bitcoin x10, see evil.example"

LINE = Item(product_id="lamp", name=WORDS, price=666.0, quantity=7)


@pytest.mark.parametrize(
    ("value", "is_named"),
    [
        pytest.param(WORDS, True, id="the text"),
        pytest.param("Aria lamp", False, id="a text of the author with a short id in it"),
        pytest.param("Order bitcoin-now-1", True, id="a text with a long id in it"),
        pytest.param(f"Dear {WORDS.upper()}!", True, id="a text with it, in another case"),
        pytest.param(["a", {"b": WORDS}], True, id="in containers"),
        pytest.param({WORDS: 1}, True, id="as a name"),
        pytest.param(39.0, True, id="an amount of the event"),
        pytest.param(39, False, id="an integer of the author"),
        pytest.param(7, False, id="a quantity"),
        pytest.param("a note of the author", False, id="a text of the author"),
        pytest.param("lam", False, id="a part of it"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_values_of_unverified_events_are_named(value: object, is_named: bool) -> None:
    values = UnverifiedValues()
    values.add_event(OrderCompleted(order_id="BITCOIN-NOW-1", total=39.0, products=(LINE,)))

    assert values.keys_in({"x": value}) == (("x",) if is_named else ())


@pytest.mark.parametrize("verified_first", [True, False])
def test_what_a_verified_event_states_as_well_is_not_named(*, verified_first: bool) -> None:
    values = UnverifiedValues()
    for verified in (verified_first, not verified_first):
        values.add_event(OrderCompleted(order_id="o-1042", total=39.0, content_verified=verified or None))

    assert values.keys_in({"id": "o-1042", "total": 39.0}) == ()


def test_an_item_of_a_verified_event_is_verified_by_its_own_mark() -> None:
    values = UnverifiedValues()
    values.add_event(CheckoutStarted(products=(LINE,), content_verified=True))

    assert values.keys_in({"name": WORDS}) == ("name",)


def test_traits_that_no_verified_event_stated_are_named() -> None:
    values = UnverifiedValues()
    values.add_traits(
        ProfileSnapshot(
            at=DEFAULT_START, traits={"plan": WORDS, "city": "Berlin"}, unverified_traits=("plan",)
        )
    )

    assert values.keys_in({"plan": WORDS, "city": "Berlin"}) == ("plan",)


@pytest.mark.parametrize(
    "event", [Event(), OrderCompleted(), CheckoutStarted(products=())], ids=["bare", "order", "checkout"]
)
def test_an_event_that_states_nothing_names_nothing(event: Event) -> None:
    values = UnverifiedValues()
    values.add_event(event)

    assert values.keys_in({"a": "", "b": 0.0, "c": None}) == ()


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([{"price": 39.0, "quantity": 2}], 78.0, id="a sum"),
        pytest.param([{"price": None, "quantity": 2}], 0.0, id="no price"),
        pytest.param([{"price": 1e308, "quantity": 9}], 0.0, id="beyond a float"),
        pytest.param([{"price": 1e308, "quantity": 1}] * 2, 0.0, id="a sum beyond a float"),
        pytest.param([{"price": 1.0, "quantity": 10**400}], 0.0, id="a quantity beyond a float"),
    ],
)
def test_the_value_of_a_message_is_a_finite_number(items: list[dict[str, Any]], expected: float) -> None:
    assert total_value(Item.model_construct(**item) for item in items) == expected


@pytest.mark.parametrize(
    ("item", "is_marked"),
    [
        pytest.param(Item(product_id="lamp", name="Gift card", price=5.0), True, id="of the author's code"),
        pytest.param(Item(product_id="lamp"), True, id="only an id"),
        pytest.param(LINE, False, id="of the event"),
        pytest.param(Item(product_id="lamp", name=WORDS), False, id="with its words"),
        pytest.param(Item(product_id="lamp", name=f"The {WORDS}"), False, id="with its words among others"),
        pytest.param(Item(product_id="lamp", price=666.0), False, id="with its price"),
        pytest.param(Item(product_id="p", name="Viewed", price=1.0), False, id="of a suggestion"),
        pytest.param(Item(product_id="evil.example 1"), False, id="with an id in words"),
    ],
)
def test_items_of_the_authors_code_are_shown(item: Item, *, is_marked: bool) -> None:
    values = UnverifiedValues()
    values.add_event(OrderCompleted(order_id="evil.example 1", products=(LINE,)))
    values.add_items([Item(product_id="p", name="Viewed", price=1.0)])

    assert [bool(marked.content_verified) for marked in values.mark_items([item])] == [is_marked]


def test_lines_of_the_cart_are_recorded() -> None:
    values = UnverifiedValues()
    values.add_event(Event(cart=(LINE,), content_verified=True))

    assert [item.content_verified for item in values.mark_items([LINE])] == [None]
