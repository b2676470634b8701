"""The interface of provider adapters, and the two kinds of failed delivery."""

import math
import time
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
    """Mail headers, e.g. the one-click pair of RFC 8058; one line each."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to one address, permitted by a committed claim."""

    message_id: str
    """Waypost's id of the message; the only metadata sent to a provider."""
    to: str
    content: RenderedMessage
    valid_for: timedelta | None = None
    """How long the provider may try to deliver; None: no limit."""
    begin_by: float | None = None
    """By the monotonic clock, in seconds: no byte may reach the provider later. None: no limit."""

    def seconds_to_begin(self) -> float:
        """Return how long the request may still begin; zero or less: too late. Infinite without a limit."""
        return math.inf if self.begin_by is None else self.begin_by - time.monotonic()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider accepted the message."""

    provider_id: str


class NotSent(Exception):
    """The message was certainly not sent: the call failed before it began, or the provider rejected it."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: timedelta | None = None,
        permanent: bool = False,
        address_problem: str | None = None,
        content_problem: bool = False,
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """The wait that the provider asks for; None: none."""
        self.permanent = permanent
        """Whether a retry cannot succeed (bad address, bad content)."""
        self.address_problem = address_problem
        """"bounced" or "opted_out" where the provider reports this about the address."""
        self.content_problem = content_problem
        """Whether no request could be made of the message or of the settings; no byte was sent."""


class MaybeSent(Exception):
    """The outcome is unknown: the request may have been accepted. The message is never sent again."""


class ChannelAdapter(Protocol):
    """Delivers messages on one channel by one provider."""

    channel: Channel
    provider: str

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Send the message to the provider within 10 s. Raises ``NotSent`` or ``MaybeSent``.

        Sends no byte after ``begin_by``: raises ``NotSent`` then.
        """

    async def aclose(self) -> None:
        """Release connections."""
