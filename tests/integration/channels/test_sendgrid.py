"""The SendGrid adapter, by the real SDK, against a fake that keeps a ledger."""

import asyncio
import json
import logging
import ssl
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.channels.adapter import (
    Accepted,
    MaybeSent,
    NotSent,
    OutgoingMessage,
    RenderedMessage,
)
from tests.support.environments.adapters import MAIL, outcome_of, sendgrid_adapter
from tests.support.fakes import FakeSendGrid, Mode
from tests.support.fakes.endpoint import stranger_tls
from tests.support.fakes.vendor import sendgrid_complaints

CANARY = MAIL.to


async def outcome(
    url: str, message: OutgoingMessage = MAIL, **options: Any
) -> Accepted | NotSent | MaybeSent:
    """What comes of sending a message."""
    return await outcome_of(sendgrid_adapter(url, **options), message)


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


async def test_a_trusted_certificate_delivers(tmp_path: Path) -> None:
    async with FakeSendGrid(tls=stranger_tls(tmp_path)) as fake:
        trusting = ssl.create_default_context(cafile=tmp_path / "stranger.pem")
        accepted = await outcome(fake.url, tls=trusting, timeout_s=5.0)

    assert isinstance(accepted, Accepted)


async def test_a_call_that_finds_no_free_thread_in_time_never_leaves() -> None:
    slow: dict[str, Any] = {"max_concurrent_calls": 1, "timeout_s": 2.0}
    async with FakeSendGrid() as fake, aclosing(sendgrid_adapter(fake.url, **slow)) as sendgrid:
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
    slow: dict[str, Any] = {"max_concurrent_calls": 1, "timeout_s": 5.0}
    async with FakeSendGrid() as fake, aclosing(sendgrid_adapter(fake.url, **slow)) as sendgrid:
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
