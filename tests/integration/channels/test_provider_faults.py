"""What each adapter makes of its provider's faults: definitely not sent, or maybe sent; nothing twice."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.channels.adapter import Accepted, ChannelAdapter, MaybeSent, NotSent, OutgoingMessage
from activities.channels.twilio import ADDRESS_ERROR_CODES, SENDER_ERROR_CODES
from policy.verdict import Channel
from tests.support.deadlines import scaled
from tests.support.environments.adapters import (
    MAIL,
    TEXT,
    TIMEOUT_S,
    outcome_of,
    sendgrid_adapter,
    twilio_adapter,
)
from tests.support.fakes import MODES, FakeProvider, FakeSendGrid, FakeTwilio, Mode
from tests.support.fakes.endpoint import closed_port, silent, stranger_tls


@dataclass(frozen=True, eq=False)
class Provider:
    """A provider's adapter and its fake."""

    channel: Channel
    fake: type[FakeProvider]
    adapter: Callable[..., ChannelAdapter]
    message: OutgoingMessage
    address: str
    """Of the n-th person, as a format."""

    async def outcome(self, url: str, **changes: Any) -> Accepted | NotSent | MaybeSent:
        """What comes of sending the message, so changed."""
        return await outcome_of(self.adapter(url), replace(self.message, **changes))


SENDGRID = Provider(Channel.EMAIL, FakeSendGrid, sendgrid_adapter, MAIL, "p{}@example.com")

TWILIO = Provider(Channel.SMS, FakeTwilio, twilio_adapter, TEXT, "+49151{:08}")


@pytest.fixture(params=[SENDGRID, TWILIO], ids=lambda provider: provider.fake.name)
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each in turn."""
    given: Provider = request.param
    return given


SENDGRID_REFUSALS = [
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

TWILIO_REFUSALS = [
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

REFUSALS = [
    pytest.param(provider, *row.values, id=f"{provider.fake.name} {row.id}")
    for provider, rows in ((SENDGRID, SENDGRID_REFUSALS), (TWILIO, TWILIO_REFUSALS))
    for row in rows
]


@pytest.mark.parametrize(("provider", "mode", "permanent", "address_problem"), REFUSALS)
async def test_a_refusal_is_definitely_not_sent(
    provider: Provider, mode: Mode, permanent: bool, address_problem: str | None
) -> None:
    async with provider.fake() as fake:
        fake.script(mode)
        failure = await provider.outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert (failure.permanent, failure.address_problem) == (permanent, address_problem)
    assert fake.delivered == []


AMBIGUOUS = [
    *(mode for mode in MODES.values() if mode.takes and mode.name != "accept"),
    *(Mode.named("accept_then_error", status=status) for status in (501, 502, 503, 504, 529)),
    *(Mode.named("accept_then_redirect", status=status) for status in (301, 302, 303, 308)),
    *(Mode.named(name) for name in ("hang", "reset", "close", "unavailable", "html", "redirect", "empty")),
]

AMBIGUOUS_OF_ONE = {
    SENDGRID: [
        Mode("202 without an id", takes=True, status=202, body=""),
        Mode("200 with an id", status=200, headers={"X-Message-Id": "x"}, body=""),
    ],
    TWILIO: [
        Mode("no sid", takes=True, status=201, body='{"status": "queued"}'),
        Mode("sid of another kind", takes=True, status=201, body='{"sid": 7}'),
        Mode("list", takes=True, status=201, body="[]"),
        Mode("nothing", takes=True, status=201, body=""),
    ],
}


@pytest.mark.parametrize(
    ("provider", "mode"),
    [
        pytest.param(provider, mode, id=f"{provider.fake.name} {mode.name} {mode.status}")
        for provider, own in AMBIGUOUS_OF_ONE.items()
        for mode in (*AMBIGUOUS, *own)
    ],
)
async def test_whatever_goes_wrong_after_the_first_byte_is_maybe_sent(provider: Provider, mode: Mode) -> None:
    async with provider.fake() as fake:
        fake.script(mode)
        began = time.monotonic()
        failure = await provider.outcome(fake.url)
        took = time.monotonic() - began

    assert isinstance(failure, MaybeSent)
    assert len(fake.calls) == 1, "no request is repeated, no redirect followed"
    assert took < scaled(TIMEOUT_S + 1.0)


async def test_a_refused_connection_is_not_sent_and_worth_another_try(provider: Provider) -> None:
    failure = await provider.outcome(f"http://{closed_port()}")

    assert isinstance(failure, NotSent)
    assert not failure.permanent


async def test_a_name_that_does_not_resolve_is_not_sent(provider: Provider) -> None:
    assert isinstance(await provider.outcome("http://provider.invalid"), NotSent)


async def test_a_certificate_nobody_vouches_for_is_not_sent_and_sees_no_key(
    provider: Provider, tmp_path: Path
) -> None:
    async with provider.fake(tls=stranger_tls(tmp_path)) as fake:
        failure = await provider.outcome(fake.url)

    assert isinstance(failure, NotSent)
    assert fake.calls == []


async def test_tls_with_a_server_that_speaks_none_is_not_sent(provider: Provider) -> None:
    async with provider.fake() as fake:
        assert isinstance(await provider.outcome(fake.url.replace("http:", "https:")), NotSent)


async def test_a_handshake_that_never_ends_is_not_sent_in_time(provider: Provider) -> None:
    async with silent() as place:
        began = time.monotonic()
        failure = await provider.outcome(f"https://{place}")

    assert isinstance(failure, NotSent)
    assert time.monotonic() - began < scaled(TIMEOUT_S + 1.0)


@pytest.mark.parametrize("late_s", [0, 1])
async def test_a_message_whose_time_is_over_is_not_sent(provider: Provider, late_s: int) -> None:
    async with provider.fake() as fake:
        failure = await provider.outcome(fake.url, valid_for=timedelta(seconds=-late_s))

    assert isinstance(failure, NotSent)
    assert "time was over" in str(failure)
    assert fake.calls == []


async def test_many_messages_at_once_each_arrive_once(provider: Provider) -> None:
    messages = [
        replace(provider.message, message_id=f"m-{n}", to=provider.address.format(n)) for n in range(60)
    ]
    async with provider.fake() as fake, aclosing(provider.adapter(fake.url, timeout_s=10.0)) as adapter:
        await asyncio.gather(*(adapter.deliver(message) for message in messages))

    assert sorted(one.to for one in fake.delivered) == sorted(message.to for message in messages)


async def test_it_is_an_adapter_of_its_channel(provider: Provider) -> None:
    async with aclosing(provider.adapter("http://localhost:1")) as adapter:
        assert (adapter.channel, adapter.provider) == (provider.channel, provider.fake.name)
