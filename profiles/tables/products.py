"""The shop's products as its feed tells them, and what changed about them, as Postgres tables."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class Product(SQLModel, table=True):
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
    changed_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """Time of the newest event about it."""
    priced_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """Time of the newest event that told a price: events out of order are judged field by field."""
    stocked_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """Time of the newest event that told whether it is in stock."""
    verified: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """A verified event has told of it."""
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (Index("product_sku", "sku"),)


class ProductChange(SQLModel, table=True):
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
    at: datetime = Field(sa_column=instant())
    """When it was taken in."""
    swept_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (Index("product_change_unswept", "seq", postgresql_where=text("swept_at IS NULL")),)
