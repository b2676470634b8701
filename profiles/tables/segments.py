"""Who is in which segment, as a Postgres table."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class SegmentMember(SQLModel, table=True):
    """A person in an author's segment, as its query last found them."""

    __tablename__ = "segment_member"

    segment: str = Field(primary_key=True)
    profile_id: UUID = Field(primary_key=True, index=True)
    since: datetime = Field(sa_column=instant())
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))
