"""What is shown of journeys and runs, and what is asked of them."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.events.native import EventTime
from profiles.runs.exposures import ExposureView
from profiles.views import history
from profiles.views.profile import RunView


class SegmentView(BaseModel):
    """A segment whose newcomers enter a journey."""

    name: str
    every: timedelta = Field(description="How often it is asked who belongs to it; ISO 8601")


class JourneyView(BaseModel):
    """A registered journey."""

    name: str
    summary: str
    starts_on: list[str] = Field(description="Names of the events that start a run")
    listens_to: list[str] = Field(description="Names of the events that reach its runs")
    keyed_by: str | None = Field(description="One live run a value of this; null: computed")
    segments: list[SegmentView] = Field(description="Segments whose newcomers enter")
    outcomes: list[str] = Field(
        description="How a run may come out by its story or its endings, as far as its type says"
    )
    on_merge: Literal["continue", "end"] = Field(
        description="What becomes of a run whose person turns out to be another, older one",
    )
    holdout: float = Field(description="Percent of people who get no marketing of it, to measure against")


class Journeys(BaseModel):
    """What is registered here."""

    journeys: list[JourneyView]


class WaitingView(BaseModel):
    """What a run waits for."""

    details: str | None = Field(
        description="Markdown, in the run's own words; null where it could not be asked"
    )
    note: str = Field(description="Where this comes from, or why there is nothing")


class RunDetails(BaseModel):
    """Everything about one run; the run's own fields stand at the top."""

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
    waiting: WaitingView
    messages: list[history.MessageView]
    decisions: list[history.DecisionView]
    exposures: list[ExposureView] = Field(description="Arms of experiments it has come to")
    temporal_url: str | None = Field(
        description="The run in the Temporal web UI, where TEMPORAL_UI_URL is set"
    )


class RunEntry(BaseModel):
    """For whom a run is started, and by what."""

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
        description="Who it is: user_id, loyalty_id, email, phone, push_token, anonymous_id, email_sha256; "
        "one at least"
    )
    event: str | None = Field(
        default=None,
        max_length=255,
        description="Name of one of the events that start the journey; may be left out where there is one",
    )
    properties: dict[str, Any] = Field(
        default_factory=dict,
        description="The event's, as in the Segment spec; for Segment Entered filled in where there is one",
    )
    traits: dict[str, Any] = Field(
        default_factory=dict, description="What is known of the person, consents included"
    )
    time: EventTime | None = Field(
        default=None, description="When it happened, RFC 3339 with an offset; missing: now"
    )


class RunEntered(BaseModel):
    """The run that a request started; the relay hands it to Temporal."""

    run_id: UUID
    journey: str
    key: str
    state: Literal["running", "ended", "stuck"]
    event_id: UUID = Field(description="Waypost's own id of the event that started it")


class Queued(BaseModel):
    """What was asked of a run; the relay delivers it."""

    run_id: UUID
    status: Literal["queued"] = "queued"


class Cancellation(BaseModel):
    """Why a run is ended by hand."""

    reason: str = Field(
        min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Kept with the run; no names"
    )


class Runs(BaseModel):
    """Runs, the newest first."""

    runs: list[RunView]
    next_cursor: str | None = None
