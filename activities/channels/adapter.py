"""What every provider adapter looks like, and the two ways a delivery can fail."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from policy.verdict import Channel


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A rendered message."""

    text: str
    subject: str = ""
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Mail headers, e.g. the RFC 8058 one-click pair; one line each."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one address, licensed by a committed claim."""

    message_id: str
    """Ours; the only metadata a provider gets to see."""
    to: str
    content: RenderedMessage
    valid_for: timedelta | None = None
    """The provider must not deliver later than this; None: no limit."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message."""

    provider_id: str


class NotSent(Exception):
    """Definitely not sent: refused before or instead of being accepted."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: timedelta | None = None,
        permanent: bool = False,
        address_problem: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """When the provider said to come back."""
        self.permanent = permanent
        """Trying again cannot help (bad address, bad content)."""
        self.address_problem = address_problem
        """"bounced" or "opted_out" where the provider said so of the address."""


class MaybeSent(Exception):
    """Unknown: the request may have been accepted. Marketing is never tried again."""


class ChannelAdapter(Protocol):
    """Delivers on one channel by one provider."""

    channel: Channel
    provider: str

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Hand the message over within 10 s, or raise ``NotSent`` or ``MaybeSent``."""

    async def aclose(self) -> None:
        """Release connections."""
