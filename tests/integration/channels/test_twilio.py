"""The Twilio adapter, by the real SDK, against a fake that keeps a ledger."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.channels.adapter import (
    Accepted,
    MaybeSent,
    NotSent,
    OutgoingMessage,
    RenderedMessage,
)
from activities.channels.twilio import TwilioAdapter
from api.app import create_app
from tests.support.environments.adapters import TEXT, outcome_of, twilio_adapter
from tests.support.environments.api import all_routes, settings
from tests.support.fakes import FakeTwilio, Mode
from tests.support.fakes.twilio import fields
from tests.support.fakes.vendor import twilio_complaints

CANARY = TEXT.to


async def outcome(
    url: str, message: OutgoingMessage = TEXT, **options: Any
) -> Accepted | NotSent | MaybeSent:
    """What comes of sending a message."""
    return await outcome_of(twilio_adapter(url, **options), message)


async def test_an_accepted_text_reaches_the_person_once_with_the_providers_id() -> None:
    async with FakeTwilio() as fake:
        accepted = await outcome(fake.url)

    (delivery,) = fake.delivered
    assert accepted == Accepted(delivery.provider_id)
    assert (delivery.to, delivery.text) == (CANARY, TEXT.content.text)


async def test_no_callback_is_asked_for_while_no_route_takes_one() -> None:
    async with FakeTwilio() as fake:
        await outcome(fake.url)

    app = create_app(settings("postgresql://nobody@127.0.0.1:1/none"))
    routes = {route.path for route in all_routes(app.routes)}
    assert routes
    assert (fake.delivered[0].callback != "") == ("/webhooks/twilio/status" in routes)


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
        TwilioAdapter("AC", "t", base_url="http://localhost:1")


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
    async with FakeTwilio() as fake, aclosing(twilio_adapter(fake.url, timeout_s=5.0)) as twilio:
        fake.script("hang")
        call = asyncio.create_task(twilio.deliver(TEXT))
        await fake.arrived(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        assert isinstance(await twilio.deliver(TEXT), Accepted)
