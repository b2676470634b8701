"""The adapter of each channel: a provider's where its keys are set, else the sandbox."""

from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from activities.channels.adapter import ChannelAdapter
from activities.channels.sandbox import SandboxAdapter, SandboxStore
from activities.settings import ActivitySettings
from policy.verdict import Channel

_GO_LIVE_HINTS = {
    Channel.EMAIL: "set SENDGRID_API_KEY to send for real",
    Channel.SMS: "set TWILIO_ACCOUNT_SID to send for real",
    Channel.PUSH: "no provider is built in",
    Channel.ADS: "no provider is built in",
}


class ChannelRegistry:
    """The adapters of one process. Build once, and close at its end."""

    def __init__(self, adapters: Mapping[Channel, ChannelAdapter], notes: Mapping[Channel, str]) -> None:
        self._adapters, self._descriptions = dict(adapters), dict(notes)

    @classmethod
    def from_settings(cls, settings: ActivitySettings, store: SandboxStore, *, copies: bool = False) -> Self:
        """Choose an adapter for every channel.

        ``store`` keeps what the sandbox delivers; with ``copies`` (a local stack) each message is also
        written to files under ``<data dir>/sandbox``. Opens no connection.
        """
        folder = settings.data_dir / "sandbox" if copies else None
        adapters: dict[Channel, ChannelAdapter] = {
            channel: SandboxAdapter(
                channel, store, sender=settings.email_from or "sandbox@localhost", folder=folder
            )
            for channel in Channel
        }
        notes = {channel: f"sandbox ({how})" for channel, how in _GO_LIVE_HINTS.items()}
        if email := _build_sendgrid(settings):
            adapters[Channel.EMAIL] = email
            notes[Channel.EMAIL] = (
                f"SendGrid at {urlsplit(settings.sendgrid_base_url).netloc}, from {settings.email_from}"
            )
        if sms := _build_twilio(settings):
            adapters[Channel.SMS] = sms
            sender = settings.twilio_messaging_service_sid or settings.twilio_from
            notes[Channel.SMS] = f"Twilio at {urlsplit(settings.twilio_base_url).netloc}, from {sender}"
        return cls(adapters, notes)

    def adapter(self, channel: Channel) -> ChannelAdapter:
        """Return the adapter of a channel; every channel has one."""
        return self._adapters[channel]

    def describe(self) -> tuple[str, ...]:
        """Return a line for each channel with its provider; contains no secret."""
        return tuple(f"{channel.value}: {self._descriptions[channel]}" for channel in Channel)

    async def aclose(self) -> None:
        """Close the connections of all adapters."""
        for adapter in self._adapters.values():
            await adapter.aclose()


# The providers' SDKs take a quarter of a worker's start, so each is imported only where its keys are set.


def _build_sendgrid(settings: ActivitySettings) -> ChannelAdapter | None:
    if settings.sendgrid_api_key is None or settings.email_from is None:
        return None
    from activities.channels.sendgrid import SendGridAdapter

    key = settings.sendgrid_api_key.get_secret_value()
    return SendGridAdapter(key, settings.email_from, base_url=settings.sendgrid_base_url)


def _build_twilio(settings: ActivitySettings) -> ChannelAdapter | None:
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    from activities.channels.twilio import TwilioAdapter

    return TwilioAdapter(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        sender=settings.twilio_from,
        messaging_service_sid=settings.twilio_messaging_service_sid,
        base_url=settings.twilio_base_url,
    )
