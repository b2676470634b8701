"""From a folded event to outbox rows, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from profiles.db.sql import new_id
from profiles.events import Event, OrderCompleted, ProductAdded, ProductViewed, TicketOpened
from profiles.projection.apply import apply_event
from profiles.runs.routing import (
    MAX_KEY_LENGTH,
    MAX_WORKFLOW_ID_BYTES,
    RouteMatch,
    event_payload,
    key_fault,
    match_routes,
    route_event,
    workflow_id,
)
from profiles.state.clock import StackClock
from profiles.state.event_records import IncomingEvent, StoredEvent, parse_event
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork
from tests.support.environments.ingest import CARTS, LAMP, PEOPLE, RoutedJourney

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)

IN_CART = LAMP | {"cart_id": "c"}


def taken(name: str, properties: dict[str, Any] | None = None) -> StoredEvent:
    said = properties or {}
    incoming = IncomingEvent("test", new_id().hex, name, "web", NOW, (("user_id", "42"),), said)
    return StoredEvent(incoming, new_id(), NOW, parse_event(name, said, verified=True)[0])


def route(
    person: ProfileState, event: StoredEvent, *journeys: RoutedJourney, calendar: StackClock | None = None
) -> UnitOfWork:
    changes = UnitOfWork()
    folded = apply_event(person, event, changes)
    found = match_routes(event.event, journeys).matches if event.event else ()
    route_event(person, event, folded, found, calendar or StackClock(NOW), changes)
    return changes


def queued(changes: UnitOfWork) -> list[tuple[str, str]]:
    return [(row["kind"], row["name"]) for row in changes.inserts["outbox"]]


def test_only_a_trigger_starts_a_run_with_itself_as_first_signal() -> None:
    person = ProfileState(new_id())

    assert queued(route(person, taken("Product Removed", IN_CART), CARTS)) == []
    changes = route(person, taken("Product Added", IN_CART), CARTS)
    assert queued(changes) == [("start", "Product Added")]
    assert changes.inserts["outbox"][0]["payload"]["event"]["cart"][0]["product_id"] == "lamp"


def test_a_second_trigger_of_a_live_run_is_a_signal_that_is_known_as_a_trigger() -> None:
    person = ProfileState(new_id())
    route(person, taken("Product Added", IN_CART), CARTS)
    changes = route(person, taken("Product Added", IN_CART), CARTS)
    plain = route(person, taken("Product Removed", IN_CART), CARTS)

    assert queued(changes) == [("signal", "Product Added")]
    assert [row["trigger"] for row in changes.inserts["outbox"]] == [True]
    assert [row["trigger"] for row in plain.inserts["outbox"]] == [False]
    assert list(plain.signal_counts.values()) == [2]


def test_a_journey_of_persons_is_keyed_by_the_profile() -> None:
    person = ProfileState(new_id())
    [run] = route(person, taken("Order Completed", {"order_id": "o", "products": [LAMP]}), PEOPLE).new_runs

    assert run["key"] == str(person.profile_id)


@pytest.mark.parametrize("said", ["continue", "end"])
def test_a_run_keeps_what_its_journey_said_of_merges_when_it_began(said: str) -> None:
    [run] = route(
        ProfileState(new_id()), taken("Product Added", IN_CART), replace(CARTS, on_merge=said)
    ).new_runs

    assert run["on_merge"] == said


@pytest.mark.parametrize(
    ("local", "ahead", "offset"),
    [
        pytest.param(False, timedelta(0), 0.0, id="a server"),
        pytest.param(True, timedelta(days=2), 172_800.0, id="a travelled day"),
        pytest.param(True, -timedelta(hours=1), 0.0, id="never back in time"),
    ],
)
def test_a_run_of_a_local_stack_shares_its_entrys_calendar(
    local: bool, ahead: timedelta, offset: float
) -> None:
    [run] = route(
        ProfileState(new_id()),
        taken("Product Added", IN_CART),
        CARTS,
        calendar=StackClock(NOW - ahead, local),
    ).new_runs

    assert run["clock_offset_s"] == offset


def test_a_payload_holds_declared_fields_and_waypost_sets_the_envelope() -> None:
    event = taken(
        "Product Added",
        IN_CART | {"secret": "x", "id": "theirs", "at": "1999", "channel": "fax", "email": "a@b.cd"},
    )
    told = event_payload(event, ProfileState(new_id()), None)

    assert told["id"] == str(event.event_id)
    assert (told["channel"], told["at"]) == ("web", NOW.isoformat())
    assert {"secret", "email"}.isdisjoint(told)


def test_a_workflow_id_has_two_slashes_whatever_the_key() -> None:
    run_id = UUID(int=7)

    assert workflow_id("carts", "a/b c", run_id) == f"carts/a_b_c/{run_id}"


def test_values_that_do_not_fit_are_left_out_one_by_one() -> None:
    said = {
        "order_id": {},
        "total": "dear",
        "products": [LAMP | {"price": "x"}, "lamp", LAMP | {"quantity": []}],
    }
    event, fault = parse_event("Order Completed", said, verified=True)

    assert isinstance(event, OrderCompleted)
    assert [(item.sku, item.price, item.quantity) for item in event.products] == [
        ("lamp-red", None, 1),
        ("lamp-red", 39.0, 1),
    ]
    assert event.order_id is None
    assert "products.0.price" in str(fault)
    assert said["products"][1] == "lamp"


def test_an_event_that_cannot_be_read_at_all_says_so_and_never_raises() -> None:
    class Picky(Event, name="Test Of A Picky Author"):
        must: int

        def __init__(self, **data: Any) -> None:
            super().__init__(**data)

        def model_post_init(self, _: Any) -> None:
            raise KeyError("of the author")

    assert parse_event("Test Of A Picky Author", {}, verified=True)[0] is None
    event, fault = parse_event("Test Of A Picky Author", {"must": 1}, verified=True)
    assert event is None
    assert "of the author" in str(fault)
    assert parse_event("Nobody Declared This", {}, verified=True) == (None, None)


def test_an_event_nobody_could_read_is_routed_to_nobody() -> None:
    changes = UnitOfWork()
    unread = replace(taken("Product Added", IN_CART), event=None)
    route_event(
        ProfileState(new_id()),
        unread,
        apply_event(ProfileState(new_id()), unread, changes),
        (),
        StackClock(NOW),
        changes,
    )

    assert queued(changes) == []


ADDED = ProductAdded(product_id="lamp")


def test_a_journey_hears_what_it_starts_on_and_what_it_listens_to() -> None:
    assert match_routes(ADDED, [CARTS, PEOPLE]).matches == (RouteMatch(CARTS, None, starts=True),)
    assert match_routes(ProductViewed(), [CARTS, PEOPLE]).matches == (RouteMatch(PEOPLE, None, starts=False),)
    assert match_routes(TicketOpened(), [CARTS, PEOPLE]).matches == ()


def test_a_filter_decides_on_starting_only() -> None:
    picky = RoutedJourney(where=lambda event: False)

    assert match_routes(ADDED, [picky]).matches == (RouteMatch(picky, None, starts=False),)


def test_one_journey_that_raises_is_recorded_and_the_others_still_hear() -> None:
    def breaks(event: Event) -> bool:
        raise RuntimeError("x" * 10_000)

    found = match_routes(ADDED, [RoutedJourney(name="faulty", where=breaks), CARTS])

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
    by_ticket = RoutedJourney(name="tickets", starts=("Ticket Opened",), key_property="ticket_id")
    found = match_routes(TicketOpened(ticket_id="ada@example.com"), [by_ticket])

    assert found.matches == ()
    assert found.problems[0]["journey"] == "tickets"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("c-1", "c-1"),
        ("a b/c", "a_b_c"),
        ("x" * 200, "x" * 200),
        ("漢" * 200, "漢" * 67),
        ("👟" * 200, "👟" * 50),
    ],
    ids=["short", "unsafe", "longest of ASCII", "of three bytes each", "of four bytes each"],
)
def test_a_workflow_id_is_no_longer_than_temporal_takes(key: str, shown: str) -> None:
    run_id = new_id()
    found = workflow_id("cart-abandonment", key, run_id)

    assert found == f"cart-abandonment/{shown}/{run_id}"
    assert len(found.encode()) <= MAX_WORKFLOW_ID_BYTES
