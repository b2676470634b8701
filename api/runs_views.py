"""What is shown of journeys and runs, and what is asked of them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from profiles import history


class JourneyView(BaseModel):
    """A registered journey."""

    name: str
    summary: str
    starts_on: list[str] = Field(description="Names of the events that start a run")
    listens_to: list[str] = Field(description="Names of the events that reach its runs")
    keyed_by: str | None = Field(description="One live run a value of this; null: computed")


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
    temporal_url: str | None = Field(
        description="The run in the Temporal web UI, where TEMPORAL_UI_URL is set"
    )


class Queued(BaseModel):
    """What was asked of a run; the relay delivers it."""

    run_id: UUID
    status: Literal["queued"] = "queued"


class Cancellation(BaseModel):
    """Why a run is ended by hand."""

    reason: str = Field(
        min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Kept with the run; no names"
    )
