"""Whether an event is verified: by its key, or by the tokens in its context, of which none is kept."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.events.native import parse_cloud_event, parse_native_event
from api.events.parsed import Rejection
from api.events.segment import SegmentRequest, parse_segment_call
from api.events.verification import MAX_TOKENS_PER_EVENT, ParseResult, with_verification
from api.http.keys import Role
from profiles.identity.identifiers import normalize_identifier
from profiles.identity.tokens import IdentityTokens
from profiles.state.event_records import IncomingEvent

OLD, NEW = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

LATER = NOW + timedelta(hours=1)

ADA = "ada@example.com"

TOKENS = IdentityTokens([NEW])

ME = TOKENS.issue("user_id", "42", expires_at=LATER)

MY_MAIL = TOKENS.issue("email", ADA, expires_at=LATER)


def by_segment(raw: dict[str, Any]) -> ParseResult:
    return parse_segment_call(raw, None, SegmentRequest("segment/shop", NOW))


def by_native(raw: dict[str, Any]) -> ParseResult:
    return parse_native_event(raw, now=NOW, source="api/shop", region=None)


def by_cloud_event(raw: dict[str, Any]) -> ParseResult:
    return parse_cloud_event(raw, now=NOW, region=None)


def call(token: Any = None, **more: Any) -> dict[str, Any]:
    """An identify call as the browser client sends it, with a token in its context."""
    context = {"timezone": "Europe/Berlin"} | ({} if token is None else {"waypost_token": token})
    return {"type": "identify", "messageId": "m-1", "userId": "42", "context": context, **more}


def heard(
    raw: dict[str, Any],
    role: Role = Role.WRITE,
    *,
    read: Callable[[dict[str, Any]], ParseResult] = by_segment,
    tokens: IdentityTokens = TOKENS,
    at: datetime = NOW,
) -> IncomingEvent:
    """An event that must be taken in, as it goes to ingest."""
    found = with_verification(read, role, tokens, at=at)(raw)
    assert isinstance(found, IncomingEvent), found
    return found


def codes(event: IncomingEvent) -> list[str]:
    return [problem["code"] for problem in event.problems]


NATIVE: dict[str, Any] = {"id": "e", "type": "X", "identifiers": {"user_id": "42"}}

CLOUD: dict[str, Any] = {"specversion": "1.0", "id": "e", "source": "s", "type": "X"}


@pytest.mark.parametrize(("role", "verified"), [(Role.WRITE, False), (Role.SERVER, True), (Role.ADMIN, True)])
@pytest.mark.parametrize(
    ("raw", "read"),
    [
        pytest.param(call(), by_segment, id="Segment"),
        pytest.param(NATIVE, by_native, id="native"),
        pytest.param({**CLOUD, "subject": "user_id:42"}, by_cloud_event, id="CloudEvent"),
    ],
)
def test_without_a_token_the_key_decides_whether_an_event_is_verified(
    raw: dict[str, Any], read: Callable[[dict[str, Any]], ParseResult], role: Role, verified: bool
) -> None:
    event = heard(raw, role, read=read)

    assert event.verified is verified
    assert codes(event) == []


@pytest.mark.parametrize("token", [ME, [ME], [MY_MAIL, ME]])
@pytest.mark.parametrize(
    ("read", "raw"),
    [
        pytest.param(by_segment, lambda context: call(context=context), id="Segment"),
        pytest.param(by_native, lambda context: {**NATIVE, "context": context}, id="native"),
        pytest.param(
            by_cloud_event,
            lambda context: {**CLOUD, "data": {"identifiers": {"user_id": "42"}, "context": context}},
            id="CloudEvent",
        ),
        pytest.param(
            by_cloud_event,
            lambda context: {**CLOUD, "subject": "user_id:42", "data": {"sku": "p-1", "context": context}},
            id="CloudEvent of properties alone",
        ),
    ],
)
def test_a_token_in_the_context_verifies_an_event_and_is_not_kept(
    read: Callable[[dict[str, Any]], ParseResult], raw: Callable[[object], dict[str, Any]], token: Any
) -> None:
    event = heard(raw({"waypost_token": token}), read=read)

    assert event.verified
    assert codes(event) == []
    assert "waypost_token" not in repr(event)
    assert ME not in repr(event)


@pytest.mark.parametrize("role", Role)
def test_the_rest_of_the_context_stays_whoever_sends(role: Role) -> None:
    assert heard(call(ME), role).context == {"timezone": "Europe/Berlin"}


@pytest.mark.parametrize("nothing", [None, "", []])
def test_an_empty_token_as_before_a_login_is_no_problem(nothing: Any) -> None:
    event = heard({**call(), "context": {"waypost_token": nothing}})

    assert (event.verified, event.problems, event.context) == (False, (), {})


def test_a_browser_cannot_pair_its_own_proved_user_id_with_a_strangers_address() -> None:
    alone = heard(call(ME, traits={"email": ADA}))
    both = heard(call([ME, MY_MAIL], traits={"email": ADA}))
    aliased = heard(call(ME, type="alias", previousId=ADA))

    assert [alone.verified, both.verified, aliased.verified] == [False, True, False]
    assert [codes(event) for event in (alone, both)] == [["unproved_identifier"], []]
    assert "this event's email, so" in alone.problems[0]["detail"]
    assert ADA not in alone.problems[0]["detail"]


def test_an_address_is_proved_in_any_spelling_of_it() -> None:
    token = TOKENS.issue("email", normalize_identifier("email", "Ada@Example.com"), expires_at=LATER)

    assert heard({**call(token, traits={"email": " ADA@example.COM "}), "userId": None}).verified


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(ME[:-2] + "xx", "was not issued here", id="tampered with"),
        pytest.param(
            IdentityTokens([OLD]).issue("user_id", "42", expires_at=LATER), "WAYPOST_SECRETS", id="old"
        ),
        pytest.param(TOKENS.issue("user_id", "42", expires_at=NOW), "has expired", id="expired"),
        pytest.param("x" * 10_000, "was not issued here", id="long"),
        pytest.param("tökén\ud800", "was not issued here", id="no ASCII"),
        pytest.param(7, "got int", id="a number"),
        pytest.param({"token": ME}, "got dict", id="an object"),
        pytest.param([[ME]], "got list", id="a list in a list"),
        pytest.param([ME] * (MAX_TOKENS_PER_EVENT + 1), "holds 9 tokens; send 8 at most", id="too many"),
    ],
)
def test_an_event_with_a_token_that_proves_nothing_is_kept_unverified_with_a_note(
    token: Any, said: str
) -> None:
    event = heard(call(token))
    (note,) = event.problems

    assert not event.verified
    assert (note["code"], note["pointer"][:22]) == ("bad_token", "/context/waypost_token")
    assert said in note["detail"]
    assert str(token) not in note["detail"]
    # Whoever is trusted anyway needs no token, and hears nothing of it.
    assert (heard(call(token), Role.SERVER).verified, heard(call(token), Role.SERVER).problems) == (True, ())


def test_a_bad_token_beside_good_ones_takes_nothing_from_them() -> None:
    event = heard(call(["gone", ME]))

    assert event.verified
    assert [(note["code"], note["pointer"]) for note in event.problems] == [
        ("bad_token", "/context/waypost_token/0")
    ]


def test_a_rejected_event_stays_rejected_with_a_token() -> None:
    found = with_verification(by_segment, Role.WRITE, TOKENS, at=NOW)({**call(ME), "userId": None})

    assert isinstance(found, Rejection)
    assert found.code == "no_identifier"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("source", ["waypost/sweep", "waypost/consents", "waypost/"])
def test_nobody_sends_events_from_a_source_of_waypost_itself(role: Role, source: str) -> None:
    native = {**NATIVE, "type": "Customer Lapsed", "source": source}
    cloud = {**CLOUD, "source": source, "subject": "user_id:42"}
    refused = [
        with_verification(read, role, TOKENS, at=NOW)(raw)
        for read, raw in ((by_native, native), (by_cloud_event, cloud))
    ]

    for found in refused:
        assert isinstance(found, Rejection)
        assert (found.code, found.pointer, found.id) == ("reserved_source", "/source", "e")


def refusal(role: Role, **changed: str) -> str | None:
    """The code with which a native event with this source or type is refused; None if it is not."""
    raw = {"id": "e", "type": "Product Viewed", "source": "crm", "identifiers": {"user_id": "42"}, **changed}
    found = with_verification(by_native, role, TOKENS, at=NOW)(raw)
    return found.code if isinstance(found, Rejection) else None


@pytest.mark.parametrize("role", [Role.WRITE, Role.SERVER, Role.ADMIN])
@pytest.mark.parametrize(
    ("source", "is_reserved"),
    [
        pytest.param("waypost/sweep", True, id="as it is"),
        pytest.param("Waypost/sweep", True, id="a capital"),
        pytest.param("WAYPOST/SWEEP", True, id="capitals"),
        pytest.param("\uff57aypost/sweep", True, id="a full-width letter"),
        pytest.param("waypost\uff0fsweep", True, id="a full-width slash"),
        pytest.param("waypost\u2215sweep", True, id="a division slash"),
        pytest.param("waypost\u2044sweep", True, id="a fraction slash"),
        pytest.param("way\u200bpost/sweep", True, id="a zero-width space"),
        pytest.param("\ufeffwaypost/sweep", True, id="a byte order mark"),
        pytest.param("way\u00adpost/sweep", True, id="a soft hyphen"),
        pytest.param("  waypost /sweep", True, id="spaces"),
        pytest.param("waypost\u00a0/sweep", True, id="a no-break space"),
        pytest.param("w\u0301aypost/sweep", True, id="an accent on a letter"),
        pytest.param("waypost-feed", False, id="another name"),
        pytest.param("shop/waypost", False, id="not at the beginning"),
        pytest.param("pos/berlin-3", False, id="a till"),
    ],
)
def test_waypost_s_own_sources_are_refused_however_they_are_spelled(
    source: str, is_reserved: bool, role: Role
) -> None:
    assert refusal(role, source=source) == ("reserved_source" if is_reserved else None)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("{}", id="as it is"),
        pytest.param(" {} ", id="spaces around it"),
        pytest.param("{}\u200b", id="a zero-width space"),
        pytest.param("{:l}", id="lower case"),
        pytest.param("{:_}", id="two spaces"),
    ],
)
@pytest.mark.parametrize(
    ("event", "for_servers"),
    [
        pytest.param("Customer Lapsed", None, id="the sweep of lapsed customers"),
        pytest.param("Segment Entered", None, id="the sweep of segments"),
        pytest.param("Opt In Requested", "reserved_type", id="the sweep of opt-in requests"),
    ],
)
def test_what_only_the_server_says_is_refused_from_a_public_key_however_it_is_spelled(
    name: str, event: str, for_servers: str | None
) -> None:
    spelled = name.replace("{:l}", event.lower()).replace("{:_}", event.replace(" ", "  "))
    spelled = spelled.replace("{}", event)

    assert refusal(Role.WRITE, type=spelled) == "reserved_type"
    assert refusal(Role.SERVER, type=spelled) == for_servers


@pytest.mark.parametrize("message_id", ["m-1", None])
@pytest.mark.parametrize("rest", [{}, {"context": {"timezone": "Europe/Berlin"}}])
def test_a_retry_with_a_fresh_token_or_none_is_the_same_event(
    message_id: str | None, rest: dict[str, Any]
) -> None:
    fresh = TOKENS.issue("user_id", "42", expires_at=LATER + timedelta(hours=1))
    bare = {"type": "identify", "messageId": message_id, "userId": "42", **rest}
    tries = [heard(bare)]
    for token in (ME, [fresh, "bad"], None):
        context = rest.get("context", {}) | {"waypost_token": token}
        tries.append(heard({**bare, "context": context}))

    assert len(fresh) == len(ME)
    assert fresh != ME
    assert len({event.id for event in tries}) == 1
    assert len({event.content_hash() for event in tries}) == 1


def test_what_was_sent_is_left_as_it_is() -> None:
    raw = call(ME)
    heard(raw)

    assert raw == call(ME)


@pytest.mark.parametrize("name", ["Product Updated", "Price Dropped", "Back In Stock", "Out Of Stock"])
@pytest.mark.parametrize(("role", "verified"), [(Role.WRITE, False), (Role.SERVER, True)])
def test_a_customers_token_gives_no_say_about_the_shops_products(
    name: str, role: Role, *, verified: bool
) -> None:
    raw = {**NATIVE, "type": name, "context": {"waypost_token": ME}, "properties": {"product_id": "lamp"}}

    assert heard(raw, role, read=by_native).verified is verified
