"""The input of the gate: a planned message and a snapshot of facts. Plain frozen values, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.hours.places import Place
from policy.limits import CapReachedAction, SuppressionScope
from policy.verdict import Channel, MessageClass


class StopKind(StrEnum):
    """The scope of a kill switch."""

    ALL = "all"
    CHANNEL = "channel"
    JOURNEY = "journey"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class ActiveKillSwitch:
    """A kill switch that is on."""

    kind: StopKind
    name: str
    """The name of the channel, journey or template; "all" for everything."""
    since: datetime

    @property
    def description(self) -> str:
        """The scope in words: "channel sms", "everything"."""
        return "everything" if self.kind is StopKind.ALL else f"{self.kind.value} {self.name}"


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item that a planned message promotes."""

    product_id: str | None
    sku: str | None
    category: str | None = None
    """The category in the plan. The category in the product feed counts as well."""
    group: str | None = None

    @property
    def key(self) -> str:
        """The product id, else the stock keeping unit."""
        return self.product_id or self.sku or ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A message that a run requests."""

    channel: Channel
    message_class: MessageClass
    topic: str
    """Consent topic: "marketing" by default, "transactional" for transactional templates."""
    promoting: tuple[PlannedItem, ...] | None
    """None: the message declares that it promotes nothing."""
    expires_at: datetime
    journey: str = ""
    cart_id: str | None = None
    """Set where the items are the lines of a cart. Items that have left the cart are removed."""
    holdout: float = 0.0
    """The journey's holdout: percent of profiles that get none of its marketing, as a control group."""
    value: float = 0.0
    """Value of the message, e.g. the prices of its items; decides between equal priorities."""
    when_capped: CapReachedAction | None = None
    """The journey's action where a cap has no slot; None: the message is withheld."""
    since: datetime | None = None
    """When this message was first requested; None: this is the first request."""
    message_id: str = ""
    template: str = ""
    key: str = ""
    """The send key (run and step), the same at every attempt; empty: the message is not spread."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An item that may not be promoted until a date (None: no end)."""

    item: str
    sku: str | None
    until: datetime | None
    event_id: str = ""
    scope: SuppressionScope = SuppressionScope.PRODUCT
    of: str | None = None
    """The stock keeping unit, group or category that is suppressed, for these scopes."""
    parts: tuple[str, ...] = ()
    """Ids of the products in the item, where it is a bundle."""


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """A product, or one variant of it, in the shop's feed."""

    product: str
    sku: str | None = None
    category: str | None = None
    group: str | None = None
    bundle: tuple[str, ...] = ()
    """Ids of the products in it, where it is a bundle."""


@dataclass(frozen=True, slots=True)
class ConsentFact:
    """The effective consent on one channel and topic."""

    channel: str
    """A channel, or "all"."""
    topic: str
    """A topic, or "all"."""
    granted: bool
    source: str = ""


@dataclass(frozen=True, slots=True)
class SentFact:
    """A marketing message that counts against the caps (claimed, sent, or of unknown outcome)."""

    channel: Channel
    at: datetime
    journey: str = ""
    topic: str = "marketing"
    run: str = ""
    template: str = ""
    items: tuple[str, ...] = ()
    """Keys of the items in the message."""


@dataclass(frozen=True, slots=True)
class WaitingFact:
    """A deferred marketing message of another live run, which requests a slot at ``until``."""

    channel: Channel
    journey: str
    topic: str
    until: datetime
    expires_at: datetime
    since: datetime
    """When it was first requested, by the clock of its run."""
    value: float = 0.0
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class FirstContactLimits:
    """How many messages any sender can cause with unverified events.

    Counted are messages of both classes to addresses that no verified event has named, and transactional
    messages of runs that no verified event started.
    """

    per_hour: int = 500
    per_sender_hour: int = 250
    """For each label of a key, with which the event that started the run was sent."""
    per_address_day: int = 5
    countries: tuple[str, ...] = ()
    """Countries (ISO 3166-1) with numbers that get SMS."""


@dataclass(frozen=True, slots=True)
class FirstContacts:
    """The messages so far that unverified events have caused, and their limits."""

    in_hour: int
    by_sender_in_hour: int
    to_address_in_day: int
    limits: FirstContactLimits


@dataclass(frozen=True, slots=True)
class Facts:
    """A consistent snapshot, read under the profile's lock."""

    person: str = ""
    """The profile's opaque id, by which holdouts are assigned."""
    run_state: str = "running"
    """"running", "ended" or "stuck"."""
    erased: bool = False
    has_address: bool = True
    address_problem: str | None = None
    """"bounced", "complained", "bounced_reopened" (an operator reopened it, for transactional messages), or
    None."""
    soft_bounces: tuple[datetime, ...] = ()
    """When messages to the address bounced softly, those before a later delivery aside."""
    opted_out: tuple[str, ...] = ()
    """Topics from which the *address* is opted out; "all" covers every topic."""
    consents: tuple[ConsentFact, ...] = ()
    address_from_order: bool = False
    """Whether the address came with a verified order or checkout, which allows marketing email by default."""
    address_confirmed: bool = True
    """Whether a verified event or grant has named the address. False: only pages have named it."""
    address_country: str | None = None
    """Country of a number that is not confirmed; None: of another address, or unknown."""
    first_contacts: FirstContacts | None = None
    """None: the message is not one that ``FirstContactLimits`` counts, or it is not counted yet."""
    run_verified: bool = True
    """Whether a verified event started the run, or could have started it."""
    unverified_grant: bool = False
    """Whether only unverified events have granted the channel."""
    unverified_checkout: bool = False
    """Whether the email address came with unverified orders and checkouts only."""
    suppressions: tuple[Suppression, ...] = ()
    cart: tuple[PlannedItem, ...] | None = None
    """The current lines of the plan's cart; None: the plan names no known cart."""
    out_of_stock: frozenset[str] = frozenset()
    """Keys of planned items that are out of stock."""
    shelf: tuple[CatalogItem, ...] = ()
    """The feed's rows of the planned items."""
    held: tuple[str, ...] = ()
    """Open holds of the profile, which defer marketing, in words ("a support ticket 17")."""
    sent: tuple[SentFact, ...] = ()
    zone: str = "UTC"
    """IANA zone of the profile, resolved in the order that docs/reference/events.md describes."""
    zone_source: str = "default"
    zones: tuple[str, ...] = ()
    """All zones in which the profile may live, where several are plausible; empty: ``zone`` alone."""
    waiting: tuple[WaitingFact, ...] = ()
    """Deferred messages of the profile's other runs."""
    stopped: tuple[ActiveKillSwitch, ...] = ()
    """All kill switches that are on, of any scope."""
    claims_last_minute: int | None = None
    """Claims on the plan's channel in the last minute; None: not counted."""
    breaker_open_until: datetime | None = None
    """End of the circuit breaker's backoff for the channel's provider; None: closed."""
    places: tuple[Place, ...] = ()
    """All places where the profile may be; the rules of all of them apply. Empty: unknown."""
