"""The shop's products as its feed tells them, and what changed about them, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import timestamp_column


class ProductTable(SQLModel, table=True):
    """One product, or one variant of it, as the feed last told it."""

    item: str = Field(primary_key=True)
    """``Item.key``: the product id, else the stock keeping unit."""
    sku: str = Field(default="", primary_key=True, sa_column_kwargs={"server_default": text("''")})
    """The variant; empty where the feed tells of the product as a whole."""
    name: str | None = None
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None
    """None: the feed says nothing about it."""
    url: str | None = None
    image_url: str | None = None
    category: str | None = None
    item_group: str | None = None
    """Products that are much the same to a buyer have one name of the shop's in common."""
    bundle: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    """Products it consists of."""
    changed_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event about it."""
    priced_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event that told a price: events out of order are judged field by field."""
    stocked_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event that told whether it is in stock."""
    verified: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """A verified event has told of it."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (Index("product_sku", "sku"),)


class ProductChangeTable(SQLModel, table=True):
    """A product's price or stock became another; the sweep tells those whose cart holds it."""

    __tablename__ = "product_change"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    item: str
    sku: str = ""
    was_price: float | None = None
    price: float | None = None
    was_in_stock: bool | None = None
    in_stock: bool | None = None
    at: datetime = Field(sa_column=timestamp_column())
    """When it was taken in."""
    swept_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (Index("product_change_unswept", "seq", postgresql_where=text("swept_at IS NULL")),)


class PurchaseTable(SQLModel, table=True):
    """One line of an order, wherever it was placed."""

    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    profile_id: UUID
    order_id: str | None = None
    item: str = Field(index=True)
    sku: str | None = None
    name: str | None = None
    price: float | None = None
    quantity: int = 1
    returned: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    channel: str
    time: datetime = Field(sa_column=timestamp_column())
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    """When it was written, under its person's lock; not when its transaction began to wait for that."""

    __table_args__ = (
        Index("purchase_profile_time", "profile_id", "time"),
        Index("purchase_recorded", "recorded_at", postgresql_using="brin"),
    )


class SuppressionTable(SQLModel, table=True):
    """An item not to be promoted to a person until a date. In force from its commit."""

    profile_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    item: str
    sku: str | None = None
    order_id: str | None = None
    until: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    scope: str = Field(default="product", sa_column_kwargs={"server_default": text("'product'")})
    """How far it reaches: variant, product, group or category."""
    of: str | None = None
    """The unit, the group or the category, where it reaches that."""
    parts: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    """Products that the item consists of, where it is a bundle."""
    reason: str = "purchased"
    lifted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Set by a return, refund or cancellation."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))
