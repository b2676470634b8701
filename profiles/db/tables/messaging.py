"""Tables of messages, gate decisions, ad audiences, policy versions, kill switches and the sandbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from profiles.db.tables.columns import (
    RecordedTable,
    identity_column,
    jsonb_column,
    text_array_column,
    timestamp_column,
)


class MessageTable(RecordedTable, table=True):
    """One communication to one profile on one channel, planned or sent. One row for each send key."""

    __tablename__ = "message"

    message_id: UUID = Field(primary_key=True)
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    items: list[str] = Field(default_factory=list, sa_column=text_array_column())
    address: str | None = None
    status: str
    """One of ``profiles.state.unit_of_work.MESSAGE_RANK``."""
    reason: str | None = None
    token: UUID | None = None
    """Token of the claim's holder."""
    provider: str | None = None
    provider_id: str | None = None
    decided_at: datetime = Field(sa_column=timestamp_column())
    claimed_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """By the run's clock. Caps count from this time."""
    sent_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    engaged_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When it was last opened, clicked or answered."""
    overtaken_by: UUID | None = None
    """Event of a purchase of a promoted item, made before the decision and ingested after it."""
    complained_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When it was first reported as spam."""
    claim_recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Postgres's stamp of the claim, for the sweep of stale claims and for figures."""
    topic: str | None = None
    """Consent topic; null in rows from before 0.4.0, which count as "marketing"."""
    value: float = Field(default=0.0, sa_column_kwargs={"server_default": text("0")})
    """Value of the message. Of two with equal priority, the one with the higher value gets the slot."""
    expires_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    deferred_until: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When a deferred message passes the gate again."""
    planned_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When it was first requested, by the run's clock."""
    accept_recorded_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """Postgres's stamp of the provider's acceptance. For figures only, not for decisions."""

    __table_args__ = (
        UniqueConstraint("run_id", "step", name="message_send_key"),
        Index("message_profile_claimed", "profile_id", "claimed_at"),
        Index("message_deferred", "profile_id", postgresql_where=text("status = 'deferred'")),
        Index(
            "message_channel_claimed",
            "channel",
            "claimed_at",
            postgresql_where=text("claimed_at IS NOT NULL"),
        ),
        Index(
            "message_claims", "claim_recorded_at", postgresql_where=text("status IN ('claimed', 'unknown')")
        ),
        Index(
            "message_accepted",
            "channel",
            "accept_recorded_at",
            postgresql_where=text("accept_recorded_at IS NOT NULL"),
        ),
    )


class DecisionTable(RecordedTable, table=True):
    """The gate's recorded verdict, with every check and its values."""

    __tablename__ = "decision"

    decision_id: UUID = Field(primary_key=True)
    message_id: UUID
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    verdict: str
    reason: str | None = None
    detail: str = ""
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_column=jsonb_column("[]"))
    items: list[str] = Field(default_factory=list, sa_column=text_array_column())
    items_removed: list[str] = Field(default_factory=list, sa_column=text_array_column())
    until: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    at: datetime = Field(sa_column=timestamp_column())
    policy: str | None = None
    """Version of the policy; None in rows from before versions were kept."""
    basis: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    """Plan of the message and facts of the decision, without address or name, so that it can be repeated."""

    __table_args__ = (Index("decision_profile_at", "profile_id", "at"), Index("decision_run", "run_id"))


class AudienceMemberTable(RecordedTable, table=True):
    """A profile in an ad audience, for one item and one run."""

    __tablename__ = "audience_member"

    member_id: UUID = Field(primary_key=True)
    audience: str
    item: str
    sku: str | None = None
    profile_id: UUID = Field(index=True)
    run_id: UUID = Field(index=True)
    state: str
    """joining, in, leaving or out. It is out when the platform has confirmed the removal."""
    reason: str | None = None
    joined_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    left_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When the platform confirmed the removal, by the clock of Postgres."""
    leaving_at: datetime | None = Field(default=None, sa_column=timestamp_column(nullable=True))
    """When the removal was queued, by the clock of Postgres."""

    __table_args__ = (
        Index("audience_member_leaving", "leaving_at", postgresql_where=text("state = 'leaving'")),
    )


class PolicyTable(RecordedTable, table=True):
    """One version of the shop's policy, as decisions used it; never changed."""

    __tablename__ = "policy"

    version: str = Field(primary_key=True)
    limits: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))


class KillSwitchTable(SQLModel, table=True):
    """A channel, a journey, a template or all sending that is stopped. No row: not stopped."""

    __tablename__ = "kill_switch"

    kind: str = Field(primary_key=True)
    """all, channel, journey or template."""
    name: str = Field(primary_key=True)
    """Name of the channel, journey or template; "all" for the kind all."""
    since: datetime = Field(sa_column=timestamp_column())
    reason: str
    actor: str

    __table_args__ = (CheckConstraint("(kind = 'all') = (name = 'all')", name="kill_switch_all"),)


class KillSwitchLogTable(SQLModel, table=True):
    """Audit log of the kill switches: what an operator stopped or resumed, and why. Append-only."""

    __tablename__ = "kill_switch_log"

    seq: int | None = Field(default=None, sa_column=identity_column())
    kind: str
    name: str
    done: str
    """stopped or resumed."""
    reason: str
    actor: str
    at: datetime = Field(sa_column=timestamp_column())

    __table_args__ = (Index("kill_switch_log_name", "kind", "name", "at"),)


class SandboxMessageTable(RecordedTable, table=True):
    """A message that the sandbox delivered, as a customer would see it."""

    __tablename__ = "sandbox_message"

    message_id: UUID = Field(primary_key=True)
    channel: str
    address: str
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: dict[str, Any] = Field(default_factory=dict, sa_column=jsonb_column("{}"))


class SandboxAudienceTable(RecordedTable, table=True):
    """Members of audiences, in the sandbox ad platform's own record."""

    __tablename__ = "sandbox_audience"

    audience: str = Field(primary_key=True)
    member_id: UUID = Field(primary_key=True)


class FirstContactTable(RecordedTable, table=True):
    """A message that may be sent to an address which no verified event has named. Kept for a week."""

    __tablename__ = "first_contact"

    message_id: UUID = Field(primary_key=True)
    channel: str
    address: str
    sender: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    """Label of the key with which the event that started the run was sent."""
    at: datetime = Field(sa_column=timestamp_column())
    """By the run's clock."""

    __table_args__ = (
        Index("first_contact_at", "at"),
        Index("first_contact_address", "channel", "address", "at"),
    )
