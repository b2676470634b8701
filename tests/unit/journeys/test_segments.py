"""Segments as an author declares them, and the events that tell of entering one."""

from datetime import timedelta
from typing import Any

import pytest

from journeys.vocabulary import PERSON, Journey, Segment, hours, journey, minutes
from profiles.events import OrderCompleted, SegmentEntered

QUERY = "SELECT profile_id FROM person WHERE orders >= 3"

regulars = Segment("regulars", QUERY)

spenders = Segment("big-spenders", QUERY)


@journey(
    starts_on=(regulars, spenders), keyed_by=PERSON, where=lambda e: e.cart_id is None, name="unit-welcome"
)
class Welcome(Journey):
    """Greets newcomers."""

    async def run(self, entry: SegmentEntered) -> str:
        return entry.segment


def test_a_segment_is_asked_every_hour_and_only_newcomers_enter_unless_it_says_otherwise() -> None:
    assert (regulars.every, regulars.existing) == (hours(1), False)


@pytest.mark.parametrize("name", ["regulars", "r2", "big_spenders", "3-orders", "a" * 63])
def test_a_name_is_lower_case_letters_digits_and_dashes(name: str) -> None:
    assert Segment(name, QUERY).name == name


@pytest.mark.parametrize("name", ["", "Regulars", "big spenders", "-a", "a/b", "a" * 64, "größe"])
def test_another_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=r"lower-case letters, digits, - and _, got .*Segment\('big-spend"):
        Segment(name, QUERY)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(QUERY, id="one select"),
        pytest.param(f"\n  {QUERY};\n ", id="with its semicolon"),
        pytest.param(f"WITH few AS ({QUERY}) SELECT profile_id FROM few", id="with a part before it"),
        pytest.param(QUERY.lower(), id="in small letters"),
    ],
)
def test_one_query_is_taken(query: str) -> None:
    assert Segment("regulars", query).query == query


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="none"),
        pytest.param("DELETE FROM person", id="no query"),
        pytest.param(f"{QUERY}; DROP TABLE profile", id="two statements"),
        pytest.param("person.orders >= 3", id="a condition alone"),
    ],
)
def test_what_is_no_query_is_refused_with_an_example(query: str) -> None:
    with pytest.raises(ValueError, match="segment 'regulars': expected one query of profile_id, as in"):
        Segment("regulars", query)


@pytest.mark.parametrize("every", [timedelta(), timedelta(seconds=59), -hours(1)])
def test_asking_more_often_than_each_minute_is_refused(every: timedelta) -> None:
    with pytest.raises(ValueError, match="expected at least a minute"):
        Segment("regulars", QUERY, every=every)


def test_once_a_minute_is_often_enough() -> None:
    assert Segment("regulars", QUERY, every=minutes(1)).every == minutes(1)


@pytest.mark.parametrize(
    ("event", "admitted"),
    [
        pytest.param(SegmentEntered(segment="regulars"), True, id="of the first"),
        pytest.param(SegmentEntered(segment="big-spenders"), True, id="of the second"),
        pytest.param(SegmentEntered(segment="strangers"), False, id="of another journey's"),
        pytest.param(SegmentEntered(segment="regulars", cart_id="c-1"), False, id="not through the filter"),
    ],
)
def test_a_journey_admits_the_newcomers_of_its_own_segments(event: Any, admitted: bool) -> None:
    assert Welcome.definition.admits(event) is admitted


def test_a_segment_is_routed_by_the_one_event_of_entering() -> None:
    assert Welcome.definition.segments == (regulars, spenders)
    assert Welcome.definition.starts_on == (SegmentEntered,)
    assert Welcome.definition.start_names == {"Segment Entered"}
    assert OrderCompleted.event_name not in Welcome.definition.listen_names
