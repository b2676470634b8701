"""Tables of consents: the ledger, its fold, opt-outs of addresses, and addresses with problems."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import RecordedTable, identity_column, text_array_column, timestamp_column


class ConsentTable(RecordedTable, table=True):
    """One declaration in the append-only consent ledger. ``ConsentStateTable`` is the fold of the ledger.

    A trigger refuses to change or delete a row. Only ``profile_id`` may change, after a merge or a split.
    """

    __tablename__ = "consent"

    seq: int | None = Field(default=None, sa_column=identity_column())
    profile_id: UUID = Field(index=True)
    channel: str
    topic: str
    state: str
    """granted or withdrawn."""
    source: str
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether the event of the declaration is verified."""
    voice: str | None = None
    """declared_by: the identifier key that declared it; null: all identifiers of the profile."""
    named: list[str] = Field(default_factory=list, sa_column=text_array_column("{}"))
    """All identifiers of the event. A withdrawal applies to every profile to which they belong."""
    event_id: UUID | None = None
    time: datetime = Field(sa_column=timestamp_column())
    """When it was declared, by the channel's clock; never after ``at``."""
    at: datetime = Field(sa_column=timestamp_column())
    text_version: str | None = None
    """Version of the text that was shown."""
    method: str | None = None
    """checkbox, double_opt_in, keyword, and so on; see ``profiles.consent.evidence``."""
    jurisdiction: str | None = None
    """Country or region code."""
    reviews: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """The entry that an operator reviewed with this one."""

    __table_args__ = (
        Index(
            "consent_withdrawn_by",
            "named",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("state = 'withdrawn'"),
        ),
        Index("consent_reviews", "reviews", unique=True, postgresql_where=text("reviews IS NOT NULL")),
        Index("consent_doubtful", "at", "seq", postgresql_where=text("method = 'reply_doubtful'")),
    )


class ConsentStateTable(RecordedTable, table=True):
    """Effective consent of a profile on one channel and topic: the fold of its ledger."""

    __tablename__ = "consent_state"

    profile_id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    state: str
    source: str
    event_id: UUID | None = None
    time: datetime = Field(sa_column=timestamp_column())
    at: datetime = Field(sa_column=timestamp_column())
    text_version: str | None = None
    method: str | None = None
    jurisdiction: str | None = None


class OptOutTable(RecordedTable, table=True):
    """Opt-out or opt-in of an address, for every profile that has it. The later declaration is in force."""

    __tablename__ = "opt_out"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str
    state: str = Field(default="withdrawn", sa_column_kwargs={"server_default": text("'withdrawn'")})
    """withdrawn or granted."""
    time: datetime = Field(sa_column=timestamp_column())
    """When it was declared."""
    at: datetime = Field(sa_column=timestamp_column())


class AddressProblemTable(RecordedTable, table=True):
    """An address that does not accept messages: it bounced, or its owner complained."""

    __tablename__ = "address_problem"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    problem: str
    """bounced or complained."""
    at: datetime = Field(sa_column=timestamp_column())
    reopened_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When an operator reopened a bounced address for transactional messages; null: it is closed for all."""


class SoftBounceTable(RecordedTable, table=True):
    """A message that an address did not take now. Several of them close it for marketing for a while."""

    __tablename__ = "soft_bounce"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    """The message, of which all reports count once; else the event."""
    time: datetime = Field(sa_column=timestamp_column())
    """When it happened."""
    at: datetime = Field(sa_column=timestamp_column())
    """When it was ingested."""
    word: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    """What the provider stated."""
    lifted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When a delivery, an open, a click or an operator showed that the address takes messages."""
    lifted_by: str | None = None
    """The name of the event, or the operator."""

    __table_args__ = (Index("soft_bounce_time", "time"),)


class AddressLogTable(SQLModel, table=True):
    """The log of the addresses that operators reopened. Append-only."""

    __tablename__ = "address_log"

    seq: int | None = Field(default=None, sa_column=identity_column())
    channel: str
    address: str
    problem: str
    """What it was closed for: bounced or bounced_softly."""
    scope: str
    """transactional or all: the messages it was reopened for."""
    reason: str
    actor: str
    at: datetime = Field(sa_column=timestamp_column())

    __table_args__ = (Index("address_log_address", "channel", "address", "at"),)


class OptInRequestTable(RecordedTable, table=True):
    """An address that unverified events alone have granted a channel, or sent with a checkout."""

    __tablename__ = "opt_in_request"

    channel: str = Field(primary_key=True)
    """email or sms."""
    address: str = Field(primary_key=True)
    sender: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    """Label of the key."""
    at: datetime = Field(sa_column=timestamp_column())
    """When the event was ingested."""
    state: str = Field(default="waiting", sa_column_kwargs={"server_default": text("'waiting'")})
    """waiting; asked: a confirmation message was requested; dropped: it needs none, or must get none."""
    settled_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))

    __table_args__ = (
        Index("opt_in_request_waiting", "at", postgresql_where=text("state = 'waiting'")),
        Index("opt_in_request_asked", "settled_at", postgresql_where=text("state = 'asked'")),
        Index("opt_in_request_settled", "settled_at", postgresql_where=text("state <> 'waiting'")),
    )
