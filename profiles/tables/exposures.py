"""Who was shown which arm of an experiment, as a Postgres table."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from profiles.tables.columns import instant


class Exposure(SQLModel, table=True):
    """A run met an experiment; the first arm it was given stands."""

    run_id: UUID = Field(primary_key=True)
    experiment: str = Field(primary_key=True)
    arm: str
    journey: str
    profile_id: UUID = Field(index=True)
    at: datetime = Field(sa_column=instant())
    """By the run's clock."""
    recorded_at: datetime | None = Field(default=None, sa_column=instant(stamped=True))

    __table_args__ = (Index("exposure_experiment", "experiment", "arm"),)
