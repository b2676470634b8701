"""What happened, as typed values: the Segment e-commerce events and Waypost's own, without any I/O.

Only the fields declared here reach a journey (and so a Temporal history); everything else an event
carried stays in Postgres. Declare an event of your own by subclassing ``Event``::

    class AppointmentBooked(Event, name="Appointment Booked"):
        appointment_id: str
        store: str | None = None
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

END_RUN_SIGNAL = "End Run"
"""Name of the control signal that tells a run to end; not an event."""


GROUP_ALIASES = AliasChoices("group", "item_group_id")
"""Names of a product's group in what channels send."""


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

    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, str_strip_whitespace=True
    )

    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    variant: str | None = None
    category: str | None = None
    group: str | None = Field(default=None, validation_alias=GROUP_ALIASES)
    """Products that are much the same to a buyer, by a name of the shop's."""
    brand: str | None = None
    price: float | None = None
    quantity: int = Field(default=1, ge=0)
    url: str | None = None
    image_url: str | None = None

    @property
    def key(self) -> str:
        """What suppression goes by: the product, else the stock keeping unit."""
        return self.product_id or self.sku or ""


class Event(BaseModel):
    """Something that happened, past tense. Subclasses declare the properties a journey may read."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, str_strip_whitespace=True
    )

    event_name: ClassVar[str] = ""
    registry: ClassVar[dict[str, type["Event"]]] = {}

    id: str = ""
    """Waypost's own id of the event; the channel's id stays in Postgres."""
    time: datetime | None = None
    """When it happened, by the channel's clock."""
    at: datetime | None = None
    """When Waypost took it in; decisions go by this one."""
    channel: Source | None = None
    cart_id: str | None = None
    cart: tuple[Item, ...] | None = None
    """For an event of a cart: the cart's lines after it."""

    def __init_subclass__(cls, *, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name:
            cls.event_name = name
            known = Event.registry.setdefault(name, cls)
            # A workflow sandbox imports an author's module again: the first class stays registered.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(
                    f"{cls.__module__}.{cls.__qualname__} declares the event name {name!r}, "
                    f"which {known.__module__}.{known.__qualname__} has already"
                )

    @classmethod
    def declared_properties(cls) -> frozenset[str]:
        """Names of the properties this event declares, besides those every event has."""
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
    price: float | None = None
    quantity: int = 1
    url: str | None = None
    image_url: str | None = None

    @property
    def item(self) -> Item:
        """The product as a line."""
        return Item.model_validate(self.model_dump())


class ProductViewed(ProductEvent, name="Product Viewed"):
    """A product page was looked at."""


class ProductAdded(ProductEvent, name="Product Added"):
    """A product went into the cart."""


class ProductRemoved(ProductEvent, name="Product Removed"):
    """A product left the cart."""


class CartViewed(Event, name="Cart Viewed"):
    """The cart was looked at."""

    products: tuple[Item, ...] = ()


class CheckoutStarted(Event, name="Checkout Started"):
    """Checkout began, with what is in the cart."""

    order_id: str | None = None
    value: float | None = None
    currency: str | None = None
    products: tuple[Item, ...] = ()


class OrderEvent(Event):
    """An event about one order."""

    order_id: str | None = None
    total: float | None = None
    currency: str | None = None
    products: tuple[Item, ...] = ()


class OrderCompleted(OrderEvent, name="Order Completed"):
    """A purchase, online or by receipt in a store."""


class OrderUpdated(OrderEvent, name="Order Updated"):
    """An order changed."""


class OrderRefunded(OrderEvent, name="Order Refunded"):
    """All or part of an order was given back; without products, all of it."""


class OrderCancelled(OrderEvent, name="Order Cancelled"):
    """An order was called off."""


class OrderFulfilled(OrderEvent, name="Order Fulfilled"):
    """An order left the warehouse."""


class OrderDelivered(OrderEvent, name="Order Delivered"):
    """An order reached the customer."""


class MessageEvent(Event):
    """Something became of a message that Waypost sent."""

    message_id: str = ""


class MessageDelivered(MessageEvent, name="Message Delivered"):
    """The provider handed the message over."""


class MessageOpened(MessageEvent, name="Message Opened"):
    """The message was opened (mail programs also open mail by themselves)."""


class MessageClicked(MessageEvent, name="Message Clicked"):
    """A link in the message was followed."""

    url: str | None = None


class MessageBounced(MessageEvent, name="Message Bounced"):
    """The address does not take messages."""

    reason: str | None = None


class MessageComplained(MessageEvent, name="Message Complained"):
    """The person reported the message as spam; closes the address, and opts out of marketing."""


class MessageReplied(MessageEvent, name="Message Replied"):
    """The person answered."""


class MessageUnsubscribed(MessageEvent, name="Message Unsubscribed"):
    """The person opted out by way of the message."""


class ProductUpdated(ProductEvent, name="Product Updated"):
    """A product as the shop's feed tells it; names nobody. What is left out stays as it is known."""

    currency: str | None = None
    in_stock: bool | None = None
    bundle: tuple[str, ...] | None = None
    """Ids of the products it consists of; empty: it is no bundle any more."""


class PriceDropped(ProductEvent, name="Price Dropped"):
    """Something in an open cart has become cheaper; written by the product sweep, about that cart."""

    was: float | None = None
    """The price before."""
    currency: str | None = None


class BackInStock(ProductEvent, name="Back In Stock"):
    """Something in an open cart can be bought again; written by the product sweep, about that cart."""


class OutOfStock(ProductEvent, name="Out Of Stock"):
    """Something in an open cart is sold out; written by the product sweep, about that cart."""


class ReviewSubmitted(Event, name="Product Reviewed"):
    """A product was reviewed."""

    product_id: str | None = None
    review_id: str | None = None
    rating: float | None = None


class ReturnRequested(Event, name="Return Requested"):
    """The customer wants to give back an order, or the products of it that are named."""

    order_id: str | None = None
    products: tuple[Item, ...] = ()


class ReturnCompleted(Event, name="Return Completed"):
    """A return is over, whatever came of it."""

    order_id: str | None = None


class TicketOpened(Event, name="Ticket Opened"):
    """A support case began."""

    ticket_id: str | None = None


class TicketSolved(Event, name="Ticket Solved"):
    """A support case ended."""

    ticket_id: str | None = None


class SegmentEntered(Event, name="Segment Entered"):
    """A segment's query found the person, and had not before; written by the sweep of segments."""

    segment: str = ""


class CustomerLapsed(Event, name="Customer Lapsed"):
    """Nothing was bought for longer than usual; written by the sweep."""

    days_since_order: int | None = None
    orders: int | None = None
    median_gap_days: float | None = None
    """Days between two visits of this person, in the middle; None with fewer than three visits."""
    lapse_after_days: float | None = None
    """After how many days without an order this person counts as lapsed."""
    products: tuple[Item, ...] = ()
    """What the last order was of."""
