"""What the parsers read of unmodified libraries and of clocks that are off, and what they tell of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.events.native import parse_native_event
from api.events.parsed import Rejection
from api.events.segment import SegmentRequest, parse_segment_call
from api.http.json_body import parse_json_body, repair_json
from profiles.state.event_records import IncomingEvent

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)

HOUR = timedelta(hours=1)


def call(kind: str = "track", **fields: Any) -> IncomingEvent:
    raw = {"userId": "u", "event": "Order Completed", "messageId": "m-1", **fields}
    event = parse_segment_call(raw, kind, SegmentRequest("segment/web", NOW))
    assert not isinstance(event, Rejection)
    return event


def native(**fields: Any) -> IncomingEvent:
    raw = {"id": "e-1", "type": "Order Completed", "identifiers": {"user_id": "u"}, **fields}
    event = parse_native_event(raw, now=NOW, source="api/pos", region=None)
    assert not isinstance(event, Rejection)
    return event


def codes(event: IncomingEvent) -> list[str]:
    return [problem["code"] for problem in event.problems]


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        pytest.param("Completed Order", "Order Completed", id="an alias"),
        pytest.param("order_completed", "Order Completed", id="another spelling"),
        pytest.param("segment entered", "Segment Entered", id="a name that Waypost writes itself"),
    ],
)
def test_both_formats_read_a_name_in_any_spelling_and_keep_what_was_sent(sent: str, known: str) -> None:
    for event in (call(event=sent), native(type=sent)):
        assert event.type == known
        assert event.context["aliased_from"] == sent
        assert codes(event) == []


def test_a_name_that_is_not_known_is_told_with_the_nearest() -> None:
    for event in (call(event="Ordr Compleeted"), native(type="Ordr Compleeted")):
        [problem] = event.problems

        assert event.type == "Ordr Compleeted"
        assert problem["code"] == "unknown_event_name"
        assert "'Order Completed'" in problem["detail"]


def test_adding_a_negative_number_is_a_removal() -> None:
    assert native(type="Product Added", properties={"quantity": -1}).type == "Product Removed"
    assert call(event="Product Added", properties={"quantity": "-2"}).type == "Product Removed"
    assert native(type="Product Added", properties={"quantity": 1}).type == "Product Added"


def test_traits_in_the_context_of_an_identify_call_are_read() -> None:
    context = {"traits": {"first_name": "Ada", "consents": {"email": "no"}, "timezone": "Europe/Berlin"}}
    event = call("identify", context=context, traits={"first_name": "Eve"})

    assert event.traits == {"first_name": "Eve", "consents": {"email": "no"}, "timezone": "Europe/Berlin"}
    # A device repeats what it once knew with every other call.
    assert call("track", context=context).traits == {}


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "happened", "told"),
    [
        pytest.param(NOW - HOUR, NOW, NOW - HOUR, [], id="clocks that are right"),
        pytest.param(NOW + HOUR, NOW + 2 * HOUR, NOW - HOUR, [], id="a clock two hours ahead"),
        pytest.param(
            datetime(1970, 1, 1, 1, tzinfo=UTC),
            datetime(1970, 1, 1, 2, tzinfo=UTC),
            NOW - HOUR,
            [],
            id="a device without a clock, that counts the hours right",
        ),
        pytest.param(
            datetime(2030, 1, 1, 1, tzinfo=UTC),
            datetime(2030, 1, 1, 2, tzinfo=UTC),
            NOW - HOUR,
            [],
            id="a device in the future",
        ),
        pytest.param(
            NOW - HOUR, datetime(1970, 1, 1, tzinfo=UTC), NOW - HOUR, ["bad_time"], id="sentAt of 1970"
        ),
        pytest.param(
            NOW - HOUR, datetime(2030, 1, 1, tzinfo=UTC), NOW - HOUR, ["bad_time"], id="sentAt of 2030"
        ),
        pytest.param(datetime(1970, 1, 1, tzinfo=UTC), NOW, NOW, ["bad_time"], id="a timestamp of 1970"),
        pytest.param(
            datetime(1970, 1, 1, tzinfo=UTC), None, NOW, ["bad_time"], id="a timestamp of 1970 alone"
        ),
        pytest.param(NOW - 900 * 24 * HOUR, NOW, NOW - 900 * 24 * HOUR, [], id="history that is sent now"),
    ],
)
def test_a_clock_that_is_impossible_is_ignored_and_told(
    timestamp: datetime, sent_at: datetime | None, happened: datetime, told: list[str]
) -> None:
    sent = sent_at.isoformat() if sent_at else None
    event = call(timestamp=timestamp.isoformat(), sentAt=sent)

    assert event.time == happened
    assert codes(event) == told


@pytest.mark.parametrize(
    "time", ["1970-01-01T00:00:00Z", "1970-01-03T10:00:00+01:00", "1980-01-06T00:00:00Z"]
)
def test_a_till_without_a_clock_sells_now(time: str) -> None:
    event = native(time=time)

    assert event.time == NOW
    assert codes(event) == ["bad_time"]
    # Two tries are one event.
    assert event.content_hash() == parse_later(time).content_hash()


def parse_later(time: str) -> IncomingEvent:
    raw = {"id": "e-1", "type": "Order Completed", "identifiers": {"user_id": "u"}, "time": time}
    event = parse_native_event(raw, now=NOW + HOUR, source="api/pos", region=None)
    assert not isinstance(event, Rejection)
    return event


def test_a_user_id_that_is_an_address_is_also_that_address_in_any_case() -> None:
    for event in (call(userId="Ada@Example.com"), native(identifiers={"user_id": "ADA@example.com"})):
        assert event.identifiers == (("user_id", "ada@example.com"), ("email", "ada@example.com"))
    assert call(userId="user@7").identifiers == (("user_id", "user@7"),)


def test_an_integer_beyond_64_bits_keeps_its_digits() -> None:
    body = b'{"order_id": 12345678901234567890123, "a": [1234567890123456789, -98765432109876543210]}'
    parsed = parse_json_body(body)
    repaired, warnings = repair_json(parsed.value)

    assert not parsed.is_clean
    assert repaired == {
        "order_id": "12345678901234567890123",
        "a": [1234567890123456789, "-98765432109876543210"],
    }
    assert [each["code"] for each in warnings] == ["number_too_large"] * 2
