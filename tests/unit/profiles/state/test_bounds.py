"""Bounds of events: what counts of a value that is too long, too great or too many, and what is reported."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given

from profiles.state.bounds import (
    MAX_BUNDLE_PARTS,
    MAX_QUANTITY,
    MAX_TRAITS,
    MAX_UNVERIFIED_LINES,
    bound_event,
)
from profiles.state.event_records import IncomingEvent
from tests.support.generators.hostile_events import hostile_events

LONG = "x" * 3_000

LONG_ID = "x" * 190 + "~" + hashlib.sha256(LONG.encode()).hexdigest()


def event(*, verified: bool = True, traits: dict[str, Any] | None = None, **properties: Any) -> IncomingEvent:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    kinds = (("email", "ada@example.com"),)
    return IncomingEvent(
        "test", "e-1", "Order Fulfilled", "web", now, kinds, properties, traits or {}, verified=verified
    )


@pytest.mark.parametrize(
    ("name", "value", "counts", "code"),
    [
        pytest.param("product_id", LONG, LONG_ID, "too_long", id="an id becomes its start and a digest"),
        pytest.param("cart_id", LONG, LONG_ID, "too_long", id="so does the id of a cart"),
        pytest.param("order_id", LONG, LONG_ID, "too_long", id="so does the id of an order"),
        pytest.param("name", LONG, "x" * 500, "too_long", id="a name is cut"),
        pytest.param("topic", LONG, "x" * 100, "too_long", id="a topic of consent is cut"),
        pytest.param("url", LONG, None, "too_long", id="half of an address would mislead"),
        pytest.param(
            "quantity", 2**62, MAX_QUANTITY, "out_of_range", id="a purchase counts, with fewer pieces"
        ),
        pytest.param("quantity", str(2**62), MAX_QUANTITY, "out_of_range", id="a number as text"),
        pytest.param("quantity", "9" * 5_000, MAX_QUANTITY, "out_of_range", id="an endless number as text"),
        pytest.param("quantity", 1e300, MAX_QUANTITY, "out_of_range", id="a number with an exponent"),
        pytest.param("quantity", "-1e400", None, "out_of_range", id="an infinite negative number"),
        pytest.param("price", 1e27, None, "out_of_range", id="no amount of money"),
        pytest.param("price", "1e400", None, "out_of_range", id="an infinite amount as text"),
        pytest.param("price", "nan", None, "out_of_range", id="not a number"),
        pytest.param("total", -1e308, None, "out_of_range", id="a great debt"),
    ],
)
def test_a_value_out_of_bounds_counts_in_part_and_is_a_problem(
    name: str, value: Any, counts: Any, code: str
) -> None:
    bounded, problems = bound_event(event(**{name: value}))

    assert bounded.properties.get(name) == counts
    assert [(each["code"], each["pointer"]) for each in problems] == [(code, f"/properties/{name}")]
    assert "send" in problems[0]["detail"]
    assert len(problems[0]["detail"]) < 200


@pytest.mark.parametrize("name", ["sku", "name", "price", "quantity", "image_url"])
def test_a_line_of_an_order_has_the_same_bounds(name: str) -> None:
    value = 1e300 if name in ("price", "quantity") else LONG
    bounded, [problem] = bound_event(event(products=[{"sku": "a"}, {"product_id": "b", name: value}]))

    assert bounded.properties["products"][1].get(name) != value
    assert problem["pointer"] == f"/properties/products/1/{name}"


@pytest.mark.parametrize(("verified", "lines"), [(True, 4_000), (False, MAX_UNVERIFIED_LINES)])
def test_all_lines_of_a_verified_order_count(verified: bool, lines: int) -> None:
    """Nothing that was bought is promoted. An unverified order is cut."""
    bounded, problems = bound_event(
        event(verified=verified, products=[{"sku": str(n)} for n in range(4_000)])
    )

    assert len(bounded.properties["products"]) == lines
    assert [each["code"] for each in problems] == ([] if verified else ["too_many"])


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        pytest.param("first_name", LONG, "x" * 2_000, id="a text is cut"),
        pytest.param("n" * 101, 1, None, id="a long name"),
        pytest.param("list", [LONG, LONG], None, id="a large list"),
        pytest.param("object", {"a": [LONG, LONG]}, None, id="a large object"),
    ],
)
def test_a_trait_has_bounds(name: str, value: Any, counts: Any) -> None:
    bounded, [problem] = bound_event(event(traits={name: value, "timezone": "UTC"}))

    assert bounded.traits.get(name) == counts
    assert bounded.traits["timezone"] == "UTC"
    assert problem["code"] == "too_long"


def test_a_withdrawal_is_never_among_the_traits_that_are_too_many() -> None:
    traits = {f"t-{number}": number for number in range(MAX_TRAITS + 50)} | {"consents": {"email": False}}
    bounded, problems = bound_event(event(traits=traits))

    assert bounded.traits["consents"] == {"email": False}
    assert len(bounded.traits) == MAX_TRAITS + 1
    assert len(problems) == 50


def test_a_bundle_has_bounds() -> None:
    bounded, [problem] = bound_event(event(bundle=["p"] * (MAX_BUNDLE_PARTS + 1)))

    assert len(bounded.properties["bundle"]) == MAX_BUNDLE_PARTS
    assert problem["pointer"] == "/properties/bundle"


def test_an_event_within_its_bounds_is_the_same_object() -> None:
    plain = event(order_id="o-1", products=[{"sku": "a", "quantity": 2, "price": "39.00"}], traits={"a": [1]})

    assert bound_event(plain) == (plain, ())
    assert bound_event(plain)[0] is plain


@given(hostile_events(("email",)))
def test_bounds_are_idempotent_and_small(hostile: IncomingEvent) -> None:
    bounded, problems = bound_event(hostile)

    again, left = bound_event(bounded)

    assert again == bounded
    # What is missing is missing again, and of several products still only the first one counts.
    assert {each["code"] for each in left} <= {"no_lines", "no_product_id", "too_many"}
    assert len(orjson.dumps(problems)) < 50_000
