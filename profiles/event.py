"""An event as a journey sees it: what all of them have, and the item that many are about."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

END_RUN = "End Run"
"""Name of the control signal that tells a run to end; not an event."""


GROUP = AliasChoices("group", "item_group_id")
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
    group: str | None = Field(default=None, validation_alias=GROUP)
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
    by_name: ClassVar[dict[str, type["Event"]]] = {}

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
            known = Event.by_name.setdefault(name, cls)
            # A workflow sandbox imports an author's module again: the first class stays registered.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(
                    f"{cls.__module__}.{cls.__qualname__} declares the event name {name!r}, "
                    f"which {known.__module__}.{known.__qualname__} has already"
                )

    @classmethod
    def declared(cls) -> frozenset[str]:
        """Names of the properties this event declares, besides those every event has."""
        return frozenset(cls.model_fields) - frozenset(Event.model_fields)
