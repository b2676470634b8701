"""What the sandbox keeps in place of a provider, as Postgres tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant, json_column


class SandboxMessage(SQLModel, table=True):
    """What the sandbox delivered, as the customer would see it."""

    __tablename__ = "sandbox_message"

    message_id: UUID = Field(primary_key=True)
    channel: str
    address: str
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: dict[str, Any] = Field(default_factory=dict, sa_column=json_column("{}"))
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))


class SandboxAudience(SQLModel, table=True):
    """The sandbox ad platform: who is in which audience, by its own books."""

    __tablename__ = "sandbox_audience"

    audience: str = Field(primary_key=True)
    member_id: UUID = Field(primary_key=True)
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
