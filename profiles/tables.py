"""The unified profile as Postgres tables. Decisions read only columns stamped by ingest or a run's
clock; ``recorded_at`` is Postgres's own stamp, for people, and no decision reads it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel


def _instant(*, nullable: bool = False, stamped: bool = False) -> Any:
    """A timestamptz column; ``stamped`` ones are filled in by Postgres."""
    return Column(DateTime(timezone=True), nullable=nullable, server_default=func.now() if stamped else None)


def _json(default: str) -> Any:
    """A jsonb column with a default, "{}" or "[]"."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


class Profile(SQLModel, table=True):
    """The unified record of a person."""

    profile_id: UUID = Field(primary_key=True)
    merged_into: UUID | None = Field(default=None, index=True)
    """Set once the person turned out to be another one; follow it to the canonical profile."""
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    context_timezone: str | None = None
    email_from_order: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The email address came with an order or a checkout."""
    last_order_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    orders: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    lapsed_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    """When the sweep last declared this person lapsed."""
    erased_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    created_at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))

    __table_args__ = (
        Index("profile_last_order", "last_order_at", postgresql_where=text("merged_into IS NULL")),
    )


class Identifier(SQLModel, table=True):
    """One (type, value) that points at a profile."""

    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    profile_id: UUID = Field(index=True)
    created_at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class Event(SQLModel, table=True):
    """Something that happened, as it came in."""

    event_id: UUID = Field(primary_key=True)
    """Ours; the only id of the event that reaches a Temporal history."""
    source: str
    id: str
    """The channel's own id, unique within its source."""
    content_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    type: str
    channel: str
    time: datetime = Field(sa_column=_instant())
    at: datetime = Field(sa_column=_instant())
    """When it was taken in; decisions go by this one."""
    profile_id: UUID | None = None
    cart_id: str | None = None
    identifiers: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    context: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    problems: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json("[]"))
    """What could not be done with it, and why: [{"journey", "detail"}]."""
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))

    __table_args__ = (
        UniqueConstraint("source", "id", name="event_source_id"),
        Index("event_profile_at", "profile_id", "at"),
    )


class Cart(SQLModel, table=True):
    """What a person has put together but not bought."""

    profile_id: UUID = Field(primary_key=True)
    cart_id: str = Field(primary_key=True)
    lines: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json("[]"))
    updated_at: datetime = Field(sa_column=_instant())
    closed_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    """When an order emptied it; a closed cart is nobody's open cart."""
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class Purchase(SQLModel, table=True):
    """One line of an order, wherever it was placed."""

    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    profile_id: UUID = Field(index=True)
    order_id: str | None = Field(default=None, index=True)
    item: str
    sku: str | None = None
    name: str | None = None
    price: float | None = None
    quantity: int = 1
    returned: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    channel: str
    time: datetime = Field(sa_column=_instant())
    at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class Suppression(SQLModel, table=True):
    """An item not to be promoted to a person until a date. In force from its commit."""

    profile_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    item: str
    sku: str | None = None
    order_id: str | None = None
    until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    reason: str = "purchased"
    lifted_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    """Set by a return, refund or cancellation."""
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class Consent(SQLModel, table=True):
    """One entry of the append-only consent ledger; the state is the last entry of (channel, topic)."""

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    profile_id: UUID = Field(index=True)
    channel: str
    topic: str
    state: str
    """granted or withdrawn."""
    source: str
    event_id: UUID | None = None
    at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class OptOut(SQLModel, table=True):
    """An address that does not want messages, whoever it belongs to."""

    __tablename__ = "opt_out"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str
    at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class AddressProblem(SQLModel, table=True):
    """An address that does not take messages: bounced, or its owner complained."""

    __tablename__ = "address_problem"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    problem: str
    at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class Message(SQLModel, table=True):
    """One communication to one person on one channel, planned or sent; one row a send key."""

    message_id: UUID = Field(primary_key=True)
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    items: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    address: str | None = None
    status: str
    """claimed, sent, delivered, opened, clicked, bounced, released, unknown, unknown_final, withheld, deferred."""
    reason: str | None = None
    token: UUID | None = None
    """Who holds the claim."""
    provider: str | None = None
    provider_id: str | None = None
    decided_at: datetime = Field(sa_column=_instant())
    claimed_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    """By the run's clock; caps count from here."""
    sent_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))
    claim_recorded_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    """Postgres's stamp of the claim, for the sweep of stale claims only."""

    __table_args__ = (
        UniqueConstraint("run_id", "step", name="message_send_key"),
        Index("message_profile_claimed", "profile_id", "claimed_at"),
        Index(
            "message_claims", "claim_recorded_at", postgresql_where=text("status IN ('claimed', 'unknown')")
        ),
    )


