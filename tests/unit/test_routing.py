"""Which journeys are interested in an event."""

import pytest

from profiles.events import Event, ProductAdded, ProductViewed, TicketOpened
from profiles.runs.routing import MAX_KEY_LENGTH, RouteMatch, key_fault, match_routes
from tests.facts import CARTS, PEOPLE, Journey

ADDED = ProductAdded(product_id="lamp")


def test_a_journey_hears_what_it_starts_on_and_what_it_listens_to() -> None:
    assert match_routes(ADDED, [CARTS, PEOPLE]).matches == (RouteMatch(CARTS, None, starts=True),)
    assert match_routes(ProductViewed(), [CARTS, PEOPLE]).matches == (RouteMatch(PEOPLE, None, starts=False),)
    assert match_routes(TicketOpened(), [CARTS, PEOPLE]).matches == ()


def test_a_filter_decides_on_starting_only() -> None:
    picky = Journey(where=lambda event: False)

    assert match_routes(ADDED, [picky]).matches == (RouteMatch(picky, None, starts=False),)


def test_one_journey_that_raises_is_recorded_and_the_others_still_hear() -> None:
    def breaks(event: Event) -> bool:
        raise RuntimeError("x" * 10_000)

    found = match_routes(ADDED, [Journey(name="faulty", where=breaks), CARTS])

    assert [interest.route.name for interest in found.matches] == ["carts"]
    [problem] = found.problems
    assert problem["journey"] == "faulty"
    assert len(problem["detail"]) <= 500


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("order-1", None),
        ("", "1 to 200"),
        ("x" * (MAX_KEY_LENGTH + 1), "201 characters"),
        ("a\nb", "do not print"),
        ("ada@example.com", "reads as an email address or a phone number"),
        ("user:+4915112345678", "reads as an email address or a phone number"),
    ],
)
def test_what_may_not_be_a_key(key: str, fault: str | None) -> None:
    said = key_fault(key)

    assert said is None if fault is None else fault in str(said)


def test_a_refused_key_keeps_the_event_from_that_journey_alone() -> None:
    by_ticket = Journey(name="tickets", starts=("Ticket Opened",), key_property="ticket_id")
    found = match_routes(TicketOpened(ticket_id="ada@example.com"), [by_ticket])

    assert found.matches == ()
    assert found.problems[0]["journey"] == "tickets"
