"""How answers of providers are sorted, without any network."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.channels import sendgrid, twilio
from activities.channels.adapter import Accepted, MaybeSent, NotSent
from activities.channels.http import (
    DEFAULT_RETRY_AFTER,
    MAX_RETRY_AFTER,
    ProviderResponse,
    parse_retry_after,
    sanitize_detail,
)

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 30, id="reset in epoch seconds"),
        pytest.param({"x-ratelimit-reset": f"{NOW.timestamp() + 4.2:.1f}"}, 5, id="rounded up"),
        pytest.param({"x-ratelimit-reset": str(int(NOW.timestamp()) - 30)}, 1, id="reset in the past"),
        pytest.param({"x-ratelimit-reset": "99999999999"}, 3600, id="reset in the far future"),
        pytest.param({"x-ratelimit-reset": "soon", "retry-after": "5"}, 5, id="reset not readable"),
        pytest.param({"retry-after": "120"}, 120, id="seconds"),
        pytest.param({"retry-after": "Sat, 21 Nov 2026 10:01:30 GMT"}, 90, id="date"),
        pytest.param({"retry-after": "Sat, 21 Nov 2026 10:01:30 -0000"}, 90, id="date without a zone"),
        pytest.param({"retry-after": "-5"}, DEFAULT_RETRY_AFTER.seconds, id="negative"),
        pytest.param({"retry-after": "tomorrow"}, DEFAULT_RETRY_AFTER.seconds, id="neither"),
        pytest.param({"retry-after": "9" * 400}, DEFAULT_RETRY_AFTER.seconds, id="absurd"),
        pytest.param({"retry-after": "5\x1f"}, DEFAULT_RETRY_AFTER.seconds, id="with a control character"),
        pytest.param({"retry-after": "٥"}, DEFAULT_RETRY_AFTER.seconds, id="in other digits"),
        pytest.param({}, DEFAULT_RETRY_AFTER.seconds, id="nothing said"),
    ],
)
def test_a_throttled_call_waits_as_long_as_the_provider_says(headers: dict[str, str], seconds: int) -> None:
    assert parse_retry_after(headers, NOW) == timedelta(seconds=seconds)


@given(
    st.dictionaries(st.sampled_from(["x-ratelimit-reset", "retry-after"]), st.text() | st.from_regex(r"\d+"))
)
def test_whatever_the_headers_say_the_wait_is_bounded(headers: dict[str, str]) -> None:
    assert timedelta(seconds=1) <= parse_retry_after(headers, NOW) <= MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        pytest.param("Cannot reach ada@example.com.", "Cannot reach [address]", id="mail address"),
        pytest.param("To: <ada+x@example.co.uk>, sorry", "To: <[address]>, sorry", id="in brackets"),
        pytest.param(
            "The 'To' number +4915112345678 is wrong", "The 'To' number [address] is wrong", id="E.164"
        ),
        pytest.param("call (151) 234-56 78 now", "call ([address] now", id="as people write numbers"),
        pytest.param("error 21211 in 3 s", "error 21211 in 3 s", id="codes stay"),
        pytest.param("two\nlines", "two lines", id="one line"),
        pytest.param("a\x00b\ud800c", "a b c", id="what neither Temporal nor Postgres can keep"),
    ],
)
def test_a_detail_keeps_the_words_and_drops_addresses(words: str, kept: str) -> None:
    assert sanitize_detail(words) == kept


def sorted_by(judge: object, answer: ProviderResponse) -> str:
    try:
        judge(answer, NOW)  # type: ignore[operator]
    except NotSent:
        return "not sent"
    except MaybeSent:
        return "maybe sent"
    return "accepted"


@pytest.mark.parametrize("status", [*range(200, 600, 7), 202, 201, 429])
def test_only_a_4xx_is_ever_definitely_not_sent(status: int) -> None:
    answer = ProviderResponse(status, {}, b"")

    verdicts = {sorted_by(sendgrid.classify_response, answer), sorted_by(twilio.raise_for_response, answer)}

    assert ("not sent" in verdicts) is (400 <= status < 500)
    assert ("not sent" not in verdicts) or verdicts == {"not sent"}


@given(st.integers(200, 599), st.binary(max_size=200), st.booleans())
def test_no_body_makes_sorting_fail_or_changes_its_side(status: int, body: bytes, whole: bool) -> None:
    answer = ProviderResponse(status, {"x-message-id": "x"}, body, whole)

    for judge in (sendgrid.classify_response, twilio.raise_for_response):
        verdict = sorted_by(judge, answer)
        assert (verdict == "not sent") is (400 <= status < 500)
        assert verdict != "accepted" or (whole and status < 300)


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [null]}',
        b'{"errors": [{"field": 3, "message": {}}]}',
        b'{"code": "x"}',
        b'{"code": 1e400}',
        b'{"code": [], "message": []}',
        b"null",
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_an_error_body_of_any_shape_is_still_a_refusal(body: bytes) -> None:
    assert sorted_by(sendgrid.classify_response, ProviderResponse(400, {}, body)) == "not sent"
    assert sorted_by(twilio.raise_for_response, ProviderResponse(400, {}, body)) == "not sent"


def test_only_a_whole_202_with_an_id_is_an_accepted_mail() -> None:
    assert sendgrid.classify_response(ProviderResponse(202, {"x-message-id": "abc"}), NOW) == Accepted("abc")
    assert (
        sorted_by(sendgrid.classify_response, ProviderResponse(202, {"x-message-id": "abc"}, complete=False))
        == "maybe sent"
    )
    assert sorted_by(sendgrid.classify_response, ProviderResponse(202, {"x-message-id": ""})) == "maybe sent"
    assert (
        sorted_by(sendgrid.classify_response, ProviderResponse(200, {"x-message-id": "abc"})) == "maybe sent"
    )


def test_mail_blamed_on_its_sender_says_nothing_of_the_recipient() -> None:
    body = json.dumps({"errors": [{"field": "from.email", "message": "not a valid address"}]}).encode()

    with pytest.raises(NotSent) as refusal:
        sendgrid.classify_response(ProviderResponse(400, {}, body), NOW)

    assert refusal.value.address_problem is None
