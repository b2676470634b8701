"""What people and their addresses said no or yes to, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import timestamp_column


class ConsentTable(SQLModel, table=True):
    """One entry of the append-only consent ledger; the state is a fold of it, ``ConsentState``.

    Postgres itself refuses to change or delete one. Only ``profile_id``, which is nothing that was said,
    follows the person.
    """

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    profile_id: UUID = Field(index=True)
    channel: str
    topic: str
    state: str
    """granted or withdrawn."""
    source: str
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Said by somebody known to speak for the person."""
    voice: str | None = None
    """The identifier under which it was said, as type:value; null: under every one."""
    named: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    """All identifiers of the event: a withdrawal counts for everybody whom they belong to."""
    event_id: UUID | None = None
    time: datetime = Field(sa_column=timestamp_column())
    """When it was said, by the channel's clock; never after ``at``."""
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))
    text_version: str | None = None
    """Of the wording that was shown."""
    method: str | None = None
    """checkbox, double_opt_in, keyword, and so on; see ``profiles.consent.evidence``."""
    jurisdiction: str | None = None
    """Country or region code."""
    reviews: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """The entry that an operator passes judgement on by this one."""

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


class ConsentStateTable(SQLModel, table=True):
    """What a person's word is by now: the fold of their ledger."""

    __tablename__ = "consent_state"

    profile_id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    state: str
    source: str
    event_id: UUID | None = None
    time: datetime = Field(sa_column=timestamp_column())
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))
    text_version: str | None = None
    method: str | None = None
    jurisdiction: str | None = None


class OptOutTable(SQLModel, table=True):
    """Whether an address wants messages, whoever it belongs to; the later word stands."""

    __tablename__ = "opt_out"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str
    state: str = Field(default="withdrawn", sa_column_kwargs={"server_default": text("'withdrawn'")})
    """withdrawn or granted."""
    time: datetime = Field(sa_column=timestamp_column())
    """When it was said."""
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))


class AddressProblemTable(SQLModel, table=True):
    """An address that does not take messages: bounced, or its owner complained."""

    __tablename__ = "address_problem"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    problem: str
    at: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))
