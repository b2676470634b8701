"""A part of an address completes what is known of it, in any order of arrival."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from profiles.state.traits import TraitOrigins, TraitValues, field_origin, merge_traits

START = datetime(2026, 11, 21, tzinfo=UTC)


def merged(*declared: tuple[int, Any, bool]) -> tuple[TraitValues, TraitOrigins]:
    traits: TraitValues = {}
    origins: TraitOrigins = {}
    for hour, address, verified in declared:
        origin = field_origin(
            time=START + timedelta(hours=hour), source="shop", event_id=f"e-{hour}", verified=verified
        )
        traits, origins = merge_traits(traits, origins, {"address": address}, origin)
    return traits, origins


@pytest.mark.parametrize(
    ("declared", "address"),
    [
        pytest.param(
            ((0, {"country": "US", "state": "AZ"}, True), (1, {"city": "Phoenix"}, True)),
            {"country": "US", "state": "AZ", "city": "Phoenix"},
            id="a shop that sends the city alone keeps country and state",
        ),
        pytest.param(
            ((0, {"country": "US", "state": "AZ"}, True), (1, {"state": "NY", "city": None}, True)),
            {"country": "US", "state": "NY"},
            id="a field is replaced, and null declares nothing",
        ),
        pytest.param(
            ((0, {"country": "US"}, True), (1, {"country": "DE"}, False)),
            {"country": "US"},
            id="a page replaces no field of a backend",
        ),
        pytest.param(
            ((0, "1 Main St", True), (1, {"country": "US"}, True)),
            {"country": "US"},
            id="an object takes the place of an older text",
        ),
        pytest.param(
            ((0, {"country": "US"}, True), (1, "1 Main St", True)),
            "1 Main St",
            id="a text takes the place of an older object",
        ),
        pytest.param(
            ((0, {"country": "US"}, True), (1, "1 Main St", True), (2, {"city": "Rome"}, True)),
            {"city": "Rome"},
            id="fields before a text do not come back",
        ),
    ],
)
def test_an_address_is_merged_by_field_whatever_the_order_of_arrival(
    declared: tuple[tuple[int, Any, bool], ...], address: Any
) -> None:
    results = [merged(*order) for order in permutations(declared)]

    assert [traits for traits, _ in results] == [{"address": address}] * len(results)
    assert all(origins == results[0][1] for _, origins in results)
    assert merged(*declared, declared[0]) == merged(*declared)


def test_an_address_that_an_older_version_stored_as_a_whole_is_completed() -> None:
    origin = field_origin(time=START, source="shop", event_id="e-1", verified=True)
    later = field_origin(time=START + timedelta(1), source="shop", event_id="e-2", verified=True)
    stored = {"address": {"country": "US", "state": "AZ"}}
    traits, origins = merge_traits(stored, {"address": origin}, {"address": {"city": "Mesa"}}, later)

    assert traits == {"address": {"country": "US", "state": "AZ", "city": "Mesa"}}
    assert origins["address/state"] == origin
    assert origins["address"] == origin
