"""What was bought, and what is therefore not to be promoted, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class Purchase(SQLModel, table=True):
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
    time: datetime = Field(sa_column=instant())
    at: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    """When it was written, under its person's lock; not when its transaction began to wait for that."""

    __table_args__ = (
        Index("purchase_profile_time", "profile_id", "time"),
        Index("purchase_recorded", "recorded_at", postgresql_using="brin"),
    )


class Suppression(SQLModel, table=True):
    """An item not to be promoted to a person until a date. In force from its commit."""

    profile_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    item: str
    sku: str | None = None
    order_id: str | None = None
    until: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    scope: str = Field(default="product", sa_column_kwargs={"server_default": text("'product'")})
    """How far it reaches: variant, product, group or category."""
    of: str | None = None
    """The unit, the group or the category, where it reaches that."""
    parts: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    """Products that the item consists of, where it is a bundle."""
    reason: str = "purchased"
    lifted_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    """Set by a return, refund or cancellation."""
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
