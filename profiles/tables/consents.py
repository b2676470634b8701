"""What people and their addresses said no or yes to, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


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
    time: datetime = Field(sa_column=instant())
    """When it was said, by the channel's clock; never after ``at``."""
    at: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))


class OptOut(SQLModel, table=True):
    """An address that does not want messages, whoever it belongs to."""

    __tablename__ = "opt_out"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str
    at: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))


class AddressProblem(SQLModel, table=True):
    """An address that does not take messages: bounced, or its owner complained."""

    __tablename__ = "address_problem"

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    problem: str
    at: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
