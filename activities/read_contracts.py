"""What a story asks about the person, and what it is told: contracts like the others, and as free of names
and addresses."""

from datetime import datetime
from typing import Any

from pydantic import Field

from activities.contracts import Contract, HoldAsk
from policy.verdict import Channel
from profiles.events import Item


class SuggestItems(Contract):
    """Ask for items that a person may like and has not bought."""

    run_id: str
    limit: int = 3
    clock_offset_s: float = 0.0


class Suggested(Contract):
    """Items, best first; may be empty."""

    items: tuple[Item, ...] = ()


class ReadHolds(Contract):
    """Ask which of these cases are open for the person."""

    run_id: str
    hold_while: tuple[HoldAsk, ...]
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


class Bought(Contract):
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


class ProfileRead(Contract):
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
    purchases: tuple[Bought, ...] = ()
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
