"""Kill switches and the log of switching, as Postgres tables."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class KillSwitch(SQLModel, table=True):
    """Something that is stopped; no row, not stopped."""

    __tablename__ = "kill_switch"

    kind: str = Field(primary_key=True)
    """all, channel, journey or template."""
    name: str = Field(primary_key=True)
    """"all" where the kind is."""
    since: datetime = Field(sa_column=instant())
    reason: str
    actor: str

    __table_args__ = (CheckConstraint("(kind = 'all') = (name = 'all')", name="kill_switch_all"),)


class KillSwitchLog(SQLModel, table=True):
    """Who stopped and resumed what, and why, in the order it happened; rows are only ever added."""

    __tablename__ = "kill_switch_log"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    kind: str
    name: str
    done: str
    """stopped or resumed."""
    reason: str
    actor: str
    at: datetime = Field(sa_column=instant())

    __table_args__ = (Index("kill_switch_log_name", "kind", "name", "at"),)
