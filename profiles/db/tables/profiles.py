"""Tables of profiles, identifiers, events, carts and identity links, with cuts and the identity log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE
from profiles.db.tables.columns import RecordedTable, identity_column, jsonb_column, timestamp_column


class ProfileTable(RecordedTable, table=True):
    """The unified record of one customer."""

    __tablename__ = "profile"

    profile_id: UUID = Field(primary_key=True)
    merged_into: UUID | None = None
    """The profile that this one was merged into. Follow it to the canonical profile."""
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    origins: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    """Name of a trait → its origin: {"time", "source", "event_id", "rank"}."""
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
    """Whether an order or checkout itself named an email address: 0 no, 1 unverified, 2 verified."""
    first_order_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    spent: float = Field(default=0.0, sa_column_kwargs={"server_default": text("0")})
    """Total of all orders without returns, in the shop's currency."""
    median_gap_days: float | None = None
    seen: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    """Channel → time of the profile's last event there; see ``profiles.projection.computed``."""
    opens: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    clicks: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    preferred_channel: str | None = None
    preferred_hour: int | None = None
    """Hour of the day, 0 to 23, in the profile's time zone."""
    carts_time: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    carts_key: str | None = None
    """With ``carts_time``: the sort key of the last event in the projection of the carts."""
    lapsed_after: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the order after which the sweep last declared this profile lapsed."""
    erased_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    created_at: datetime = Field(sa_column=timestamp_column())

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


class IdentifierTable(RecordedTable, table=True):
    """One (type, value) that points at a profile."""

    __tablename__ = "identifier"

    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    profile_id: UUID = Field(index=True)
    origin: UUID
    """The profile that it got when it was first seen. Identifiers of one profile get their oldest origin."""
    since: datetime = Field(sa_column=timestamp_column())
    """Time of the earliest event that names it."""
    linked_at: datetime = Field(sa_column=timestamp_column())
    """When it joined this profile, by the time of the linking event."""
    status: str = Field(default="good", sa_column_kwargs={"server_default": text("'good'")})
    """good; quarantined: shared by so many profiles that it identifies none; released: by an operator."""
    vouched: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether a verified event names it; true for strong identifiers only."""
    given: str | None = None
    """An email address as it was given last, by verified events if any: messages go to this spelling. Null:
    to ``value``."""
    given_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Time of the event that gave it so."""
    given_verified: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether that event is verified."""
    page_only: bool | None = None
    """Whether only unverified events have named it; null for other types than anonymous_id, and for rows from
    before 0.7."""
    linked_by_page: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether it belongs to its profile only because the shop accepts what a page says of a device."""
    created_at: datetime = Field(sa_column=timestamp_column())

    __table_args__ = (
        Index("identifier_quarantined", "type", "value", postgresql_where=text("status = 'quarantined'")),
    )


class EventTable(RecordedTable, table=True):
    """An event as it was ingested."""

    __tablename__ = "event"

    event_id: UUID = Field(primary_key=True)
    """Waypost's id; the only id of the event that reaches a Temporal history."""
    source: str
    id: str
    """The channel's own id, unique within its source."""
    content_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    type: str
    channel: str
    time: datetime = Field(sa_column=timestamp_column())
    at: datetime = Field(sa_column=timestamp_column())
    """When it was ingested. Decisions use this time."""
    profile_id: UUID | None = None
    cart_id: str | None = None
    identifiers: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    context: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether it comes from a trusted source: a server key, an admin key, or identity tokens."""
    by_customer: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether only a customer's identity tokens verify it. Events of the shop take its place."""
    sender: str | None = None
    """Label of the key that it was sent with; null for Waypost's own, and in rows from before 0.6."""
    problems: list[dict[str, Any]] = Field(default_factory=list, sa_column=jsonb_column("[]"))
    """What could not be processed, and why: [{"journey", "detail"}]."""
    superseded_by: UUID | None = None
    """The more trusted event that took the place of this one. Such an event counts in no cart and no
    figure, and ``profiles.ingest.event_store.SUPERSEDED_MARK`` and its ``event_id`` follow its id."""

    __table_args__ = (
        UniqueConstraint("source", "id", name="event_source_id"),
        Index("event_profile_at", "profile_id", "at"),
        Index("event_deliveries", "at", postgresql_where=text("type = 'Order Delivered' AND verified")),
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


class CartTable(RecordedTable, table=True):
    """A cart of a profile."""

    __tablename__ = "cart"

    profile_id: UUID = Field(primary_key=True)
    cart_id: str = Field(primary_key=True)
    lines: list[dict[str, Any]] = Field(default_factory=list, sa_column=jsonb_column("[]"))
    updated_at: datetime = Field(sa_column=timestamp_column())
    closed_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When an order emptied it; None: the cart is open."""

    __table_args__ = (
        Index(
            "cart_open_lines",
            "lines",
            postgresql_using="gin",
            postgresql_ops={"lines": "jsonb_path_ops"},
            postgresql_where=text("closed_at IS NULL"),
        ),
    )


class IdentityLinkTable(RecordedTable, table=True):
    """Identifiers that one event named together. One row for each set, with its earliest event."""

    __tablename__ = "identity_link"

    link_id: int | None = Field(default=None, sa_column=identity_column())
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    verified: bool
    keys: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Identifier keys (type:value), strongest first."""
    time: datetime = Field(sa_column=timestamp_column())
    source: str
    id: str
    """The channel's own id of the event."""
    event_id: UUID
    at: datetime = Field(sa_column=timestamp_column())
    accepts_device: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether the shop accepted, when an unverified event was ingested, that it links a device."""

    __table_args__ = (
        UniqueConstraint("digest", "verified", name="identity_link_digest"),
        Index("identity_link_keys", "keys", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class IdentityCutTable(RecordedTable, table=True):
    """An operator's declaration that two identifiers do not belong to one profile."""

    __tablename__ = "identity_cut"

    cut_id: int | None = Field(default=None, sa_column=identity_column())
    one: str
    other: str
    actor: str
    reason: str
    at: datetime = Field(sa_column=timestamp_column())
    lifted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))

    __table_args__ = (Index("identity_cut_one", "one"), Index("identity_cut_other", "other"))


class IdentityLogTable(RecordedTable, table=True):
    """Audit log of identities: links, quarantines, cuts, merges and splits, in order. Append-only."""

    __tablename__ = "identity_log"

    seq: int | None = Field(default=None, sa_column=identity_column())
    at: datetime = Field(sa_column=timestamp_column())
    kind: str
    """joined, demoted, quarantined, released, cut, mended, merged or split."""
    profile_id: UUID | None = Field(default=None, index=True)
    other_profile_id: UUID | None = Field(default=None, index=True)
    key: str | None = None
    other_key: str | None = None
    cause: UUID | None = None
    """The event that caused it."""
    actor: str | None = None
    detail: str = Field(default="", sa_column_kwargs={"server_default": text("''")})

    __table_args__ = (
        Index("identity_log_quarantined", "recorded_at", postgresql_where=text("kind = 'quarantined'")),
    )
