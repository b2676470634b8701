"""What bears on "why was this sent, or why not": a person's events, words, purchases, runs, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from profiles.history import DecisionView
from profiles.identity_view import LogEntry
from profiles.people import RunView


@dataclass(frozen=True, slots=True)
class Line:
    """A product as an event names it."""

    product_id: str | None
    sku: str | None
    name: str | None

    @property
    def key(self) -> str:
        """The product, else the stock keeping unit."""
        return self.product_id or self.sku or ""


@dataclass(frozen=True, slots=True)
class EventFact:
    """Something that happened, as it came in."""

    event_id: UUID
    source: str
    id: str
    """The channel's own id."""
    type: str
    channel: str
    time: datetime
    """When it happened, by the channel's clock."""
    at: datetime
    """When it was taken in; decisions go by this one."""
    said: Mapping[str, str | float]
    """Its properties, as far as they are text or numbers."""
    lines: tuple[Line, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be done with it, in words."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Products and units of its lines."""
        return tuple(key for line in self.lines for key in (line.product_id, line.sku) if key)


@dataclass(frozen=True, slots=True)
class BoughtFact:
    """An item not to be promoted, and the purchase behind it."""

    item: str
    sku: str | None
    name: str | None
    order_id: str | None
    until: datetime | None
    """None: for good."""
    lifted_at: datetime | None
    event_id: UUID
    at: datetime
    """When it was taken in, and so in force."""

    def counts(self, at: datetime) -> bool:
        """Whether the item was not to be promoted at an instant."""
        return self.at <= at and self.lasts(at)

    def lasts(self, at: datetime) -> bool:
        """Whether it was not yet over by then."""
        return (self.until is None or self.until > at) and (self.lifted_at is None or self.lifted_at > at)


@dataclass(frozen=True, slots=True)
class WordFact:
    """A yes or a no to a channel and topic; of the person, or of an address where ``address`` is set."""

    channel: str
    topic: str
    granted: bool
    source: str
    event_id: UUID | None
    time: datetime
    at: datetime
    address: str | None = None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class ProblemFact:
    """An address that takes no messages."""

    channel: str
    address: str
    problem: str
    """bounced or complained."""
    at: datetime


@dataclass(frozen=True, slots=True)
class MessageFact:
    """A message as it stands."""

    message_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    topic: str
    status: str
    reason: str | None
    address: str | None
    provider: str | None
    items: tuple[str, ...]
    decided_at: datetime
    claimed_at: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProductFact:
    """A product as the feed last told it."""

    item: str
    sku: str
    name: str | None
    in_stock: bool | None
    stocked_at: datetime | None


@dataclass(frozen=True, slots=True)
class WhoFact:
    """The person, as far as an answer names them and tells their time."""

    profile_id: UUID
    first_name: str | None
    key: tuple[str, str] | None
    """The strongest identifier: type and value."""
    timezone: str | None
    """``traits.timezone``, as it came."""
    context_timezone: str | None
    phone: str | None
    """To work out the zone, and for nothing else."""
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Account:
    """All of it about one person; lists from the oldest to the newest."""

    who: WhoFact
    decisions: tuple[DecisionView, ...] = ()
    events: Mapping[UUID, EventFact] = field(default_factory=dict)
    """By our own id, in the order in which they were taken in."""
    bought: tuple[BoughtFact, ...] = ()
    words: tuple[WordFact, ...] = ()
    """The person's own."""
    marks: tuple[WordFact, ...] = ()
    """Of their addresses: what stands on each."""
    problems: tuple[ProblemFact, ...] = ()
    messages: tuple[MessageFact, ...] = ()
    runs: tuple[RunView, ...] = ()
    entries: Mapping[UUID, UUID] = field(default_factory=dict)
    """Run → the event that started it."""
    identity: tuple[LogEntry, ...] = ()
    products: tuple[ProductFact, ...] = ()
    cut: bool = False
    """There is more than was read: of some kind only the newest are here."""

    def message(self, message_id: UUID) -> MessageFact | None:
        """One message."""
        return next((one for one in self.messages if one.message_id == message_id), None)

    def run(self, run_id: UUID) -> RunView | None:
        """One run."""
        return next((one for one in self.runs if one.run_id == run_id), None)

    def entry(self, run_id: UUID) -> EventFact | None:
        """The event that started a run."""
        started_by = self.entries.get(run_id)
        return self.events.get(started_by) if started_by else None

    def event(self, event_id: UUID | None) -> EventFact | None:
        """One event, where it is known and was read."""
        return self.events.get(event_id) if event_id else None
