"""Typed events: the Segment e-commerce events and Waypost's own. No I/O.

Only the fields declared here reach a journey, and so a Temporal history. All other fields of an event
stay in Postgres. Declare an event of your own by subclassing ``Event``::

    class AppointmentBooked(Event, name="Appointment Booked"):
        appointment_id: str
        store: str | None = None
"""

import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from profiles.fulfilment import Fulfilment, read_fulfilment

END_RUN = "End Run"
"""Name of the control signal that ends a run; not an event."""


GROUP_ALIASES = AliasChoices("group", "item_group_id")
"""Names that channels use for a product's group."""


_TOLERANT = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, str_strip_whitespace=True)

_IS_VERIFIED = "content_verified"
"""Key of the validation context of ``channel_content``."""


def channel_content(*, verified: bool) -> Mapping[str, Any]:
    """Return the validation context for what a channel sent.

    With it ``content_verified`` of each model, at any depth, is what Waypost knows about the sender, whatever
    the channel states. Without it the stored value is kept.
    """
    return {_IS_VERIFIED: verified}


def _verified_by_context(value: object, info: ValidationInfo) -> bool | None:
    if info.context is not None and _IS_VERIFIED in info.context:
        value = info.context[_IS_VERIFIED]
    return True if value is True else None


ContentVerified = Annotated[
    bool | None, BeforeValidator(_verified_by_context), Field(default=None, validate_default=True)
]
"""True: a verified event stated the content. None: not, or it was stored by a version without this mark."""


def finite_or_none(value: float | None) -> float | None:
    """Return an amount; None for NaN and the infinities, which JSON cannot carry."""
    return value if value is not None and math.isfinite(value) else None


Amount = Annotated[float | None, AfterValidator(finite_or_none)]
"""A finite number, or None."""


class Source(StrEnum):
    """Where an event came from (the ``channel`` field of an event)."""

    WEB = "web"
    MOBILE = "mobile"
    STORE = "store"
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    ADS = "ads"
    SUPPORT = "support"
    SERVER = "server"


class Item(BaseModel):
    """One line of a cart or an order."""

    model_config = _TOLERANT

    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    variant: str | None = None
    category: str | None = None
    group: str | None = Field(default=None, validation_alias=GROUP_ALIASES)
    """The shop's name for a group of products that a buyer can exchange for each other."""
    brand: str | None = None
    price: Amount = None
    currency: str | None = None
    """ISO 4217; None: that of the event, else the shop's."""
    quantity: int = Field(default=1, ge=0)
    url: str | None = None
    image_url: str | None = None
    content_verified: ContentVerified = None
    """Whether name, variant, category, brand, price and links may be shown in a message."""

    @property
    def key(self) -> str:
        """The key of suppressions: the product id, else the stock keeping unit, else empty."""
        return self.product_id or self.sku or ""


class Event(BaseModel):
    """Something that happened, in the past tense. Subclasses declare the properties a journey may read."""

    model_config = _TOLERANT

    event_name: ClassVar[str] = ""
    registry: ClassVar[dict[str, type["Event"]]] = {}

    id: str = ""
    """Waypost's own id of the event. The channel's id stays in Postgres."""
    time: datetime | None = None
    """When the event happened, by the channel's clock."""
    at: datetime | None = None
    """When Waypost ingested the event. Decisions use this time."""
    channel: Source | None = None
    cart_id: str | None = None
    cart: tuple[Item, ...] | None = None
    """For an event of a cart: the lines of the cart after the event."""
    content_verified: ContentVerified = None
    """Whether its properties may be shown in a message."""

    def __init_subclass__(cls, *, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name:
            cls.event_name = name
            known = Event.registry.setdefault(name, cls)
            # A workflow sandbox imports an author's module again; the first class stays registered.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(
                    f"{cls.__module__}.{cls.__qualname__} declares the event name {name!r}, "
                    f"which {known.__module__}.{known.__qualname__} has already"
                )

    @classmethod
    def declared_properties(cls) -> frozenset[str]:
        """Return the names of the properties that this class declares, without those of every event."""
        return frozenset(cls.model_fields) - frozenset(Event.model_fields)


class ProductEvent(Event):
    """An event about one product."""

    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    variant: str | None = None
    category: str | None = None
    group: str | None = Field(default=None, validation_alias=GROUP_ALIASES)
    brand: str | None = None
    price: Amount = None
    currency: str | None = None
    quantity: int = Field(default=1, ge=0)
    url: str | None = None
    image_url: str | None = None

    @property
    def item(self) -> Item:
        """The product as a line of a cart or an order."""
        return Item.model_validate(self.model_dump())


class ProductViewed(ProductEvent, name="Product Viewed"):
    """A product page was viewed."""


class ProductAdded(ProductEvent, name="Product Added"):
    """A product was added to the cart."""


class ProductRemoved(ProductEvent, name="Product Removed"):
    """A product was removed from the cart."""


class CartViewed(Event, name="Cart Viewed"):
    """The cart was viewed."""

    products: tuple[Item, ...] = ()


class CheckoutStarted(Event, name="Checkout Started"):
    """Checkout began, with the lines of the cart."""

    order_id: str | None = None
    value: Amount = None
    currency: str | None = None
    products: tuple[Item, ...] = ()


