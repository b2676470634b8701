"""What journeys and activities say to each other: one model in, one model out. Pydantic only.

These values are written into Temporal histories, so they carry ids and items, never an address,
a name or a message body. Every field added later needs a default, or old runs cannot replay.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

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


class HoldSpec(Contract):
    """A case that holds marketing back while it is open: opened by one event, closed by any of others."""

    opened: str
    """Name of the event that opens a case."""
    closed: tuple[str, ...]
    by: str | None = None
    """Property that names the case; None: a closing event closes every case before it."""
    says: str = ""
    """What is open, in words: "a support ticket"."""


class Exposure(Contract):
    """A person has come to where their arm of an experiment makes a difference."""

    experiment: str
    arm: str
    at: datetime


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
    choose: bool = False
    """Answer ``elsewhere`` where another channel of the template suits the person better."""
    hold_while: tuple[HoldSpec, ...] = ()
    holdout: float = 0.0
    """Percent of people whom the journey keeps its marketing from."""
    exposures: tuple[Exposure, ...] = ()
    """Experiments the person has come to since the run last told of any."""
    value: float = 0.0
    """What it is worth: prices times quantities of what it promotes; decides between equal priorities."""
    when_capped: Literal["withhold", "wait"] | None = None
    """What becomes of it where a cap leaves no slot; None: what the shop sets, else withheld."""


class SendStatus(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    WITHHELD = "withheld"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    """Nothing was decided: another channel suits the person better, see ``channels``."""


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
    channels: tuple[Channel, ...] = ()
    """The template's channels as they suit the person, best first, where the run asked to choose."""
    zone: str | None = None
    """The person's IANA zone."""


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
    hold_while: tuple[HoldSpec, ...] = ()
    holdout: float = 0.0
    exposures: tuple[Exposure, ...] = ()


class WithdrawConsent(Contract):
    """Take the person off a topic on a channel."""

    run_id: str
    step: str
    channel: Channel
    topic: str = "marketing"
    clock_offset_s: float = 0.0


class WithdrawConsentResult(Contract):
    """Whether there was anybody to take off."""

    done: bool = True


class CloseRun(Contract):
    """A run's last act."""

    run_id: str
    outcome: str
    seen: tuple[str, ...]
    """Ids of the events the story has seen; triggers not among them are routed afresh."""
    detail: str = ""
    clock_offset_s: float = 0.0
    exposures: tuple[Exposure, ...] = ()


class CloseResult(Contract):
    """What closing did."""

    rerouted: int = 0
    """Trigger events routed afresh."""


class SweepRequest(Contract):
    """Look for people whom no event of a channel brings in."""

    batch: int = 500


class SweepResult(Contract):
    """What a sweep found."""

    entered: int = 0


class SuggestItems(Contract):
    """Ask for items that a person may like and has not bought."""

    run_id: str
    limit: int = 3
    clock_offset_s: float = 0.0


class SuggestedItems(Contract):
    """Items, best first; may be empty."""

    items: tuple[Item, ...] = ()


class ReadHolds(Contract):
    """Ask which of these cases are open for the person."""

    run_id: str
    hold_while: tuple[HoldSpec, ...]
    clock_offset_s: float = 0.0


class OpenHolds(Contract):
    """What is open, in words; empty: nothing."""

    held: tuple[str, ...] = ()


class ReadProfile(Contract):
    """Ask who the person is, as far as a story may know."""

    run_id: str
    traits: tuple[str, ...] = ()
    """Names of the traits to read; none other reaches the history."""
    clock_offset_s: float = 0.0


class PurchasedItem(Contract):
    """One line of an order."""

    item: str
    """The product, else the stock keeping unit."""
    name: str | None = None
    price: float | None = None
    quantity: int = 1
    """Without what was given back."""
    at: datetime
    """When it was bought."""
    channel: str = ""
    order_id: str | None = None


class ProfileSnapshot(Contract):
    """The person at one moment; no name and no address."""

    at: datetime
    """When it was read, by the run's clock."""
    zone: str = "UTC"
    zone_source: str = "default"
    language: str | None = None
    since: datetime | None = None
    """When the profile began."""
    orders: int = 0
    spent: float = 0.0
    """Over all orders, without what was given back; in the shop's currency."""
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    median_gap_days: float | None = None
    """Days between orders, the median; None with fewer than three."""
    purchases: tuple[PurchasedItem, ...] = ()
    """Of the last 400 days, the newest first, at most 50 lines."""
    open_carts: int = 0
    reachable: tuple[Channel, ...] = ()
    """Channels with an address on file."""
    granted: tuple[Channel, ...] = ()
    """Channels whose marketing the person has said yes to."""
    refused: tuple[Channel, ...] = ()
    """Channels whose marketing the person has said no to."""
    engaged_at: dict[Channel, datetime] = Field(default_factory=dict)
    """When a message of the channel was last opened or followed."""
    traits: dict[str, Any] = Field(default_factory=dict)
    """The traits that were asked for and are on file."""


class SweepSegment(Contract):
    """Find who newly belongs to a segment."""

    segment: str
    """Its name; the query is that of the worker's own code."""


class SegmentSweepResult(Contract):
    """What one sweep of a segment found."""

    found: int = 0
    newcomers: int = 0
    """Entered by an event."""
    left: int = 0
    skipped: int = 0
    """Newcomers whom no identifier names."""
    noted: int = 0
    """Found by the segment's first sweep, which enters nobody."""

    @property
    def summary(self) -> str:
        """For operators: "12 found, 3 newcomers, 1 left"."""
        said = [f"{self.found} found", f"{self.newcomers} newcomer{'' if self.newcomers == 1 else 's'}"]
        if self.noted:
            said[1] = "noted only, since this is the first sweep"
        said.append(f"{self.left} left")
        if self.skipped:
            said.append(f"{self.skipped} skipped: no identifier names them")
        return ", ".join(said)
