"""What journeys and activities say to each other: one model in, one model out. Pydantic only.

These values are written into Temporal histories, so they carry ids and items, never an address,
a name or a message body. Every field added later needs a default, or old runs cannot replay.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from policy.verdict import Channel, Reason
from profiles.events import Item

JOURNEY_QUEUE = "journeys"
"""Task queue of workflows and of the short activities that only touch Postgres."""


def send_queue(channel: Channel) -> str:
    """Task queue of one channel, so that one provider's outage blocks no other."""
    return f"send-{channel.value}"


class Contract(BaseModel):
    """Frozen, and forgiving about fields it does not know yet."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunStart(Contract):
    """A workflow's input."""

    run_id: str
    journey: str
    key: str
    customer_id: str
    """The profile's opaque id."""
    clock_offset_s: float = 0.0
    """Seconds to add to Temporal's clock; not 0 only on a local stack (time travel)."""


class EndRun(Contract):
    """Payload of the control signal."""

    outcome: str
    reason: str = ""


class RunResult(Contract):
    """A workflow's result."""

    outcome: str
    detail: str = ""
    sent: int = 0
    withheld: int = 0


class SendMessage(Contract):
    """Ask the gate for one message on one channel, and send it if it says so."""

    run_id: str
    step: str
    """Unique in the run; run_id + step is the send key."""
    journey: str
    template: str
    channel: Channel
    promoting: tuple[Item, ...] | None
    """None: promotes nothing, on purpose."""
    expires_at: datetime
    showing: tuple[Item, ...] = ()
    """Items it shows without promoting them, e.g. those of an order."""
    cart_id: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    """Values for the template besides items and profile; no personal data."""
    clock_offset_s: float = 0.0


class SendStatus(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    WITHHELD = "withheld"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"


class SendResult(Contract):
    """The outcome of one attempt."""

    status: SendStatus
    channel: Channel
    message_id: str | None = None
    reason: Reason | None = None
    detail: str = ""
    until: datetime | None = None
    items: tuple[str, ...] = ()
    """Keys of the items the message showed."""
    removed: tuple[str, ...] = ()
    reachable: tuple[Channel, ...] = ()
    """Channels with an address on file, so the next send need not try in vain."""


class JoinAudience(Contract):
    """Put the person into an ad audience for these items, as far as the gate allows."""

    run_id: str
    step: str
    journey: str
    audience: str
    items: tuple[Item, ...]
    expires_at: datetime
    cart_id: str | None = None
    clock_offset_s: float = 0.0


class CloseRun(Contract):
    """A run's last act."""

    run_id: str
    outcome: str
    seen: tuple[str, ...]
    """Ids of the events the story has seen; triggers not among them are routed afresh."""
    detail: str = ""
    clock_offset_s: float = 0.0


class CloseResult(Contract):
    """What closing did."""

    rerouted: int = 0
    """Trigger events routed afresh."""


class SuggestItems(Contract):
    """Ask for items that a person may like and has not bought."""

    run_id: str
    limit: int = 3
    clock_offset_s: float = 0.0


class Suggested(Contract):
    """Items, best first; may be empty."""

    items: tuple[Item, ...] = ()


class Sweep(Contract):
    """Look for people whom no event of a channel brings in."""

    batch: int = 500


class Swept(Contract):
    """What a sweep found."""

    entered: int = 0
