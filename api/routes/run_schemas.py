"""Request and response models of journeys and runs."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.events.native import EventTime
from api.temporal import WaitingView
from profiles.runs.exposures import ExposureView
from profiles.views import history
from profiles.views.profile import RunView


class SegmentView(BaseModel):
    """A segment; its new members enter a journey."""

    name: str
    every: timedelta = Field(description="Interval of its sweeps; ISO 8601")


class JourneyView(BaseModel):
    """A registered journey."""

    name: str
    summary: str
    starts_on: list[str] = Field(description="Names of the events that start a run")
    listens_to: list[str] = Field(description="Names of the events that reach its runs")
    keyed_by: str | None = Field(description="One live run per value of this property; null: computed")
    segments: list[SegmentView] = Field(description="Segments; their new members enter")
    outcomes: list[str] = Field(
        description="Possible outcomes of a run, as far as the journey's types declare them"
    )
    on_merge: Literal["continue", "end"] = Field(
        description="What happens to a run when its profile is merged into an older one",
    )
    holdout: float = Field(description="Percent of people who get no marketing of it, as a control group")


class Journeys(BaseModel):
    """Registered journeys."""

    journeys: list[JourneyView]


class RunDetails(BaseModel):
    """All about one run."""

    run_id: UUID
    temporal_run_id: str | None
    workflow_id: str
    journey: str
    key: str
    profile_id: UUID
    state: Literal["running", "ended", "stuck"]
    outcome: str | None
    detail: str | None
    entered_at: datetime
    ended_at: datetime | None
    stuck_at: datetime | None = Field(description="When the relay parked it; null if it is not stuck")
    waiting: WaitingView
    messages: list[history.MessageView]
    decisions: list[history.DecisionView]
    exposures: list[ExposureView] = Field(description="Arms of experiments that it was exposed to")
    temporal_url: str | None = Field(description="The run in the Temporal web UI, if TEMPORAL_UI_URL is set")


class RunEntry(BaseModel):
    """The identifiers and the event that start a run."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "identifiers": {"user_id": "42", "email": "ada@example.com"},
                    "event": "Product Added",
                    "properties": {"cart_id": "c-1", "product_id": "p-1", "name": "Lamp", "price": 39.0},
                }
            ]
        },
    )

    identifiers: dict[str, Any] = Field(
        description="At least one of user_id, loyalty_id, email, phone, push_token, anonymous_id, "
        "email_sha256"
    )
    event: str | None = Field(
        default=None,
        max_length=255,
        description="Name of one of the events that start the journey; optional if there is only one",
    )
    properties: dict[str, Any] = Field(
        default_factory=dict,
        description="Of the event, as in the Segment spec. For Segment Entered the segment is optional if "
        "the journey has only one",
    )
    traits: dict[str, Any] = Field(
        default_factory=dict, description="Attributes of the profile, consents included"
    )
    time: EventTime | None = Field(
        default=None, description="When it happened, RFC 3339 with an offset; missing: now"
    )


class RunEntered(BaseModel):
    """The run that a request started. The relay delivers it to Temporal."""

    run_id: UUID
    journey: str
    key: str
    state: Literal["running", "ended", "stuck"]
    event_id: UUID = Field(description="Waypost's own id of the event that started it")


class Queued(BaseModel):
    """A request to a run. The relay delivers it."""

    run_id: UUID
    status: Literal["queued"] = "queued"


class Cancellation(BaseModel):
    """The reason that an operator ends a run."""

    reason: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Stored with the run; without names of people",
    )
    reroute: bool = Field(
        default=True,
        description="For a stuck run: route the events that were not delivered to it again, so that they may "
        "start another run. false gives them up; they remain in the profile",
    )


class Retry(BaseModel):
    """The reason for which an operator retries a stuck run."""

    reason: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Kept in the log; without names of people",
    )


class Retried(BaseModel):
    """A run that the relay delivers to again."""

    run_id: UUID
    retried: bool = Field(description="false: it was not stuck, and nothing was changed")


class Runs(BaseModel):
    """Runs, the newest first."""

    runs: list[RunView]
    next_cursor: str | None = None