class OrderEvent(Event):
    """An event about one order."""

    order_id: str | None = None
    total: Amount = None
    currency: str | None = None
    products: tuple[Item, ...] = ()
    fulfilment: Fulfilment | None = None
    """As ``read_fulfilment`` reads it from the event's properties. Journeys use ``handed_over``."""

    @model_validator(mode="before")
    @classmethod
    def _read_fulfilment(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {**fields, "fulfilment": read_fulfilment(fields)}

    @property
    def handed_over(self) -> Fulfilment:
        """How the order reaches its buyer, by what is stated, else by the channel of the purchase."""
        match self.fulfilment, self.channel == Source.STORE:
            case ((None | Fulfilment.IN_STORE), True):
                return Fulfilment.TAKEN_HOME
            case Fulfilment.IN_STORE, False:
                return Fulfilment.PICKUP
            case None, False:
                return Fulfilment.SHIPPED
            case stated, _:
                return stated or Fulfilment.SHIPPED


class OrderCompleted(OrderEvent, name="Order Completed"):
    """An order was placed online, or a purchase was made in a store."""


class OrderUpdated(OrderEvent, name="Order Updated"):
    """An order changed."""


class OrderRefunded(OrderEvent, name="Order Refunded"):
    """All or part of an order was refunded; all of it if the event names no products."""


class OrderCancelled(OrderEvent, name="Order Cancelled"):
    """An order was cancelled."""


class OrderFulfilled(OrderEvent, name="Order Fulfilled"):
    """An order left the warehouse."""


class OrderDelivered(OrderEvent, name="Order Delivered"):
    """An order reached the customer."""


class MessageEvent(Event):
    """An event about a message that Waypost sent."""

    message_id: str = ""


class MessageDelivered(MessageEvent, name="Message Delivered"):
    """The provider delivered the message."""


class MessageOpened(MessageEvent, name="Message Opened"):
    """The message was opened. Mail programs also open messages by themselves."""


class MessageClicked(MessageEvent, name="Message Clicked"):
    """A link in the message was clicked."""

    url: str | None = None


class MessageBounced(MessageEvent, name="Message Bounced"):
    """The address does not accept messages."""

    reason: str | None = None


class MessageComplained(MessageEvent, name="Message Complained"):
    """The customer reported the message as spam. Closes the address, and opts out of marketing."""


class MessageReplied(MessageEvent, name="Message Replied"):
    """The customer answered the message."""


class MessageUnsubscribed(MessageEvent, name="Message Unsubscribed"):
    """The customer opted out through the message."""


class ProductUpdated(ProductEvent, name="Product Updated"):
    """A product as the shop's feed describes it. Names no profile. Omitted fields keep their known values."""

    in_stock: bool | None = None
    bundle: tuple[str, ...] | None = None
    """Ids of the products that it consists of; empty: it is no longer a bundle."""


class PriceDropped(ProductEvent, name="Price Dropped"):
    """A product in an open cart became cheaper. Written by the product sweep, about that cart."""

    was: Amount = None
    """The price before."""


class BackInStock(ProductEvent, name="Back In Stock"):
    """A product in an open cart can be bought again. Written by the product sweep, about that cart."""


class OutOfStock(ProductEvent, name="Out Of Stock"):
    """A product in an open cart is sold out. Written by the product sweep, about that cart."""


class ReviewSubmitted(Event, name="Product Reviewed"):
    """A product was reviewed."""

    product_id: str | None = None
    review_id: str | None = None
    rating: Amount = None


class ReturnRequested(Event, name="Return Requested"):
    """The customer wants to return an order, or the named products of it."""

    order_id: str | None = None
    products: tuple[Item, ...] = ()


class ReturnCompleted(Event, name="Return Completed"):
    """A return is closed, with any result."""

    order_id: str | None = None


class TicketOpened(Event, name="Ticket Opened"):
    """A support case began."""

    ticket_id: str | None = None


class TicketSolved(Event, name="Ticket Solved"):
    """A support case ended."""

    ticket_id: str | None = None


class SegmentEntered(Event, name="Segment Entered"):
    """A profile is new in the result of a segment's query. Written by the segment sweep."""

    segment: str = ""


class OptInRequested(Event, name="Opt In Requested"):
    """An address has to confirm a consent that only a page has sent. Written by a sweep."""

    request_id: str | None = None
    """One for each request; contains nothing of the address."""
    asks_by: str = "email"
    """The channel that was granted, by which the message asks: email or sms."""


class PreferencesSaved(Event, name="Preferences Saved"):
    """The customer saved the preferences page with a channel switched on, also where it was on before."""

    channels: tuple[str, ...] = ()
    """Channels that are switched on: email, sms."""


class CustomerLapsed(Event, name="Customer Lapsed"):
    """The customer has not ordered for longer than usual. Written by the sweep of lapsed customers."""

    days_since_order: int | None = None
    orders: int | None = None
    median_gap_days: Amount = None
    """Median of the days between two visits; None with fewer than three visits."""
    lapse_after_days: Amount = None
    """Days without an order after which this customer counts as lapsed."""
    products: tuple[Item, ...] = ()
    """The products of the last order."""
