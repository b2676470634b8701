"""Requests and results of activities, and the payloads of workflows: one model in, one model out.

Pydantic only. These values are stored in Temporal histories, so they contain ids and items, never an address,
a name or a message body. Every field added later needs a default, or old runs cannot be replayed.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from policy.verdict import Channel, Reason
from profiles.events import Item

JOURNEY_QUEUE = "journeys"
"""Task queue of workflows, and of short activities that use only Postgres."""

MAX_FAULT_LENGTH = 300

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def send_queue(channel: Channel) -> str:
    """Return the task queue of a channel. One per channel, so that a provider's outage blocks no other."""
    return f"send-{channel.value}"


class Contract(BaseModel):
    """Base of all models here: frozen, and ignores unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RecordedInput(Contract):
    """Base of requests of which a value that cannot be decoded becomes a recorded failure.

    Temporal would retry such an input until its time is over, and nothing would be on record. Only for what
    is read from a history: values given in code are checked as usual.
    """

    input_fault: str = ""
    """Which values could not be decoded, without the values; empty: none. They have fallbacks then."""

    @classmethod
    def fallbacks(cls) -> dict[str, Any]:
        """Return a value for each required field that may be missing."""
        raise NotImplementedError

    @model_validator(mode="wrap")
    @classmethod
    def _decode(cls, stored: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return handler(stored)
        except ValidationError as error:
            if info.mode != "json" or not isinstance(stored, dict):
                raise
            faults = error.errors(include_url=False, include_input=False, include_context=False)
        faulty = {str(fault["loc"][0]) for fault in faults}
        listed = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        fault = f"the request could not be decoded: {listed}"[:MAX_FAULT_LENGTH]
        fitting = {name: value for name, value in stored.items() if name not in faulty}
        return handler({**cls.fallbacks(), **fitting, "input_fault": fault})


class RunStart(Contract):
    """The input of a workflow."""

    run_id: str
    journey: str
    key: str
    customer_id: str
    """The profile's opaque id."""
    clock_offset_s: float = 0.0
    """Seconds to add to Temporal's clock; 0 except on a local stack (time travel)."""


class EndRun(Contract):
    """The payload of the control signal that ends a run."""

    outcome: str
    reason: str = ""


class RunResult(Contract):
    """The result of a workflow."""

    outcome: str
    detail: str = ""
    sent: int = 0
    withheld: int = 0


class HoldSpec(Contract):
    """A hold that a journey declares: a case that defers marketing from its opening to its closing event."""

    opened: str
    """Name of the event that opens a case."""
    closed: tuple[str, ...]
    """Names of the events that close it."""
    by: str | None = None
    """Property with the id of the case; None: a closing event closes all earlier cases."""
    says: str = ""
    """The case in words: "a support ticket"."""


class Exposure(Contract):
    """The record that a run reached a point at which the arm of an experiment makes a difference."""

    experiment: str
    arm: str
    at: datetime


class SendMessage(RecordedInput):
    """Request for one message on one channel, sent if the gate allows it."""

    run_id: str
    step: str
    """Unique in the run; run_id + step is the send key."""
    journey: str
    template: str
    channel: Channel
    promoting: tuple[Item, ...] | None
    """None: the message declares that it promotes nothing."""
    expires_at: datetime
    showing: tuple[Item, ...] = ()
    """Items shown without being promoted, e.g. those of an order."""
    cart_id: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    """Values for the template in addition to items and profile; no personal data."""
    unverified_context: tuple[str, ...] = ()
    """Names in ``context`` of values of unverified events; the message shows only ids of them."""
    clock_offset_s: float = 0.0
    choose: bool = False
    """Return ``elsewhere`` where another channel of the template ranks higher for the profile."""
    hold_while: tuple[HoldSpec, ...] = ()
    holdout: float = 0.0
    """The journey's holdout: percent of profiles that get none of its marketing."""
    exposures: tuple[Exposure, ...] = ()
    """Exposures since the last request of the run that had any."""
    value: float = 0.0
    """Value of the message: prices times quantities of its items; decides between equal priorities."""
    repeats: tuple[str, ...] = ()
    """Ids of messages of the run that this one repeats, since the provider's answer to each was lost."""
    when_capped: Literal["withhold", "wait"] | None = None
    """Action where a cap has no slot; None: the policy's, else "withhold"."""

    @classmethod
    def fallbacks(cls) -> dict[str, Any]:
        """See ``RecordedInput``. Without a run or a step nothing can be recorded."""
        texts = dict.fromkeys(("run_id", "step", "journey", "template"), "")
        return {**texts, "channel": Channel.EMAIL, "promoting": None, "expires_at": _LONG_AGO}


