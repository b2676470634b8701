"""The texts of a run in the Temporal UI: an event of any shape has some, and none raises."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.contracts import RunStart
from workers.delivery_notes import static_details, static_summary

START = RunStart(
    run_id=str(UUID(int=1)), journey="carts", key="c-1", customer_id=str(UUID(int=2)), clock_offset_s=0.0
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["cart", "products", "quantity", "name"]), ANYTHING))
def test_an_event_of_any_shape_has_a_summary_and_details(event: dict[str, Any]) -> None:
    summary, details = static_summary(START, "Product Added", event), static_details(START, event)

    assert summary.startswith("c-1: entered by Product Added")
    assert "\n" not in summary
    assert details.startswith(f"Run `{START.run_id}`")


@pytest.mark.parametrize(
    ("event", "lines", "count"),
    [
        ({"products": ["lamp", "chair"]}, ["lamp", "chair"], " with 2 items"),
        ({"products": [{"name": "Aria lamp", "quantity": 2}]}, ["2 × Aria lamp"], " with 1 item"),
        ({"products": [{"product_id": "p-1"}]}, ["1 × p-1"], " with 1 item"),
        ({"products": [None, 7, ["a"]]}, ["an item", "7", "an item"], " with 3 items"),
        ({"products": {"lamp": 1}}, [], ""),
        ({"products": "lamp"}, [], ""),
        ({"products": 3, "cart": True}, [], ""),
        ({"cart": [], "products": ["lamp"]}, ["lamp"], " with 1 item"),
        ({}, [], ""),
    ],
)
def test_items_of_every_shape_are_listed_as_far_as_they_can_be(
    event: dict[str, Any], lines: list[str], count: str
) -> None:
    assert static_summary(START, "Wish List", event) == f"c-1: entered by Wish List{count}"
    assert [line[2:] for line in static_details(START, event).splitlines() if line.startswith("- ")] == lines


def test_texts_of_senders_are_plain_and_short_in_the_operators_page() -> None:
    name = "![x](https://evil.example/a.png)\n# <b>Bitcoin</b> " + "x" * 60_000
    details = static_details(START, {"cart": [{"name": name}] * 1_000})

    assert "![x](" not in details
    assert "<b>" not in details.replace("\\<b\\>", "")
    assert len(details.encode()) <= 4_000
    assert len(static_summary(START, "漢" * 300, {}).encode()) <= 360
