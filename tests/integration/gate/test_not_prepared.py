"""Errors between the claim and the provider's first byte: the claim is released, with a reason on record."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError

from activities import send_message
from activities.channels.adapter import Accepted, NotSent, OutgoingMessage
from activities.channels.registry import ChannelRegistry
from activities.channels.sandbox import SandboxAdapter
from activities.content.context import ContentError
from activities.contracts import JoinAudience, SendMessage, SendStatus
from activities.message_renderer import MessageRenderer
from authoring.testing.calendar import DEFAULT_START
from policy.verdict import Channel, Reason
from tests.support.environments.adapters import MAIL, TEXT, sendgrid_adapter, twilio_adapter
from tests.support.environments.gate import GateHarness, shopper
from tests.support.fakes import FakeSendGrid, FakeTwilio


@pytest.mark.parametrize(
    ("target", "name"),
    [
        pytest.param(MessageRenderer, "render", id="the rendering"),
        pytest.param(MessageRenderer, "_links", id="the links"),
        pytest.param(ChannelRegistry, "adapter", id="the set-up of the adapter"),
        pytest.param(send_message, "OutgoingMessage", id="the message for the provider"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [ValueError("about Ada"), RecursionError(), ContentError("a fault")],
    ids=["odd", "deep", "content"],
)
@pytest.mark.parametrize("template", ["cart_reminder", "order_confirmation"])
async def test_an_error_before_the_call_releases_the_claim_as_content(
    gate_env: GateHarness,
    monkeypatch: pytest.MonkeyPatch,
    target: Any,
    name: str,
    error: Exception,
    template: str,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    run_id, request = await gate_env.reminder(template=template)
    if template == "order_confirmation":
        request = request.model_copy(update={"promoting": None, "showing": request.promoting})
    monkeypatch.setattr(target, name, fails)
    result = await gate_env.sends(request)

    assert (result.status, result.reason) == (SendStatus.WITHHELD, Reason.CONTENT)
    assert "Ada" not in result.detail
    message = await gate_env.message(run_id, "reminder")
    assert (message["status"], message["reason"], message["claimed_at"]) == ("released", "content", None)
    assert gate_env.ledgers[Channel.EMAIL].accepted == []


async def test_an_error_that_the_adapter_did_not_foresee_is_recorded_as_unknown(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder()
    gate_env.ledgers[Channel.EMAIL].answers = [ZeroDivisionError()]
    result = await gate_env.sends(request)

    assert result.status is SendStatus.UNKNOWN
    assert (await gate_env.message(run_id, "reminder"))["status"] == "unknown"


class _SlowSandbox(SandboxAdapter):
    """A sandbox that gets the message only after the claim has ended."""

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        await asyncio.sleep(max(outgoing.seconds_to_begin(), 0))
        return await super().deliver(outgoing)


async def test_a_claim_that_ends_in_the_adapter_is_released(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def store(_: object) -> None:
        raise AssertionError("the claim had ended")

    run_id, request = await gate_env.reminder()
    monkeypatch.setattr("activities.send_message.MAX_CLAIM_AGE_S", 0.5)
    monkeypatch.setitem(gate_env.ledgers, Channel.EMAIL, _SlowSandbox(Channel.EMAIL, store))
    with pytest.raises(ApplicationError, match="not sent, and given back"):
        await gate_env.sends(request)

    assert (await gate_env.message(run_id, "reminder"))["status"] == "released"


@pytest.mark.parametrize("left_s", [-1.0, 0.0])
async def test_no_byte_reaches_sendgrid_after_the_claim_has_ended(left_s: float) -> None:
    async with FakeSendGrid() as fake:
        adapter = sendgrid_adapter(fake.url)
        with pytest.raises(NotSent):
            await adapter.deliver(replace(MAIL, begin_by=time.monotonic() + left_s))
        await adapter.aclose()

    assert fake.calls == []


@pytest.mark.parametrize("left_s", [-1.0, 0.0])
async def test_no_byte_reaches_twilio_after_the_claim_has_ended(left_s: float) -> None:
    async with FakeTwilio() as fake:
        adapter = twilio_adapter(fake.url)
        with pytest.raises(NotSent):
            await adapter.deliver(replace(TEXT, begin_by=time.monotonic() + left_s))
        await adapter.aclose()

    assert fake.calls == []


async def test_no_byte_reaches_twilio_where_the_claim_ends_while_it_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 10.0])
    async with FakeTwilio() as fake:
        adapter = twilio_adapter(fake.url)
        monkeypatch.setattr("activities.channels.twilio.time.monotonic", lambda: next(clock, 10.0))
        with pytest.raises(NotSent, match="the claim ended before the request began"):
            await adapter.deliver(replace(TEXT, begin_by=5.0))
        monkeypatch.undo()
        await adapter.aclose()

    assert fake.calls == []


async def test_the_licence_is_measured_until_the_first_byte(gate_env: GateHarness) -> None:
    _, request = await gate_env.reminder()
    asked_at = time.monotonic()
    await gate_env.sends(request)

    [outgoing] = gate_env.ledgers[Channel.EMAIL].accepted
    assert outgoing.begin_by is not None
    assert asked_at <= outgoing.begin_by - send_message.MAX_CLAIM_AGE_S <= time.monotonic()


@pytest.mark.parametrize("adapter", ["sendgrid", "twilio"])
async def test_what_no_request_can_be_made_of_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, adapter: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise TypeError("no request")

    if adapter == "sendgrid":
        monkeypatch.setattr("activities.channels.sendgrid.build_request_body", fails)
        sender, message = sendgrid_adapter("http://127.0.0.1:1"), MAIL
    else:
        sender, message = twilio_adapter("http://127.0.0.1:1"), TEXT  # type: ignore[assignment]
        monkeypatch.setattr("activities.channels.twilio.TwilioAdapter._client", fails)
    with pytest.raises(NotSent) as error:
        await sender.deliver(message)
    await sender.aclose()

    assert (error.value.permanent, error.value.content_problem) == (True, True)


def as_stored(request: SendMessage | JoinAudience, **changes: object) -> Any:
    """The request as an activity reads it from a history, with other values in its JSON."""
    stored = json.loads(request.model_dump_json()) | changes
    return TypeAdapter(type(request)).validate_json(json.dumps(stored))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"value": None}, "value: ", id="an infinite value, which JSON writes as null"),
        pytest.param({"promoting": [{"product_id": "lamp", "quantity": -1}]}, "quantity", id="a quantity"),
        pytest.param({"channel": "fax"}, "channel", id="a channel of another version"),
        pytest.param({"expires_at": "soon"}, "expires_at", id="a time"),
        pytest.param({"template": None}, "template", id="no template"),
        pytest.param({"exposures": [{"arm": 1}], "value": "x"}, "exposures", id="several values"),
    ],
)
async def test_a_request_that_cannot_be_decoded_is_on_record_and_not_tried_again(
    gate_env: GateHarness, changes: dict[str, object], fault: str
) -> None:
    run_id, request = await gate_env.reminder()
    for _ in range(2):
        result = await gate_env.sends(as_stored(request, **changes))
        assert (result.status, result.reason) == (SendStatus.WITHHELD, Reason.ERROR)

    decisions = await gate_env.decisions()
    assert {(row["verdict"], row["reason"]) for row in decisions} == {("withhold", "error")}
    assert fault in decisions[0]["detail"]
    assert (await gate_env.message(run_id, "reminder"))["status"] == "withheld"


async def test_a_message_that_was_sent_stays_sent_where_its_request_cannot_be_decoded(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder()
    await gate_env.sends(request)
    result = await gate_env.sends(as_stored(request, value=None))

    assert result.status is SendStatus.SENT
    assert (await gate_env.message(run_id, "reminder"))["status"] == "sent"


async def test_without_a_run_nothing_can_be_recorded_and_nothing_is_tried_again(
    gate_env: GateHarness,
) -> None:
    _, request = await gate_env.reminder()
    with pytest.raises(ApplicationError, match="could not be decoded") as error:
        await gate_env.sends(as_stored(request, run_id=None))

    assert error.value.non_retryable


async def test_an_audience_that_cannot_be_decoded_is_on_record(gate_env: GateHarness) -> None:
    run_id = await gate_env.leaves_cart(["lamp"], cart_id="c-1", **shopper(1))
    request = JoinAudience(
        run_id=str(run_id),
        step="audience left",
        journey="cart-abandonment",
        audience="left",
        items=(),
        expires_at=DEFAULT_START + timedelta(days=1),
    )
    stored = as_stored(request, items=[{"product_id": "lamp", "quantity": -1}])
    result = await gate_env.joins(stored)

    assert (result.status, result.reason) == (SendStatus.WITHHELD, Reason.ERROR)
    [decision] = await gate_env.decisions()
    assert (decision["verdict"], decision["reason"], decision["channel"]) == ("withhold", "error", "ads")


def test_values_in_code_are_checked_as_usual() -> None:
    with pytest.raises(ValueError, match="value"):
        SendMessage.model_validate({"value": None})