class Decision(SQLModel, table=True):
    """The gate's recorded verdict, with every check and the values it stood on."""

    decision_id: UUID = Field(primary_key=True)
    message_id: UUID
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    verdict: str
    reason: str | None = None
    detail: str = ""
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json("[]"))
    items: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    items_removed: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    at: datetime = Field(sa_column=_instant())
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))

    __table_args__ = (Index("decision_profile_at", "profile_id", "at"), Index("decision_run", "run_id"))


class Run(SQLModel, table=True):
    """One execution of a journey for one key; its row is what routing goes by."""

    run_id: UUID = Field(primary_key=True)
    journey: str
    key: str
    profile_id: UUID
    state: str
    """running, ended or stuck."""
    workflow_id: str
    temporal_run_id: str | None = None
    entry_event: UUID
    outcome: str | None = None
    detail: str | None = None
    clock_offset_s: float = Field(default=0.0, sa_column_kwargs={"server_default": text("0")})
    signals: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    entered_at: datetime = Field(sa_column=_instant())
    ended_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))

    __table_args__ = (
        Index(
            "run_one_live_per_key", "journey", "key", unique=True, postgresql_where=text("state <> 'ended'")
        ),
        Index("run_profile", "profile_id", "journey", "entered_at"),
        Index("run_stuck", "state", postgresql_where=text("state = 'stuck'")),
    )


class Outbox(SQLModel, table=True):
    """What Temporal or an ad platform has yet to be told, in order within a lane."""

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    lane: UUID
    """The run, or the audience membership, whose order counts."""
    kind: str
    """start, signal or audience."""
    name: str
    event_id: UUID | None = None
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    trigger: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The event could start a run of this journey; routed afresh if its run did not see it."""
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    delivered_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    rerouted_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    error: str | None = None
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))

    __table_args__ = (
        Index("outbox_undelivered", "lane", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_queue", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_lane", "lane"),
    )


class AudienceMember(SQLModel, table=True):
    """A person in an ad audience for one item, on behalf of one run."""

    __tablename__ = "audience_member"

    member_id: UUID = Field(primary_key=True)
    audience: str
    item: str
    sku: str | None = None
    profile_id: UUID = Field(index=True)
    run_id: UUID = Field(index=True)
    state: str
    """joining, in, leaving or out."""
    reason: str | None = None
    joined_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    left_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class SandboxMessage(SQLModel, table=True):
    """What the sandbox delivered, as the customer would see it."""

    __tablename__ = "sandbox_message"

    message_id: UUID = Field(primary_key=True)
    channel: str
    address: str
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: dict[str, Any] = Field(default_factory=dict, sa_column=_json("{}"))
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))


class SandboxAudience(SQLModel, table=True):
    """The sandbox ad platform: who is in which audience, by its own books."""

    __tablename__ = "sandbox_audience"

    audience: str = Field(primary_key=True)
    member_id: UUID = Field(primary_key=True)
    recorded_at: datetime | None = Field(default=None, sa_column=_instant(stamped=True))
