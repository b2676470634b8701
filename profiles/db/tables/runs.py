"""Runs and the queue to Temporal, as Postgres tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import jsonb_column, timestamp_column


class RunTable(SQLModel, table=True):
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
    on_merge: str = Field(default="continue", sa_column_kwargs={"server_default": text("'continue'")})
    """continue or end: what becomes of it when its person turns out to be another; as it began."""
    signals: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    entered_at: datetime = Field(sa_column=timestamp_column())
    ended_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (
        Index(
            "run_one_live_per_key", "journey", "key", unique=True, postgresql_where=text("state <> 'ended'")
        ),
        Index("run_profile", "profile_id", "journey", "entered_at"),
        Index("run_journey_entered", "journey", "entered_at", "run_id"),
        Index("run_stuck", "state", postgresql_where=text("state = 'stuck'")),
    )


class OutboxTable(SQLModel, table=True):
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
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    trigger: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The event could start a run of this journey; routed afresh if its run did not see it."""
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    delivered_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    rerouted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    error: str | None = None
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))
    retry_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Not handed out before: an ad platform that fails is left alone for a while, its lane with it."""

    __table_args__ = (
        Index("outbox_undelivered", "lane", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_queue", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_lane", "lane"),
    )


class SegmentTable(SQLModel, table=True):
    """An author's segment that has been swept to the end."""

    name: str = Field(primary_key=True)
    swept_at: datetime = Field(sa_column=timestamp_column())
    """When the last finished sweep asked; the next stays are told apart by it."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))


class SegmentMemberTable(SQLModel, table=True):
    """A person in an author's segment, as its query last found them."""

    __tablename__ = "segment_member"

    segment: str = Field(primary_key=True)
    profile_id: UUID = Field(primary_key=True, index=True)
    since: datetime = Field(sa_column=timestamp_column())
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))


class ExposureTable(SQLModel, table=True):
    """A run met an experiment; the first arm it was given stands."""

    run_id: UUID = Field(primary_key=True)
    experiment: str = Field(primary_key=True)
    arm: str
    journey: str
    profile_id: UUID = Field(index=True)
    at: datetime = Field(sa_column=timestamp_column())
    """By the run's clock."""
    recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(server_stamped=True))

    __table_args__ = (Index("exposure_experiment", "experiment", "arm"),)
