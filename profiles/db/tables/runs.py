"""Tables of runs, the outbox, segments with their members, and exposures to experiments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import RecordedTable, identity_column, jsonb_column, timestamp_column


class RunTable(RecordedTable, table=True):
    """One execution of a journey for one key. Events are routed by this row."""

    __tablename__ = "run"

    run_id: UUID = Field(primary_key=True)
    journey: str
    key: str
    """The key of the run, as ``profiles.state.run_keys`` stores it."""
    profile_id: UUID
    state: str
    """running, ended or stuck."""
    workflow_id: str
    temporal_run_id: str | None = None
    entry_event: UUID
    outcome: str | None = None
    detail: str | None = None
    stuck_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When the relay parked the run; None if it is not stuck."""
    clock_offset_s: float = Field(default=0.0, sa_column_kwargs={"server_default": text("0")})
    on_merge: str = Field(default="continue", sa_column_kwargs={"server_default": text("'continue'")})
    """continue or end: what the run does when its profile is merged into another; fixed at its start."""
    signals: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    unverified_signals: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How many of the signals are unverified events."""
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether a verified event started the run, or was signalled to it as another start."""
    entry_digest: str | None = None
    """Digest of what an unverified entry event is about; None for others and earlier versions."""
    entered_at: datetime = Field(sa_column=timestamp_column())
    ended_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))

    __table_args__ = (
        Index(
            "run_one_live_per_key", "journey", "key", unique=True, postgresql_where=text("state <> 'ended'")
        ),
        Index("run_profile", "profile_id", "journey", "entered_at"),
        Index("run_journey_entered", "journey", "entered_at", "run_id"),
        Index("run_stuck", "state", postgresql_where=text("state = 'stuck'")),
    )


class RunLogTable(SQLModel, table=True):
    """Audit log of what operators did to runs, and why. Append-only."""

    __tablename__ = "run_log"

    seq: int | None = Field(default=None, sa_column=identity_column())
    run_id: UUID
    done: str
    """retried or cancelled."""
    reason: str
    actor: str
    at: datetime = Field(sa_column=timestamp_column())

    __table_args__ = (Index("run_log_run", "run_id", "seq"),)


class OutboxTable(RecordedTable, table=True):
    """A delivery to Temporal or to an ad platform. Delivered in order within a partition key."""

    __tablename__ = "outbox"

    seq: int | None = Field(default=None, sa_column=identity_column())
    lane: UUID
    """Partition key: id of the run or of the audience member."""
    kind: str
    """One of ``profiles.state.unit_of_work.OutboxKind``."""
    name: str
    event_id: UUID | None = None
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))
    trigger: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The event could start a run of this journey. It is routed again if its run ended before delivery."""
    verified: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether the shop's systems sent the event, or Waypost did. Such rows are delivered before others. False
    for an event that is not verified, or by a customer's identity tokens alone."""
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    delivered_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    rerouted_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    error: str | None = None
    retry_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Not delivered before this time: after a failure of an ad platform, its partition key waits."""

    __table_args__ = (
        Index("outbox_undelivered", "lane", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_queue", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_queue_by_trust", "verified", "seq", postgresql_where=text("delivered_at IS NULL")),
        Index("outbox_lane", "lane"),
    )


class SegmentTable(RecordedTable, table=True):
    """A segment for which a sweep has finished."""

    __tablename__ = "segment"

    name: str = Field(primary_key=True)
    swept_at: datetime = Field(sa_column=timestamp_column())
    """When the last finished sweep ran its query. It distinguishes one stay in the segment from the next."""


class SegmentMemberTable(RecordedTable, table=True):
    """A profile that the last run of a segment's query returned."""

    __tablename__ = "segment_member"

    segment: str = Field(primary_key=True)
    profile_id: UUID = Field(primary_key=True, index=True)
    since: datetime = Field(sa_column=timestamp_column())


class ExposureTable(RecordedTable, table=True):
    """Exposure of a run to an experiment. The first arm is kept."""

    __tablename__ = "exposure"

    run_id: UUID = Field(primary_key=True)
    experiment: str = Field(primary_key=True)
    arm: str
    journey: str
    profile_id: UUID = Field(index=True)
    at: datetime = Field(sa_column=timestamp_column())
    """By the run's clock."""

    __table_args__ = (Index("exposure_experiment", "experiment", "arm"),)
