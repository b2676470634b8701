"""Native events and bodies: what is taken in, what is mended, what is refused, with which words."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.native import parse_cloud_event, parse_native_event
from api.events.parsed import MAX_ADDRESSES_PER_EVENT, MAX_VALUES_PER_TYPE, Rejection
from api.http.bodies import exceeds_depth
from api.http.json_body import parse_json_body, repair_json
from api.http.problems import Problem
from profiles.events import Source
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.state.event_records import IncomingEvent

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

BARE: dict[str, Any] = {"id": "e", "type": "T", "source": "s", "identifiers": {"user_id": "u"}}


def read(**more: Any) -> IncomingEvent | Rejection:
    """A native event with fields changed or, with ``...``, left out."""
    raw = {name: value for name, value in {**BARE, **more}.items() if value is not ...}
    return parse_native_event(raw, now=NOW, source="api/shop", region=None)


def kept(**more: Any) -> IncomingEvent:
    """A native event that must be taken in."""
    found = read(**more)
    assert isinstance(found, IncomingEvent), found
    return found


def test_what_may_be_missing_has_a_default() -> None:
    event = kept(source=..., properties=None)

    assert (event.source, event.channel, event.time) == ("api/shop", "server", NOW)
    assert (event.properties, event.traits, event.context) == ({}, {}, {})


@pytest.mark.parametrize("channel", list(Source))
def test_every_channel_of_the_contract_is_taken(channel: Source) -> None:
    assert channel.value == kept(channel=channel.value).channel


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-21T10:00:00+01:00",
        "2026-11-21T09:00:00Z",
        "2026-11-21t09:00:00.000z",
        "2026-11-21 09:00:00+00:00",
    ],
)
def test_one_instant_is_one_time_however_it_is_written(time: str) -> None:
    event = kept(time=time)

    assert datetime(2026, 11, 21, 9, tzinfo=UTC) == event.time
    assert event.content_hash() == kept(time="2026-11-21T09:00:00+00:00").content_hash()


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-21T10:00:00", "2026-11-21", "20261121", 1732183200, 1.5, True, "", "now", [], {},
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59:59Z",
        "2100-01-01T00:00:01Z", "2026-02-30T10:00:00Z",
    ],
)  # fmt: skip
def test_a_time_that_is_not_rfc_3339_with_an_offset_or_absurd_is_refused(time: Any) -> None:
    found = read(time=time)

    assert isinstance(found, Rejection)
    assert found.pointer == "/time"
    assert "RFC 3339" in found.detail


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        ({"id": ...}, "missing", "/id"),
        ({"id": ""}, "invalid", "/id"),
        ({"id": "x" * 256}, "invalid", "/id"),
        ({"id": 5}, "invalid", "/id"),
        ({"type": " "}, "invalid", "/type"),
        ({"channel": "pigeon"}, "invalid", "/channel"),
        ({"identifiers": ["u"]}, "invalid", "/identifiers"),
        ({"properties": "p"}, "invalid", "/properties"),
        ({"identifiers": {}}, "no_identifier", "/identifiers"),
        ({"identifiers": {"email": None, "user_id": []}}, "no_identifier", "/identifiers"),
        ({"identifiers": {"passport": "X"}}, "no_identifier", "/identifiers/passport"),
    ],
)
def test_a_rejection_names_the_field_and_what_it_must_be(
    more: dict[str, Any], code: str, pointer: str
) -> None:
    found = read(**more)

    assert isinstance(found, Rejection)
    assert (code, pointer) == (found.code, found.pointer)
    assert "send" in found.detail or "must be" in found.detail


@pytest.mark.parametrize(
    ("identifiers", "problems"),
    [
        pytest.param(
            {"user_id": "null"}, [("blocked_identifier", "/identifiers/user_id")], id="a placeholder"
        ),
        pytest.param({"email": "nobody@"}, [("bad_identifier", "/identifiers/email")], id="malformed"),
        pytest.param({"email": ""}, [("blocked_identifier", "/identifiers/email")], id="an empty text"),
        pytest.param({"phone": {}}, [("bad_identifier", "/identifiers/phone")], id="an object"),
        pytest.param({"user_id": 1.5}, [("bad_identifier", "/identifiers/user_id")], id="a fraction"),
        pytest.param({"user_id": 1e300}, [("bad_identifier", "/identifiers/user_id")], id="a huge number"),
        pytest.param(
            {"email": "guest@x.org", "phone": "12"},
            [("blocked_identifier", "/identifiers/email"), ("bad_identifier", "/identifiers/phone")],
            id="one of each",
        ),
        pytest.param(
            {"email": ["null", ["a@x.org"]]},
            [("blocked_identifier", "/identifiers/email/0"), ("bad_identifier", "/identifiers/email/1")],
            id="lists",
        ),
    ],
)
def test_an_event_whose_identifiers_are_nobodys_is_kept_and_says_so(
    identifiers: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    event = kept(identifiers=identifiers)

    assert event.identifiers == ()
    assert problems == [(problem["code"], problem["pointer"]) for problem in event.problems]
    assert all("is left out: " in problem["detail"] for problem in event.problems)


def test_an_identifier_may_be_a_list_of_which_each_is_spelled() -> None:
    event = kept(
        identifiers={"email": ["B@x.org", "a@x.org", "b@X.ORG"], "anonymous_id": ["a-9", None, 42.0]}
    )

    assert event.identifiers == (
        ("email", "a@x.org"), ("email", "b@x.org"), ("anonymous_id", "42"), ("anonymous_id", "a-9"),
    )  # fmt: skip
    assert event.problems == ()


def test_an_address_is_kept_as_it_was_given_too() -> None:
    event = kept(identifiers={"email": ["First.Last+Shop@gmail.com", "firstlast@gmail.com"]})

    assert event.identifiers == (("email", "firstlast@gmail.com"),)
    assert event.given_emails == (("firstlast@gmail.com", "First.Last+Shop@gmail.com"),)


def test_a_list_of_people_is_not_one_persons() -> None:
    event = kept(identifiers={"user_id": [f"u-{number:02}" for number in range(MAX_VALUES_PER_TYPE + 1)]})

    assert len(event.identifiers) == MAX_VALUES_PER_TYPE
    [problem] = event.problems
    assert (problem["code"], problem["pointer"]) == ("bad_identifier", "/identifiers/user_id")
    assert f"the first {MAX_VALUES_PER_TYPE} are read" in problem["detail"]


@pytest.mark.parametrize(("kind", "most"), MAX_ADDRESSES_PER_EVENT.items())
def test_fewer_addresses_are_read_since_each_is_slow(kind: str, most: int) -> None:
    values = {"email": "ada{}@x.org", "phone": "+4915112345{:03}"}
    event = kept(identifiers={kind: [values[kind].format(number) for number in range(most + 1)]})

    assert len(event.identifiers) == most
    assert f"the first {most} are read" in event.problems[0]["detail"]


def test_the_strongest_identifier_comes_first_however_they_are_sent() -> None:
    event = kept(identifiers={"anonymous_id": "a", "push_token": "t", "email": "a@x.org", "user_id": "7"})

    assert [kind for kind, _ in event.identifiers] == ["user_id", "email", "push_token", "anonymous_id"]


def test_all_faults_of_an_event_are_told_at_once() -> None:
    found = read(id=..., channel="pigeon", traits=5)

    assert isinstance(found, Rejection)
    assert {"/id", "/channel", "/traits"} == {pointer for pointer, _ in found.errors}


def test_a_field_nobody_knows_is_noted_not_refused() -> None:
    assert [
        (problem["code"], problem["pointer"])
        for problem in kept(identifer={"email": "a@example.com"}).problems
    ] == [("unknown_field", "/identifer")]


def test_an_event_without_a_time_has_the_same_digest_on_every_try() -> None:
    later = parse_native_event(BARE, now=NOW + timedelta(seconds=9), source="api/shop", region=None)

    assert isinstance(later, IncomingEvent)
    assert kept().content_hash() == later.content_hash()
    assert kept().content_hash() != kept(time="2026-11-21T09:00:00Z").content_hash()


def test_a_phone_without_a_country_is_read_by_the_region_set() -> None:
    raw = {**BARE, "identifiers": {"phone": "01511 2345678"}}
    german = parse_native_event(raw, now=NOW, source="s", region="DE")

    assert isinstance(german, IncomingEvent)
    assert german.identifiers == (("phone", "+4915112345678"),)
    abroad = parse_native_event(raw, now=NOW, source="s", region=None)
    assert isinstance(abroad, IncomingEvent)
    assert abroad.identifiers == ()


CLOUD: dict[str, Any] = {"specversion": "1.0", "id": "e", "source": "/s", "type": "T"}


def test_a_cloud_events_data_may_be_the_properties_alone_with_the_person_as_subject() -> None:
    found = parse_cloud_event(
        {**CLOUD, "subject": "email:ada@example.com", "data": {"a": 1}}, now=NOW, region=None
    )

    assert isinstance(found, IncomingEvent)
    assert (found.identifiers, found.properties) == ((("email", "ada@example.com"),), {"a": 1})


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"source": None}, "/source"),
        ({"data": [1]}, "/data"),
        ({"data_base64": "AA=="}, "/data"),
        ({"data": {"properties": 5, "identifiers": {"user_id": "u"}}}, "/properties"),
    ],
)
def test_a_cloud_event_that_is_none_is_refused_where_it_fails(more: dict[str, Any], pointer: str) -> None:
    found = parse_cloud_event({**CLOUD, **more}, now=NOW, region=None)

    assert isinstance(found, Rejection)
    assert pointer == found.pointer


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"nope", b'{"a":\xff}', b'"' + b"\\" * 99])
def test_what_is_not_json_is_a_400_that_says_where(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        parse_json_body(body)

    assert refused.value.status == 400
    assert "JSON" in refused.value.detail


texts = st.text(st.characters(codec=None, exclude_categories=()))


@given(
    st.dictionaries(
        st.sampled_from(IDENTIFIER_TYPES) | texts,
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | texts,
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=2),
            max_leaves=5,
        ),
        max_size=5,
    )
)
def test_whatever_an_identifier_is_the_event_is_kept_or_names_nobody(identifiers: dict[str, Any]) -> None:
    found = read(identifiers=identifiers)

    assert isinstance(found, IncomingEvent) or found.code == "no_identifier"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_whatever_a_body_holds_can_be_kept_after_mending(value: Any) -> None:
    good, problems = repair_json(value)
    written = orjson.dumps(good)

    assert b"\\u0000" not in written
    assert repair_json(good) == (good, [])
    assert problems or good == value


def test_mending_says_what_it_changed() -> None:
    good, problems = repair_json({"a": [math.nan, "x\0"], "b\0": 10**30})

    assert {"a": [None, "x\ufffd"], "b\ufffd": str(10**30)} == good
    assert [problem["pointer"] for problem in problems] == ["/a/0", "/a/1", "/b\ufffd", "/b\ufffd"]


@given(st.integers(1, 40))
def test_depth_is_counted_in_objects_and_lists(depth: int) -> None:
    value: Any = {}
    for n in range(depth - 1):
        value = [value] if n % 2 else {"a": value, "b": 1}

    assert (depth > 16) is exceeds_depth(value)


def test_zones_do_not_matter_to_plausibility() -> None:
    edge = datetime(2100, 1, 1, tzinfo=timezone(timedelta(hours=14)))

    assert isinstance(read(time=edge.isoformat()), IncomingEvent)
