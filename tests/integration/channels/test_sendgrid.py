"""The SendGrid adapter, by the real SDK, against a fake that keeps a ledger."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.channels.adapter import (
    Accepted,
    ChannelAdapter,
    MaybeSent,
    NotSent,
    OutgoingMessage,
    RenderedMessage,
)
from activities.channels.sendgrid import SendGridAdapter
from tests.support.fakes import MODES, FakeSendGrid, Mode
from tests.support.fakes.endpoint import closed_port, silent, stranger_tls
from tests.support.fakes.vendor import sendgrid_complaints

CANARY = "ada.lovelace@example.com"

MAIL = OutgoingMessage(
    "0190-message",
    CANARY,
    RenderedMessage(
        text="Your lamp is waiting.",
        subject="Still thinking it over, Ada Lovelace?",
        html="<p>Your lamp is waiting.</p>",
        headers={
            "List-Unsubscribe": "<https://shop.example.com/unsubscribe/t>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    ),
)

TIMEOUT_S = 0.5


@asynccontextmanager
async def adapter(url: str, **options: Any) -> AsyncIterator[SendGridAdapter]:
    settings: dict[str, Any] = {"timeout_s": TIMEOUT_S, **options}
    made = SendGridAdapter("SG.test-key", "Lamps <hello@example.com>", base_url=url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def outcome(url: str, **options: Any) -> Accepted | NotSent | MaybeSent:
    async with adapter(url, **options) as sendgrid:
        try:
            return await sendgrid.deliver(MAIL)
        except (NotSent, MaybeSent) as failure:
            return failure


async def test_an_accepted_mail_reaches_the_person_once_with_the_providers_id() -> None:
    async with FakeSendGrid() as fake:
        accepted = await outcome(fake.url)

    (delivery,) = fake.delivered
    assert Accepted(delivery.provider_id) == accepted
    assert (CANARY, MAIL.message_id) == (delivery.to, delivery.message_id)
    assert MAIL.content == RenderedMessage(delivery.text, delivery.subject, delivery.html, delivery.headers)


async def test_message_id_is_the_only_metadata_and_the_url_names_nobody() -> None:
    async with FakeSendGrid() as fake:
        await outcome(fake.url)

    request = fake.calls[0].request
    mail = json.loads(request.body)
    (person,) = mail["personalizations"]
    assert {"message_id": MAIL.message_id} == person["custom_args"]
    assert {"from", "subject", "personalizations", "content", "mail_settings"} == mail.keys()
    assert {"to", "headers", "custom_args"} == person.keys()
    assert mail["mail_settings"] == {"sandbox_mode": {"enable": False}}
    assert mail["from"] == {"name": "Lamps", "email": "hello@example.com"}
    assert "lovelace" not in (request.path + json.dumps(request.headers)).lower()


async def test_the_sdks_request_fits_sendgrids_own_description() -> None:
    async with FakeSendGrid() as fake:
        await outcome(fake.url)

    assert sendgrid_complaints(fake.calls[0].request) == []


REFUSALS = [
    # mode, permanent, address_problem
    pytest.param(Mode.named("reject", status=400), True, "bounced", id="400 that blames the recipient"),
    pytest.param(
        Mode.named("reject", status=400, body='{"errors":[{"message":"too long","field":"subject"}]}'),
        True,
        None,
        id="400 that blames the content",
    ),
    pytest.param(Mode.named("reject", status=400, body="<html>"), True, None, id="400 as a page"),
    pytest.param(Mode.named("reject", status=400, body='{"errors": 7}'), True, None, id="400 of other shape"),
    pytest.param(Mode.named("reject", status=401), False, None, id="401 key wrong, may be mended"),
    pytest.param(Mode.named("reject", status=403), False, None, id="403 sender not verified, may be mended"),
    pytest.param(Mode.named("reject", status=404), False, None, id="404 base URL wrong, may be mended"),
    pytest.param(Mode.named("reject", status=405), False, None, id="405 base URL wrong, may be mended"),
    pytest.param(Mode.named("reject", status=408), False, None, id="408 request not taken in"),
    pytest.param(Mode.named("reject", status=413), True, None, id="413 mail too large"),
    pytest.param(Mode.named("reject", status=415), True, None, id="415 body of the wrong kind"),
    pytest.param(Mode.named("throttle"), False, None, id="429 too many requests"),
    pytest.param(Mode.named("reject", status=401, reads=False), False, None, id="401 before reading"),
    pytest.param(
        Mode.named("accept_then_cut", takes=False, status=400, body='{"errors": []}'),
        True,
        None,
        id="400 with its body cut off: the status has been said",
    ),
]


@pytest.mark.parametrize(("mode", "permanent", "address_problem"), REFUSALS)
async def test_a_refusal_is_definitely_not_sent(
    mode: Mode, permanent: bool, address_problem: str | None
) -> None:
    async with FakeSendGrid() as fake:
        fake.script(mode)
        failure = await outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert (permanent, address_problem) == (failure.permanent, failure.address_problem)
    assert fake.delivered == []


AMBIGUOUS = [
    *(mode for mode in MODES.values() if mode.takes and mode.name != "accept"),
    *(Mode.named("accept_then_error", status=status) for status in (501, 502, 503, 504, 529)),
    *(Mode.named("accept_then_redirect", status=status) for status in (301, 302, 303, 308)),
    *(Mode.named(name) for name in ("hang", "reset", "close", "unavailable", "html", "redirect", "empty")),
    Mode("202 without an id", takes=True, status=202, body=""),
    Mode("200 with an id", status=200, headers={"X-Message-Id": "x"}, body=""),
]


@pytest.mark.parametrize("mode", [pytest.param(mode, id=f"{mode.name} {mode.status}") for mode in AMBIGUOUS])
async def test_whatever_goes_wrong_after_the_first_byte_is_maybe_sent(mode: Mode) -> None:
    async with FakeSendGrid() as fake:
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
    assert isinstance(await outcome("http://sendgrid.invalid"), NotSent)


async def test_a_certificate_nobody_vouches_for_is_not_sent_and_sees_no_key(tmp_path: Path) -> None:
    async with FakeSendGrid(tls=stranger_tls(tmp_path)) as fake:
        failure = await outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert fake.calls == []


async def test_a_trusted_certificate_delivers(tmp_path: Path) -> None:
    async with FakeSendGrid(tls=stranger_tls(tmp_path)) as fake:
        trusting = ssl.create_default_context(cafile=tmp_path / "stranger.pem")
        accepted = await outcome(fake.url, tls=trusting, timeout_s=5.0)

    assert isinstance(accepted, Accepted)


async def test_tls_with_a_server_that_speaks_none_is_not_sent() -> None:
    async with FakeSendGrid() as fake:
        assert isinstance(await outcome(fake.url.replace("http:", "https:")), NotSent)


async def test_a_handshake_that_never_ends_is_not_sent_in_time() -> None:
    async with silent() as place:
        began = time.monotonic()
        failure = await outcome(f"https://{place}")

    assert isinstance(failure, NotSent)
    assert time.monotonic() - began < TIMEOUT_S + 1.0


async def test_a_call_that_finds_no_free_thread_in_time_never_leaves() -> None:
    async with FakeSendGrid() as fake, adapter(fake.url, max_concurrent_calls=1, timeout_s=2.0) as sendgrid:
        fake.script("accept_then_hang")
        first = asyncio.create_task(sendgrid.deliver(MAIL))
        await fake.arrived(1)
        second = asyncio.create_task(sendgrid.deliver(MAIL))
        await asyncio.sleep(1.0)  # past the 40 % within which a call must begin
        fake.release()
        results = await asyncio.gather(first, second, return_exceptions=True)

        assert [type(result) for result in results] == [Accepted, NotSent]
        assert len(fake.calls) == 1


async def test_a_cancelled_call_that_has_not_begun_never_leaves() -> None:
    async with FakeSendGrid() as fake, adapter(fake.url, max_concurrent_calls=1, timeout_s=5.0) as sendgrid:
        fake.script("accept_then_hang")
        first = asyncio.create_task(sendgrid.deliver(MAIL))
        await fake.arrived(1)
        second = asyncio.create_task(sendgrid.deliver(MAIL))
        await asyncio.sleep(0.05)
        second.cancel()
        fake.release()
        results = await asyncio.gather(first, second, return_exceptions=True)

        assert [type(result) for result in results] == [Accepted, asyncio.CancelledError]
        assert len(fake.calls) == 1


async def test_throttling_says_when_to_come_back_by_the_reset_header() -> None:
    now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    reset = str(int((now + timedelta(seconds=42)).timestamp()))
    async with FakeSendGrid() as fake:
        fake.script(Mode.named("reject", status=429, headers={"X-RateLimit-Reset": reset}))
        failure = await outcome(fake.url, clock=lambda: now)

    assert isinstance(failure, NotSent)
    assert timedelta(seconds=42) == failure.retry_after


async def test_mail_whose_time_is_over_is_not_sent() -> None:
    async with FakeSendGrid() as fake, adapter(fake.url) as sendgrid:
        with pytest.raises(NotSent, match="time was over"):
            await sendgrid.deliver(
                OutgoingMessage("m", CANARY, RenderedMessage("late"), valid_for=timedelta(0))
            )

    assert fake.calls == []


async def test_no_failure_repeats_an_address_or_carries_the_sdks_error() -> None:
    said = f"Cannot send to {CANARY}, number +49 151 1234 5678"
    async with FakeSendGrid() as fake:
        fake.script(Mode.named("reject", body=json.dumps({"errors": [{"message": said}]})))
        failure = await outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert str(failure) == "SendGrid refused with 400: Cannot send to [address], number [address]"
    assert failure.__cause__ is None


async def test_the_key_and_the_mail_stay_out_of_the_logs_even_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with FakeSendGrid() as fake:
            await outcome(fake.url)

    assert "SG.test-key" not in caplog.text
    assert CANARY not in caplog.text


async def test_many_mails_at_once_each_arrive_once() -> None:
    async with FakeSendGrid() as fake, adapter(fake.url, timeout_s=10.0) as sendgrid:
        mails = [
            OutgoingMessage(f"m-{n}", f"p{n}@example.com", RenderedMessage("hi", "hi")) for n in range(60)
        ]
        await asyncio.gather(*(sendgrid.deliver(mail) for mail in mails))

    assert sorted(mail.message_id for mail in mails) == sorted(one.message_id for one in fake.delivered)


def test_it_is_a_channel_adapter() -> None:
    made: ChannelAdapter = SendGridAdapter("k", "a@example.com", base_url="http://localhost:1")

    assert (made.channel, made.provider) == ("email", "sendgrid")
