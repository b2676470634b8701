"""What the gate decides on: a plan and a snapshot of facts. Plain frozen values, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.hours.places import Place
from policy.limits import CapReachedAction, SuppressionScope
from policy.verdict import Channel, MessageClass


class StopKind(StrEnum):
    """What a kill switch is about."""

    ALL = "all"
    CHANNEL = "channel"
    JOURNEY = "journey"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class ActiveKillSwitch:
    """A kill switch that is on."""

    kind: StopKind
    name: str
    """Of the channel, journey or template; "all" for everything."""
    since: datetime

    @property
    def description(self) -> str:
        """As operators say it: "channel sms", "everything"."""
        return "everything" if self.kind is StopKind.ALL else f"{self.kind.value} {self.name}"


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item a message would promote."""

    product_id: str | None
    sku: str | None
    category: str | None = None
    """As the plan has it; the feed's own word counts as well."""
    group: str | None = None

    @property
    def key(self) -> str:
        """The product, else the stock keeping unit."""
        return self.product_id or self.sku or ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A message a run wants to send."""

    channel: Channel
    message_class: MessageClass
    topic: str
    """Consent topic, "marketing" by default; also "transactional" for transactional templates."""
    promoting: tuple[PlannedItem, ...] | None
    """None: the message promotes nothing, on purpose."""
    expires_at: datetime
    journey: str = ""
    cart_id: str | None = None
    """Set where the items are the lines of a cart: they must still be in it."""
    holdout: float = 0.0
    """Percent of people whom the journey keeps its marketing from, to be measured against."""
    value: float = 0.0
    """What the message is worth, e.g. the prices of what it promotes; decides between equal priorities."""
    when_capped: CapReachedAction | None = None
    """What the journey wants where there is no slot; None: nothing, and it is withheld."""
    since: datetime | None = None
    """When this message was first asked for; None: never before."""
    message_id: str = ""
    template: str = ""
    """Name of the message."""
    key: str = ""
    """The send key (run and step), the same at every attempt; empty: nothing to spread messages by."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An item not to be promoted until a date (None: for good)."""

    item: str
    sku: str | None
    until: datetime | None
    event_id: str = ""
    scope: SuppressionScope = SuppressionScope.PRODUCT
    of: str | None = None
    """The unit, the group or the category that it reaches, where the scope is one of these."""
    parts: tuple[str, ...] = ()
    """Products that the item consists of, where it is a bundle."""


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One product, or one variant of it, as the shop's feed tells it."""

    product: str
    sku: str | None = None
    category: str | None = None
    group: str | None = None
    bundle: tuple[str, ...] = ()
    """Products it consists of."""


@dataclass(frozen=True, slots=True)
class ConsentFact:
    """The person's latest word on one channel and topic."""

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
    """Keys of what it showed."""


@dataclass(frozen=True, slots=True)
class WaitingFact:
    """A marketing message of another live run, put off for now: it will ask for a slot at ``until``."""

    channel: Channel
    journey: str
    topic: str
    until: datetime
    expires_at: datetime
    since: datetime
    """When it was first asked for, by its run's clock."""
    value: float = 0.0
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """One consistent snapshot, read under the profile's lock."""

    person: str = ""
    """The profile's opaque id; holdouts are sticky by it."""
    run_state: str = "running"
    """running, ended or stuck."""
    erased: bool = False
    has_address: bool = True
    address_problem: str | None = None
    """"bounced", "complained", or None."""
    opted_out: tuple[str, ...] = ()
    """Topics the *address* is opted out of; "all" covers every topic."""
    consents: tuple[ConsentFact, ...] = ()
    address_from_order: bool = False
    """The address came with an order or a checkout (allows marketing email by default)."""
    suppressions: tuple[Suppression, ...] = ()
    cart: tuple[PlannedItem, ...] | None = None
    """The cart's lines now, where the plan names a cart that is known."""
    out_of_stock: frozenset[str] = frozenset()
    """Keys of planned items that the shop is known to have sold out."""
    shelf: tuple[CatalogItem, ...] = ()
    """What the feed says of the planned items."""
    held: tuple[str, ...] = ()
    """What is open with the person and holds marketing back, in words ("a support ticket 17")."""
    sent: tuple[SentFact, ...] = ()
    zone: str = "UTC"
    """IANA zone of the person, already resolved by the order of the contract."""
    zone_source: str = "default"
    zones: tuple[str, ...] = ()
    """All zones the person may live in, where more than one is plausible; empty: ``zone`` alone."""
    waiting: tuple[WaitingFact, ...] = ()
    """What other runs of the person want to send as soon as they may."""
    stopped: tuple[ActiveKillSwitch, ...] = ()
    """Every kill switch that is on, whatever it names."""
    claims_last_minute: int | None = None
    """Claims on the plan's channel within a minute; None: nobody counted them."""
    breaker_open_until: datetime | None = None
    """The provider failed over and over, and is left alone until then."""
    places: tuple[Place, ...] = ()
    """Everywhere the person may be; the rules of all of them hold. Empty: nothing is known."""
