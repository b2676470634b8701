"""What joins identifiers into people, what keeps them apart, and what became of it, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class IdentityLink(SQLModel, table=True):
    """Identifiers that one event named together; each set once, with its earliest event."""

    __tablename__ = "identity_link"

    link_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    verified: bool
    keys: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """type:value, the strongest first."""
    time: datetime = Field(sa_column=instant())
    source: str
    id: str
    """The channel's own id of the event."""
    event_id: UUID
    at: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (
        UniqueConstraint("digest", "verified", name="identity_link_digest"),
        Index("identity_link_keys", "keys", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class IdentityCut(SQLModel, table=True):
    """Two identifiers that an operator said are not one person's."""

    __tablename__ = "identity_cut"

    cut_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    one: str
    other: str
    actor: str
    reason: str
    at: datetime = Field(sa_column=instant())
    lifted_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (Index("identity_cut_one", "one"), Index("identity_cut_other", "other"))


class IdentityLog(SQLModel, table=True):
    """What became of people's identities, in the order it happened; rows are only ever added."""

    __tablename__ = "identity_log"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    at: datetime = Field(sa_column=instant())
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
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (
        Index("identity_log_quarantined", "recorded_at", postgresql_where=text("kind = 'quarantined'")),
    )