class SendStatus(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    WITHHELD = "withheld"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    """Nothing was decided: another channel ranks higher for the profile, see ``channels``."""


class SendResult(Contract):
    """The outcome of one attempt."""

    status: SendStatus
    channel: Channel
    message_id: str | None = None
    reason: Reason | None = None
    detail: str = ""
    until: datetime | None = None
    items: tuple[str, ...] = ()
    """Keys of the items in the message."""
    removed: tuple[str, ...] = ()
    reachable: tuple[Channel, ...] = ()
    """Channels with an address on file, so that the next send does not try one without."""
    channels: tuple[Channel, ...] = ()
    """The template's channels ranked for the profile, best first, where the request had ``choose``."""
    zone: str | None = None
    """The profile's IANA zone."""
    may_repeat: bool = False
    """The outcome is unknown, and the template is delivered at least once: the run may send it again."""


class JoinAudience(RecordedInput):
    """Request to add the profile to an ad audience for items, as far as the gate allows."""

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

    @classmethod
    def fallbacks(cls) -> dict[str, Any]:
        """See ``RecordedInput``. Without a run or a step nothing can be recorded."""
        texts = dict.fromkeys(("run_id", "step", "journey", "audience"), "")
        return {**texts, "items": (), "expires_at": _LONG_AGO}


class WithdrawConsent(Contract):
    """Request to withdraw the profile's consent on a channel and topic."""

    run_id: str
    step: str
    channel: Channel
    topic: str = "marketing"
    clock_offset_s: float = 0.0


class WithdrawConsentResult(Contract):
    """Result of a withdrawal."""

    done: bool = True
    """False: the profile has no identifier."""


class CloseRun(Contract):
    """Request to close a run, its last activity."""

    run_id: str
    outcome: str
    seen: tuple[str, ...]
    """Ids of the events that the story has seen; other triggers are routed again."""
    detail: str = ""
    clock_offset_s: float = 0.0
    exposures: tuple[Exposure, ...] = ()


class CloseResult(Contract):
    """Result of closing a run."""

    rerouted: int = 0
    """Number of trigger events routed again."""


class SweepRequest(Contract):
    """Request for one sweep: find what no event reports."""

    batch: int = 500
    """Profiles or rows per transaction."""


class SweepResult(Contract):
    """Result of a sweep."""

    entered: int = 0
    """Number of events written, or of templates stopped."""


class SuggestItems(Contract):
    """Request for items that the profile may like and has not bought."""

    run_id: str
    limit: int = 3
    clock_offset_s: float = 0.0


class SuggestedItems(Contract):
    """Suggested items, best first; may be empty."""

    items: tuple[Item, ...] = ()


class ReadDeliveryReports(Contract):
    """Request for whether the shop's systems report deliveries."""

    clock_offset_s: float = 0.0


class DeliveryReports(Contract):
    """Whether a verified ``Order Delivered`` of any order came in lately."""

    any_recent: bool = False


class ReadHolds(Contract):
    """Request for the holds that are open for the profile."""

    run_id: str
    hold_while: tuple[HoldSpec, ...]
    clock_offset_s: float = 0.0


class OpenHolds(Contract):
    """Open holds, in words; may be empty."""

    held: tuple[str, ...] = ()


class ReadProfile(Contract):
    """Request for the profile, as far as a story may read it."""

    run_id: str
    traits: tuple[str, ...] = ()
    """Names of the traits to read; no other trait is stored in the history."""
    clock_offset_s: float = 0.0


class PurchasedItem(Contract):
    """One line of an order."""

    item: str
    """The product id, else the stock keeping unit."""
    name: str | None = None
    """None also where the order is unverified."""
    price: float | None = None
    quantity: int = 1
    """Without returned units."""
    at: datetime
    """Time of the purchase."""
    channel: str = ""
    order_id: str | None = None


class ProfileSnapshot(Contract):
    """The profile at one instant, without name and address."""

    at: datetime
    """Time of the read, by the run's clock."""
    zone: str = "UTC"
    zone_source: str = "default"
    language: str | None = None
    since: datetime | None = None
    """When the profile was created."""
    orders: int = 0
    spent: float = 0.0
    """Sum of all orders without returns, in the shop's currency."""
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    median_gap_days: float | None = None
    """Median number of days between orders; None with fewer than three orders."""
    purchases: tuple[PurchasedItem, ...] = ()
    """Order lines of the last 400 days, newest first, at most 50."""
    open_carts: int = 0
    reachable: tuple[Channel, ...] = ()
    """Channels with an address on file."""
    granted: tuple[Channel, ...] = ()
    """Channels with consent to marketing."""
    refused: tuple[Channel, ...] = ()
    """Channels with a withdrawal from marketing."""
    engaged_at: dict[Channel, datetime] = Field(default_factory=dict)
    """Channel → when one of its messages was last opened or clicked."""
    traits: dict[str, Any] = Field(default_factory=dict)
    """The requested traits that are on file."""
    unverified_traits: tuple[str, ...] = ()
    """The names of those that no verified event stated."""


class SweepSegment(Contract):
    """Request to find the new members of a segment."""

    segment: str
    """Name of the segment; the worker's code has the query."""


class SegmentSweepResult(Contract):
    """Result of one sweep of a segment."""

    found: int = 0
    """Number of members."""
    newcomers: int = 0
    """New members that were entered by an event."""
    left: int = 0
    """Members that are no longer in the segment."""
    skipped: int = 0
    """New members without an identifier."""
    history: int = 0
    """New members known by history alone, who enter once something new happens."""
    noted: int = 0
    """Members recorded by the segment's first sweep, which enters no profile."""

    @property
    def summary(self) -> str:
        """The result in words, for operators: "12 found, 3 newcomers, 1 left"."""
        parts = [f"{self.found} found", f"{self.newcomers} newcomer{'' if self.newcomers == 1 else 's'}"]
        if self.noted:
            parts[1] = "noted only, since this is the first sweep"
        parts.append(f"{self.left} left")
        if self.skipped:
            parts.append(f"{self.skipped} skipped: no identifier names them")
        if self.history:
            parts.append(f"{self.history} wait: only events over 72 hours old on arrival are known of them")
        return ", ".join(parts)
