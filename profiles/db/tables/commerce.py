"""Tables of the catalog and its changes, purchases and suppressions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, text
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import RecordedTable, identity_column, text_array_column, timestamp_column


class ProductTable(RecordedTable, table=True):
    """One product, or one variant of it, as the feed last described it."""

    __tablename__ = "product"

    item: str = Field(primary_key=True)
    """``Item.key``: the product id, else the stock keeping unit."""
    sku: str = Field(default="", primary_key=True, sa_column_kwargs={"server_default": text("''")})
    """The variant; empty for the product as a whole."""
    name: str | None = None
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None
    """None: the feed does not state it."""
    url: str | None = None
    image_url: str | None = None
    category: str | None = None
    item_group: str | None = None
    """The shop's name for a group of products that a buyer can exchange for each other."""
    bundle: list[str] = Field(default_factory=list, sa_column=text_array_column("{}"))
    """Ids of the products that it consists of."""
    changed_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event about it."""
    priced_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event with a price; each field has its time, since events arrive out of order."""
    stocked_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the newest event that states whether it is in stock."""
    verified: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether a verified event has described it."""

    __table_args__ = (Index("product_sku", "sku"),)


class ProductChangeTable(RecordedTable, table=True):
    """A change of a product's price or stock. The product sweep writes events about it for open carts."""

    __tablename__ = "product_change"

    seq: int | None = Field(default=None, sa_column=identity_column())
    item: str
    sku: str = ""
    was_price: float | None = None
    price: float | None = None
    was_in_stock: bool | None = None
    in_stock: bool | None = None
    at: datetime = Field(sa_column=timestamp_column())
    """When its event was ingested."""
    swept_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))

    __table_args__ = (Index("product_change_unswept", "seq", postgresql_where=text("swept_at IS NULL")),)


class PurchaseTable(SQLModel, table=True):
    """One line of an order, of any channel."""

    __tablename__ = "purchase"

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
    """When the row was written, under the profile's lock; not when its transaction began."""

    __table_args__ = (
        Index("purchase_profile_time", "profile_id", "time"),
        Index("purchase_recorded", "recorded_at", postgresql_using="brin"),
    )


class SuppressionTable(RecordedTable, table=True):
    """An item that may not be promoted to a profile until a date. In force from its commit."""

    __tablename__ = "suppression"

    profile_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    item: str
    sku: str | None = None
    order_id: str | None = None
    until: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    scope: str = Field(default="product", sa_column_kwargs={"server_default": text("'product'")})
    """What it covers: variant, product, group or category."""
    of: str | None = None
    """The variant, group or category that it covers; None for a product."""
    parts: list[str] = Field(default_factory=list, sa_column=text_array_column("{}"))
    """Ids of the products that a bundle consists of."""
    reason: str = "purchased"
    lifted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Set by a return, refund or cancellation."""
