"""The adapters of the providers, by their real SDKs, and a message for each."""

from datetime import timedelta
from typing import Any

from activities.channels.adapter import (
    Accepted,
    ChannelAdapter,
    MaybeSent,
    NotSent,
    OutgoingMessage,
    RenderedMessage,
)
from activities.channels.sendgrid import SendGridAdapter
from activities.channels.twilio import TwilioAdapter

TIMEOUT_S = 0.5

MAIL = OutgoingMessage(
    "0190-message",
    "ada.lovelace@example.com",
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

TEXT = OutgoingMessage(
    "0190-message", "+4915112345678", RenderedMessage("Your lamp is waiting. STOP to end"), timedelta(hours=2)
)


def sendgrid_adapter(url: str, **options: Any) -> SendGridAdapter:
    """An adapter that sends mail to ``url``."""
    given = {"timeout_s": TIMEOUT_S, **options}
    return SendGridAdapter("SG.test-key", "Lamps <hello@example.com>", base_url=url, **given)


def twilio_adapter(url: str, **options: Any) -> TwilioAdapter:
    """An adapter that sends texts to ``url``, from a number unless ``options`` say otherwise."""
    given = {"sender": "+15005550006", "timeout_s": TIMEOUT_S}
    return TwilioAdapter("AC" + "0" * 32, "test-token", base_url=url, **{**given, **options})


async def outcome_of(adapter: ChannelAdapter, message: OutgoingMessage) -> Accepted | NotSent | MaybeSent:
    """What comes of one delivery; the adapter is closed after it."""
    try:
        return await adapter.deliver(message)
    except (NotSent, MaybeSent) as failure:
        return failure
    finally:
        await adapter.aclose()
