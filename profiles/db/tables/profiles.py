"""People and what happened to them, as Postgres tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE
from profiles.db.tables.columns import jsonb_column, timestamp_column


class ProfileTable(SQLModel, table=True):
    """The unified record of a person."""

    profile_id: UUID = Field(primary_key=True)
    merged_into: UUID | None = None
    """Set once the person turned out to be another one; follow it to the canonical profile."""
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    origins: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    """Field of the traits → who said it and when: {"time", "source", "event_id", "rank"}."""
    context_timezone: str | None = None
    context_locale: str | None = None
    email_from_order: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The email address came with an order or a checkout."""
    last_order_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    orders: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    last_checkout_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the last order or checkout."""
    sure_checkout_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the last verified one."""
    email_ordered: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """Whether an order or checkout itself named an email address: 0 none, 1 by a page's word, 2 verified."""
    first_order_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    spent: float = Field(default=0.0, sa_column_kwargs={"server_default": text("0")})
    """Over all orders, without what was given back; in the shop's currency."""
    median_gap_days: float | None = None
    seen: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    """Channel → when the person was last heard of there; see ``profiles.projection.computed``."""
    opens: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    clicks: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    preferred_channel: str | None = None
    preferred_hour: int | None = None
    """Hour of the day, 0 to 23, in the person's zone."""
    carts_time: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    carts_key: str | None = None
    """With ``carts_time``: the place of the last event that the carts were folded from."""
    lapsed_after: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the order after which the sweep last declared this person lapsed."""
    erased_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    created_at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        Index("profile_last_order", "last_order_at", postgresql_where=text("merged_into IS NULL")),
        Index(
            "profile_not_lapsed",
            "last_order_at",
            postgresql_where=text(
                "merged_into IS NULL AND erased_at IS NULL "
                "AND (lapsed_after IS NULL OR lapsed_after < last_order_at)"
            ),
        ),
        Index("profile_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )


class IdentifierTable(SQLModel, table=True):
    """One (type, value) that points at a profile."""

    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    profile_id: UUID = Field(index=True)
    origin: UUID
    """The profile it was given when it was first seen; the oldest of a person's is the person's own."""
    since: datetime = Field(sa_column=timestamp_column())
    """Time of the earliest event that names it."""
    linked_at: datetime = Field(sa_column=timestamp_column())
    """When it became this person's, by the time of the event that says so."""
    status: str = Field(default="good", sa_column_kwargs={"server_default": text("'good'")})
    """good; quarantined: so many share it that it is nobody's; released: an operator says it is not."""
    vouched: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """A verified event linked it with another one."""
    created_at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        Index("identifier_quarantined", "type", "value", postgresql_where=text("status = 'quarantined'")),
    )


class EventTable(SQLModel, table=True):
    """Something that happened, as it came in."""

    event_id: UUID = Field(primary_key=True)
    """Ours; the only id of the event that reaches a Temporal history."""
    source: str
    id: str
    """The channel's own id, unique within its source."""
    content_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    type: str
    channel: str
    time: datetime = Field(sa_column=timestamp_column())
    at: datetime = Field(sa_column=timestamp_column())
    """When it was taken in; decisions go by this one."""
    profile_id: UUID | None = None
    cart_id: str | None = None
    identifiers: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    context: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Its sender is known to speak for the people it names."""
    problems: list[dict[str, Any]] = Field(default_factory=list, sa_column=jsonb_column("[]"))
    """What could not be done with it, and why: [{"journey", "detail"}]."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        UniqueConstraint("source", "id", name="event_source_id"),
        Index("event_profile_at", "profile_id", "at"),
        Index(
            "event_undone_orders",
            "profile_id",
            postgresql_where=text("type IN ('Order Refunded', 'Order Cancelled')"),
        ),
        Index(
            "event_cases",
            "profile_id",
            "type",
            postgresql_where=text(f"profile_id IS NOT NULL AND {RARE_EVENT_TYPES_PREDICATE}"),
        ),
    )


class CartTable(SQLModel, table=True):
    """What a person has put together but not bought."""

    profile_id: UUID = Field(primary_key=True)
    cart_id: str = Field(primary_key=True)
    lines: list[dict[str, Any]] = Field(default_factory=list, sa_column=jsonb_column("[]"))
    updated_at: datetime = Field(sa_column=timestamp_column())
    closed_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When an order emptied it; a closed cart is nobody's open cart."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        Index(
            "cart_open_lines",
            "lines",
            postgresql_using="gin",
            postgresql_ops={"lines": "jsonb_path_ops"},
            postgresql_where=text("closed_at IS NULL"),
        ),
    )


class IdentityLinkTable(SQLModel, table=True):
    """Identifiers that one event named together; each set once, with its earliest event."""

    __tablename__ = "identity_link"

    link_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    verified: bool
    keys: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """type:value, the strongest first."""
    time: datetime = Field(sa_column=timestamp_column())
    source: str
    id: str
    """The channel's own id of the event."""
    event_id: UUID
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        UniqueConstraint("digest", "verified", name="identity_link_digest"),
        Index("identity_link_keys", "keys", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class IdentityCutTable(SQLModel, table=True):
    """Two identifiers that an operator said are not one person's."""

    __tablename__ = "identity_cut"

    cut_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    one: str
    other: str
    actor: str
    reason: str
    at: datetime = Field(sa_column=timestamp_column())
    lifted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (Index("identity_cut_one", "one"), Index("identity_cut_other", "other"))


class IdentityLogTable(SQLModel, table=True):
    """What became of people's identities, in the order it happened; rows are only ever added."""

    __tablename__ = "identity_log"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    at: datetime = Field(sa_column=timestamp_column())
    kind: str
    """joined, demoted, quarantined, released, cut, mended, merged or split."""
    profile_id: UUID | None = Field(default=None, index=True)
    other_profile_id: UUID | None = Field(default=None, index=True)
    key: str | None = None
    other_key: str | None = None
    cause: UUID | None = None
    """The event."""
    actor: str | None = None
    detail: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        Index("identity_log_quarantined", "recorded_at", postgresql_where=text("kind = 'quarantined'")),
    )
