"""Segments as they were last swept, and who is in them, as Postgres tables."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class Segment(SQLModel, table=True):
    """An author's segment that has been swept to the end."""

    name: str = Field(primary_key=True)
    swept_at: datetime = Field(sa_column=instant())
    """When the last finished sweep asked; the next stays are told apart by it."""
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))


class SegmentMember(SQLModel, table=True):
    """A person in an author's segment, as its query last found them."""

    __tablename__ = "segment_member"

    segment: str = Field(primary_key=True)
    profile_id: UUID = Field(primary_key=True, index=True)
    since: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
