"""Segment's calls as events: names, people, times, and ids."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.events.parsed import Rejection
from api.events.segment import SegmentRequest, parse_segment_call
from profiles.events import Event
from profiles.reading.event_names import ALIASES
from profiles.state.event_records import IncomingEvent

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

SENDER = SegmentRequest("segment/shop", NOW)


def heard(raw: dict[str, Any], call: str | None = None, sender: SegmentRequest = SENDER) -> IncomingEvent:
    """A call that must be taken in."""
    found = parse_segment_call({"messageId": "m", **raw}, call, sender)
    assert isinstance(found, IncomingEvent), found
    return found


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("identify", "Identified"),
        ("alias", "Aliased"),
        ("page", "Page Viewed"),
        ("screen", "Screen Viewed"),
        ("group", "Group Joined"),
        ("track", "Lamp Lit"),
    ],
)
def test_every_call_becomes_an_event_named_in_the_past_tense(call: str, name: str) -> None:
    by_path = heard({"userId": "u", "event": "Lamp Lit"}, call)
    by_type = heard({"userId": "u", "event": "Lamp Lit", "type": call})

    assert name == by_path.type == by_type.type


@pytest.mark.parametrize(
    "alias", [alias for name, others in ALIASES.items() if name.startswith("Message ") for alias in others]
)
def test_every_alias_of_a_message_event_is_a_declared_event(alias: str) -> None:
    event = heard({"userId": "u", "event": alias.title(), "properties": {"email_id": "id-1"}}, "track")

    assert event.type in Event.registry
    assert event.properties["message_id"] == "id-1"
    assert alias.title() == event.context["aliased_from"]


def test_an_address_in_traits_is_kept_as_it_was_given_too() -> None:
    event = heard({"userId": "u", "traits": {"email": "Ada.L+Shop@gmail.com"}}, "identify")

    assert event.given_emails == (("adal@gmail.com", "Ada.L+Shop@gmail.com"),)


def test_identifiers_come_from_ids_traits_context_and_properties() -> None:
    event = heard(
        {
            "userId": 42,
            "anonymousId": "a-9",
            "context": {"traits": {"email": "ADA@example.com"}},
            "properties": {"phone": "+49 1511 2345678", "loyalty_id": "L7"},
            "event": "X",
        },
        "track",
    )

    expected = {
        ("user_id", "42"),
        ("anonymous_id", "a-9"),
        ("email", "ada@example.com"),
        ("phone", "+4915112345678"),
        ("loyalty_id", "L7"),
    }
    assert expected == set(event.identifiers)


def test_of_two_addresses_in_one_call_the_first_counts_so_that_no_strangers_are_joined() -> None:
    event = heard(
        {"traits": {"email": "ada@example.com"}, "context": {"traits": {"email": "bob@example.com"}}},
        "identify",
    )

    assert event.identifiers == (("email", "ada@example.com"),)


def test_the_traits_of_a_group_are_not_the_persons() -> None:
    event = heard({"userId": "u", "groupId": "g", "traits": {"email": "info@example.com"}}, "group")

    assert event.identifiers == (("user_id", "u"),)
    assert event.traits == {}
    assert event.properties == {"group_id": "g", "group_traits": {"email": "info@example.com"}}


def test_only_identify_changes_traits_because_libraries_repeat_old_ones_in_the_context() -> None:
    stale = {"userId": "u", "context": {"traits": {"consents": {"email": True}}}, "event": "X"}

    assert heard(stale, "track").traits == {}
    assert heard({"userId": "u", "traits": {"city": "Berlin"}}, "identify").traits == {"city": "Berlin"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"previousId": "a-9"}, ("anonymous_id", "a-9"), id="anonymous by default"),
        pytest.param({"previousId": "ada@example.com"}, ("email", "ada@example.com"), id="an address"),
        pytest.param(
            {"previousId": "7", "context": {"previous_id_type": "user_id"}},
            ("user_id", "7"),
            id="as the context says",
        ),
    ],
)
def test_alias_names_both_people(more: dict[str, Any], expected: tuple[str, str]) -> None:
    assert (("user_id", "42"), expected) == heard({"userId": "42", **more}, "alias").identifiers


def test_a_wrong_clock_at_the_sender_cancels_out() -> None:
    event = heard(
        {"userId": "u", "event": "X", "timestamp": "2001-01-01T00:00:00Z", "sentAt": "2001-01-01T00:00:10Z"},
        "track",
    )

    assert NOW - timedelta(seconds=10) == event.time


def test_a_batch_lends_its_sent_at_to_its_calls() -> None:
    sender = SegmentRequest("segment/shop", NOW, sent_at="2026-11-21T11:00:00Z")
    event = heard(
        {"userId": "u", "event": "X", "type": "track", "timestamp": "2026-11-21T10:59:00Z"}, None, sender
    )

    assert NOW - timedelta(minutes=1) == event.time


def test_a_timestamp_without_sent_at_stands_as_it_is_and_without_offset_is_utc() -> None:
    event = heard({"userId": "u", "event": "X", "timestamp": "2026-11-20T10:00:00"}, "track")

    assert datetime(2026, 11, 20, 10, tzinfo=UTC) == event.time


@pytest.mark.parametrize(
    "time", ["soon", [], {}, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", 1e300]
)
def test_a_time_nobody_can_read_is_now_and_noted(time: Any) -> None:
    event = heard({"userId": "u", "event": "X", "timestamp": time}, "track")

    assert event.time == NOW
    assert [problem["code"] for problem in event.problems] == ["bad_time"]


def test_a_call_without_an_id_gets_one_from_its_content_and_day() -> None:
    call = {"userId": "u", "event": "X", "messageId": None}
    retried = SegmentRequest("segment/shop", NOW + timedelta(hours=1))
    next_day = SegmentRequest("segment/shop", NOW + timedelta(days=1))
    first, again = heard(call, "track"), heard({**call, "sentAt": "2026-11-21T12:00:00Z"}, "track", retried)

    assert first.id == again.id
    assert first.content_hash() == again.content_hash()
    assert first.id != heard(call, "track", next_day).id
    assert first.id != heard({**call, "properties": {"a": 1}}, "track").id


def test_a_retry_has_the_same_digest_and_another_timestamp_another() -> None:
    call = {
        "userId": "u",
        "event": "X",
        "timestamp": "2026-11-21T10:00:00Z",
        "sentAt": "2026-11-21T10:00:01Z",
    }
    first = heard(call, "track")
    again = heard(
        {**call, "sentAt": "2026-11-21T10:05:00Z"},
        "track",
        SegmentRequest("segment/shop", NOW + timedelta(hours=1)),
    )

    assert first.time != again.time
    assert first.content_hash() == again.content_hash()
    assert (
        first.content_hash() != heard({**call, "timestamp": "2026-11-21T10:00:02Z"}, "track").content_hash()
    )


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        pytest.param({"type": "track", "userId": "u"}, "missing", "/event", id="a track call without a name"),
        pytest.param({"type": "dance", "userId": "u"}, "unknown_type", "/type", id="a call of no kind"),
        pytest.param({"type": "page"}, "no_identifier", "/identifiers", id="nobody"),
        pytest.param({"type": "page", "userId": None}, "no_identifier", "/identifiers", id="null"),
        pytest.param(
            {"type": "track", "event": "X", "properties": "p"}, "invalid", "/properties", id="no object"
        ),
        pytest.param(
            {"type": "track", "event": "n" * 256, "userId": "u"}, "invalid", "/event", id="a long name"
        ),
    ],
)
def test_a_rejection_says_what_and_where(raw: dict[str, Any], code: str, pointer: str) -> None:
    found = parse_segment_call(raw, None, SENDER)

    assert isinstance(found, Rejection)
    assert (code, pointer) == (found.code, found.pointer)
    assert found.detail


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        pytest.param({"userId": "anonymous"}, "blocked_identifier", "/userId", id="a placeholder"),
        pytest.param({"anonymousId": ""}, "blocked_identifier", "/anonymousId", id="an empty text"),
        pytest.param({"userId": ["u"]}, "bad_identifier", "/userId", id="a list of ids"),
        pytest.param({"userId": True}, "bad_identifier", "/userId", id="true"),
        pytest.param(
            {"traits": {"email": "guest@x.org"}}, "blocked_identifier", "/traits/email", id="a guest"
        ),
        pytest.param(
            {"context": {"device": {"token": "null"}}},
            "blocked_identifier",
            "/context/device/token",
            id="no token",
        ),
        pytest.param(
            {"properties": {"hashed_email": "d41d8"}},
            "bad_identifier",
            "/properties/hashed_email",
            id="no hash",
        ),
    ],
)
def test_a_call_that_names_nobody_we_know_is_kept_and_says_so(
    more: dict[str, Any], code: str, pointer: str
) -> None:
    event = heard(more, "identify")

    assert event.identifiers == ()
    assert [(code, pointer)] == [(problem["code"], problem["pointer"]) for problem in event.problems]


def test_a_device_is_known_by_its_push_token_and_not_by_its_advertising_id() -> None:
    device = {"token": "APA91b-x", "advertisingId": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB", "id": "B5372DB0"}
    event = heard({"userId": "u", "context": {"device": device}}, "screen")

    assert event.identifiers == (("user_id", "u"), ("push_token", "APA91b-x"))


@pytest.mark.parametrize("device", [None, "phone", [], {"token": None}])
def test_a_device_that_says_nothing_is_no_fault(device: Any) -> None:
    event = heard({"userId": "u", "context": {"device": device}}, "screen")

    assert (event.identifiers, event.problems) == ((("user_id", "u"),), ())


HASH = hashlib.sha256(b"ada@x.org").hexdigest()


@pytest.mark.parametrize("name", ["email_sha256", "hashed_email"])
@pytest.mark.parametrize(
    "place", [("traits",), ("context", "traits"), ("properties",)], ids=lambda place: ".".join(place)
)
def test_a_hashed_address_is_read_where_an_address_would_be(name: str, place: tuple[str, ...]) -> None:
    held: dict[str, Any] = {name: HASH.upper()}
    for outer in reversed(place):
        held = {outer: held}

    assert heard(held, "identify").identifiers == (("email_sha256", HASH),)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"userId": "42", "previousId": "42"}, id="the same"),
        pytest.param({"userId": 42, "previousId": " 42\u200b"}, id="the same in another spelling"),
        pytest.param({"userId": "42", "previousId": 42.0}, id="the same as a number"),
        pytest.param(
            {"userId": "42", "previousId": "42", "context": {"previousIdType": "anonymous_id"}},
            id="the same, said to be of another type",
        ),
        pytest.param({"userId": "42", "previousId": None}, id="none"),
    ],
)
def test_an_alias_of_oneself_is_one_identifier_and_joins_nothing(more: dict[str, Any]) -> None:
    event = heard(more, "alias")

    assert (event.identifiers, event.problems) == ((("user_id", "42"),), ())


def test_an_alias_of_a_placeholder_joins_nothing_and_says_so() -> None:
    event = heard({"userId": "null", "previousId": "null"}, "alias")

    assert event.identifiers == ()
    assert [problem["pointer"] for problem in event.problems] == ["/userId", "/previousId"]


@pytest.mark.parametrize(
    ("call", "more", "channel"),
    [
        ("track", {"channel": "store"}, "store"),
        ("track", {"channel": "browser"}, "web"),
        ("track", {"context": {"library": {"name": "analytics.js"}}}, "web"),
        ("track", {"context": {"library": {"name": "analytics-ios"}}}, "mobile"),
        ("track", {"context": {"library": {"name": "analytics-python"}}}, "server"),
        ("screen", {}, "mobile"),
        ("page", {}, "web"),
    ],
)
def test_the_channel_is_what_the_call_says_else_its_library_else_its_kind(
    call: str, more: dict[str, Any], channel: str
) -> None:
    assert channel == heard({"userId": "u", "event": "X", **more}, call).channel


def test_an_event_about_a_message_of_ours_needs_no_identifier() -> None:
    event = heard({"event": "Email Opened", "properties": {"message_id": "m-1"}}, "track")

    assert (event.type, event.identifiers) == ("Message Opened", ())
