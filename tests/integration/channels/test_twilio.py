"""The Twilio adapter, by the real SDK, against a fake that keeps a ledger."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from activities.channels.adapter import (
    Accepted,
    ChannelAdapter,
    MaybeSent,
    NotSent,
    OutgoingMessage,
    RenderedMessage,
)
from activities.channels.twilio import ADDRESS_ERROR_CODES, SENDER_ERROR_CODES, TwilioAdapter
from tests.support.fakes import MODES, FakeTwilio, Mode
from tests.support.fakes.endpoint import closed_port, silent, stranger_tls
from tests.support.fakes.twilio import fields
from tests.support.fakes.vendor import twilio_complaints

CANARY = "+4915112345678"

TEXT = OutgoingMessage(
    "0190-message", CANARY, RenderedMessage("Your lamp is waiting. STOP to end"), timedelta(hours=2)
)

ACCOUNT = "AC" + "0" * 32

TIMEOUT_S = 0.5


@asynccontextmanager
async def adapter(url: str, **options: Any) -> AsyncIterator[TwilioAdapter]:
    settings: dict[str, Any] = {
        "sender": "+15005550006",
        "public_url": "https://shop.example.com",
        "timeout_s": TIMEOUT_S,
        **options,
    }
    made = TwilioAdapter(ACCOUNT, "test-token", base_url=url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def outcome(url: str, text: OutgoingMessage = TEXT, **options: Any) -> Accepted | NotSent | MaybeSent:
    async with adapter(url, **options) as twilio:
        try:
            return await twilio.deliver(text)
        except (NotSent, MaybeSent) as failure:
            return failure


async def test_an_accepted_text_reaches_the_person_once_with_the_providers_id() -> None:
    async with FakeTwilio() as fake:
        accepted = await outcome(fake.url)

    (delivery,) = fake.delivered
    assert accepted == Accepted(delivery.provider_id)
    assert (delivery.to, delivery.text) == (CANARY, TEXT.content.text)


async def test_the_callback_names_the_message_and_nobody() -> None:
    async with FakeTwilio() as fake:
        await outcome(fake.url)

    callback = urlsplit(fake.delivered[0].callback)
    assert callback.geturl().startswith("https://shop.example.com/webhooks/twilio/status?")
    assert parse_qs(callback.query) == {"message_id": [TEXT.message_id]}


@pytest.mark.parametrize(
    ("public_url", "called_back"),
    [
        pytest.param("https://shop.example.com", True, id="https"),
        pytest.param("http://shop.example.com", True, id="http on a public host"),
        pytest.param("http://127.0.0.1:8000", True, id="here, and the provider is here too"),
        pytest.param(None, False, id="none known"),
    ],
)
async def test_a_callback_is_asked_for_where_the_provider_can_reach_us(
    public_url: str | None, called_back: bool
) -> None:
    async with FakeTwilio() as fake:
        await outcome(fake.url, public_url=public_url)

    assert bool(fake.delivered[0].callback) is called_back


@pytest.mark.parametrize(
    ("valid_for", "seconds"),
    [
        pytest.param(None, None, id="no limit of ours"),
        pytest.param(timedelta(hours=2), 7200, id="as given"),
        pytest.param(timedelta(days=3), 36_000, id="no longer than Twilio's maximum"),
        pytest.param(timedelta(seconds=59.9), 59, id="never past the limit: rounded down"),
        pytest.param(timedelta(seconds=0.3), 1, id="never less than one"),
    ],
)
async def test_twilio_is_told_how_long_a_text_may_wait(
    valid_for: timedelta | None, seconds: int | None
) -> None:
    async with FakeTwilio() as fake:
        await outcome(fake.url, OutgoingMessage("m", CANARY, RenderedMessage("hi"), valid_for))

    assert fake.delivered[0].validity_s == seconds


async def test_a_text_whose_time_is_over_is_not_sent() -> None:
    async with FakeTwilio() as fake:
        failure = await outcome(
            fake.url, OutgoingMessage("m", CANARY, RenderedMessage("late"), timedelta(seconds=-1))
        )

    assert isinstance(failure, NotSent)
    assert fake.calls == []


async def test_a_messaging_service_stands_in_for_a_sender() -> None:
    service = "MG" + "0" * 32
    async with FakeTwilio() as fake:
        await outcome(fake.url, sender=None, messaging_service_sid=service)

    form = fields(fake.calls[0].request)
    assert form["MessagingServiceSid"] == service
    assert "From" not in form


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="number"),
        pytest.param({"sender": None, "messaging_service_sid": "MG" + "0" * 32}, id="service"),
    ],
)
async def test_the_sdks_request_fits_twilios_own_description(options: dict[str, Any]) -> None:
    async with FakeTwilio() as fake:
        await outcome(fake.url, **options)

    assert twilio_complaints(fake.calls[0].request) == []


def test_without_any_sender_it_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="needs a sender or a messaging service"):
        TwilioAdapter(ACCOUNT, "t", base_url="http://localhost:1")


REFUSALS = [
    # mode, permanent, address_problem
    *(
        pytest.param(Mode.named("reject", code=code), True, problem, id=f"400 {code} {problem}")
        for code, problem in ADDRESS_ERROR_CODES.items()
    ),
    *(
        pytest.param(Mode.named("reject", code=code), False, None, id=f"400 {code} account may be mended")
        for code in sorted(SENDER_ERROR_CODES)
    ),
    pytest.param(Mode.named("reject", code=21617), True, None, id="400 21617 text too long"),
    pytest.param(Mode.named("reject", code=20429), False, None, id="400 20429 too many requests"),
    pytest.param(Mode.named("reject", body="<html>"), True, None, id="400 as a page"),
    pytest.param(Mode.named("reject", body="[]"), True, None, id="400 of other shape"),
    pytest.param(
        Mode.named("reject", body='{"type":"t","title":"Opted out","status":400,"code":21610}'),
        True,
        "opted_out",
        id="400 21610 as an RFC 9457 problem",
    ),
    pytest.param(Mode.named("reject", status=401), False, None, id="401 token wrong, may be mended"),
    pytest.param(Mode.named("reject", status=403, code=20003), False, None, id="403 not allowed"),
    pytest.param(Mode.named("reject", status=404), False, None, id="404 account or base URL wrong"),
    pytest.param(Mode.named("throttle"), False, None, id="429 too many requests"),
    pytest.param(Mode.named("reject", status=401, reads=False), False, None, id="401 before reading"),
]


@pytest.mark.parametrize(("mode", "permanent", "address_problem"), REFUSALS)
async def test_a_refusal_is_definitely_not_sent(
    mode: Mode, permanent: bool, address_problem: str | None
) -> None:
    async with FakeTwilio() as fake:
        fake.script(mode)
        failure = await outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert (failure.permanent, failure.address_problem) == (permanent, address_problem)
    assert fake.delivered == []


AMBIGUOUS = [
    *(mode for mode in MODES.values() if mode.takes and mode.name != "accept"),
    *(Mode.named("accept_then_error", status=status) for status in (501, 502, 503, 504, 529)),
    *(Mode.named("accept_then_redirect", status=status) for status in (301, 302, 303, 308)),
    *(Mode.named(name) for name in ("hang", "reset", "close", "unavailable", "html", "redirect", "empty")),
    Mode("no sid", takes=True, status=201, body='{"status": "queued"}'),
    Mode("sid of another kind", takes=True, status=201, body='{"sid": 7}'),
    Mode("list", takes=True, status=201, body="[]"),
    Mode("nothing", takes=True, status=201, body=""),
]


@pytest.mark.parametrize("mode", [pytest.param(mode, id=f"{mode.name} {mode.status}") for mode in AMBIGUOUS])
async def test_whatever_goes_wrong_after_the_first_byte_is_maybe_sent(mode: Mode) -> None:
    async with FakeTwilio() as fake:
        fake.script(mode)
        began = time.monotonic()
        failure = await outcome(fake.url)
        took = time.monotonic() - began

    assert isinstance(failure, MaybeSent)
    assert len(fake.calls) == 1, "no request is repeated, no redirect followed"
    assert took < TIMEOUT_S + 1.0


async def test_a_refused_connection_is_not_sent_and_worth_another_try() -> None:
    failure = await outcome(f"http://{closed_port()}")

    assert isinstance(failure, NotSent)
    assert not failure.permanent


async def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    assert isinstance(await outcome("http://twilio.invalid"), NotSent)


async def test_a_certificate_nobody_vouches_for_is_not_sent_and_sees_no_token(tmp_path: Path) -> None:
    async with FakeTwilio(tls=stranger_tls(tmp_path)) as fake:
        failure = await outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert fake.calls == []


async def test_tls_with_a_server_that_speaks_none_is_not_sent() -> None:
    async with FakeTwilio() as fake:
        assert isinstance(await outcome(fake.url.replace("http:", "https:")), NotSent)


async def test_a_handshake_that_never_ends_is_not_sent_in_time() -> None:
    async with silent() as place:
        began = time.monotonic()
        failure = await outcome(f"https://{place}")

    assert isinstance(failure, NotSent)
    assert time.monotonic() - began < TIMEOUT_S + 1.0


async def test_a_text_that_no_request_can_carry_is_not_sent_for_good() -> None:
    async with FakeTwilio() as fake:
        failure = await outcome(
            fake.url, OutgoingMessage("m", CANARY, RenderedMessage("half a smiley \ud83d"))
        )

    assert isinstance(failure, NotSent)
    assert failure.permanent
    assert fake.calls == []


async def test_throttling_says_when_to_come_back() -> None:
    now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    async with FakeTwilio() as fake:
        fake.script(Mode.named("reject", status=429, headers={"Retry-After": "7"}))
        failure = await outcome(fake.url, clock=lambda: now)

    assert isinstance(failure, NotSent)
    assert failure.retry_after == timedelta(seconds=7)


async def test_no_failure_repeats_the_number_twilio_names() -> None:
    async with FakeTwilio() as fake:
        fake.script("reject")
        failure = await outcome(fake.url)

    assert str(failure) == "Twilio refused with 400, error 21211: The 'To' number [address] was refused"
    assert isinstance(failure, NotSent)
    assert failure.__cause__ is None


async def test_the_sdks_own_variables_do_not_move_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    async with FakeTwilio() as fake:
        assert isinstance(await outcome(fake.url), Accepted)


async def test_a_cancelled_call_ends_at_once_and_the_next_one_works() -> None:
    async with FakeTwilio() as fake, adapter(fake.url, timeout_s=5.0) as twilio:
        fake.script("hang")
        call = asyncio.create_task(twilio.deliver(TEXT))
        await fake.arrived(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        assert isinstance(await twilio.deliver(TEXT), Accepted)


async def test_many_texts_at_once_each_arrive_once() -> None:
    async with FakeTwilio() as fake, adapter(fake.url, timeout_s=10.0) as twilio:
        texts = [OutgoingMessage(f"m-{n}", f"+49151{n:08}", RenderedMessage("hi")) for n in range(60)]
        await asyncio.gather(*(twilio.deliver(text) for text in texts))

    assert sorted(one.message_id for one in fake.delivered) == sorted(text.message_id for text in texts)


def test_it_is_a_channel_adapter() -> None:
    made: ChannelAdapter = TwilioAdapter(ACCOUNT, "t", sender="+15005550006", base_url="http://localhost:1")

    assert (made.channel, made.provider) == ("sms", "twilio")
