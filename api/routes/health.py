"""Operation: liveness, readiness with the state of each dependency, and metrics."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from api.dependencies import AppState, AppStateDep
from api.http.outage import Outage, run_read
from profiles.db.migrate import head_revision, revision_of
from profiles.identity.identifiers import mask_identifier
from profiles.messaging.kill_switches import list_kill_switches
from profiles.runs.stuck import RETRY_ADVICE
from profiles.views.backlog import (
    DELIVERIES_OVERDUE_ADVICE,
    REMOVALS_OVERDUE_ADVICE,
    StuckRun,
    list_recent_quarantines,
    list_stuck_runs,
    load_backlog,
)

router = APIRouter(tags=["Operation"])


class Part(BaseModel):
    """State of one dependency of this process."""

    state: Literal["ok", "behind", "unreachable", "unknown"]
    detail: str | None = Field(default=None, description="What is wrong, and what to do")


class Quarantined(BaseModel):
    """A quarantined identifier: shared by so many people that it identifies no profile."""

    type: str
    value: str = Field(description="Shortened; `waypost identity quarantined` shows it whole")
    since: datetime


class Stopped(BaseModel):
    """A kill switch that is on."""

    __module__ = "api.operation"  # part of the schema name in OpenAPI, which is public

    kind: str
    name: str
    since: datetime


class Ready(BaseModel):
    """Whether events are ingested, and the state of each dependency."""

    ready: bool = Field(
        description="Events are ingested; this needs Postgres and its migrations, not Temporal"
    )
    postgres: Part
    migrations: Part
    temporal: Part
    outbox_undelivered: int | None = None
    stuck_runs: int | None = None
    stuck: list[StuckRun] = Field(
        default_factory=list, description="The newest stuck runs, since when, and why"
    )
    stuck_advice: str | None = Field(
        default=None, description="What to do about stuck runs; null if there is none"
    )
    deliveries_overdue: str | None = Field(
        default=None, description="What to do; only if an event waits for its delivery for over a minute"
    )
    quarantined: int | None = Field(default=None, description="Number of quarantined identifiers")
    lately_quarantined: list[Quarantined] = Field(default_factory=list, description="The newest of them")
    audience_removals_unconfirmed: int | None = Field(
        default=None, description="Removals from ad audiences that the platform has not confirmed"
    )
    audience_removals_overdue: str | None = Field(
        default=None, description="What to do; only if one of them is older than 5 minutes"
    )
    stops: list[Stopped] = Field(default_factory=list, description="Active kill switches")


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Redirect to the documentation."""
    return RedirectResponse("/docs")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer that this process is alive. Checks no dependency."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": Ready, "description": "Events are not ingested"}})
async def readyz(response: Response, app_state: AppStateDep) -> Ready:
    """Report the state of Postgres, migrations and Temporal. 200 while events are ingested."""
    ready, temporal = await asyncio.gather(_check_database(app_state), app_state.temporal.health_error())
    if temporal is None:
        ready.temporal = Part(state="ok")
    else:
        waits = "; events are taken in and delivered to it when it is back"
        ready.temporal = Part(state="unreachable", detail=temporal + (waits if ready.ready else ""))
    response.status_code = 200 if ready.ready else 503
    if not ready.ready:
        response.headers["Retry-After"] = "2"
    return ready


async def _check_database(app_state: AppState) -> Ready:
    try:
        return await run_read(app_state.database, _load_state)
    except Outage as error:
        detail = f"Postgres does not answer ({error}); check DATABASE_URL and the server"
        away, unknown = Part(state="unreachable", detail=detail), Part(state="unknown")
        return Ready(ready=False, postgres=away, migrations=unknown, temporal=unknown)


async def _load_state(connection: Any) -> Ready:
    ok, unknown, revision = Part(state="ok"), Part(state="unknown"), await revision_of(connection)
    if revision != head_revision():
        schema = f"the schema is at {revision or 'nothing'}, this code needs {head_revision()}"
        behind = Part(state="behind", detail=f"{schema}: `waypost migrate`")
        return Ready(ready=False, postgres=ok, migrations=behind, temporal=unknown)
    figures = await load_backlog(connection)
    return Ready(
        ready=True,
        postgres=ok,
        migrations=ok,
        temporal=unknown,
        outbox_undelivered=figures.undelivered,
        stuck_runs=figures.stuck_runs,
        stuck=await list_stuck_runs(connection),
        stuck_advice=RETRY_ADVICE if figures.stuck_runs else None,
        deliveries_overdue=DELIVERIES_OVERDUE_ADVICE if figures.has_overdue_deliveries else None,
        quarantined=figures.quarantined,
        lately_quarantined=[
            Quarantined(
                type=each.type, value=mask_identifier(each.type, each.value), since=each.quarantined_at
            )
            for each in await list_recent_quarantines(connection)
        ],
        audience_removals_unconfirmed=figures.removals_unconfirmed,
        audience_removals_overdue=REMOVALS_OVERDUE_ADVICE if figures.has_overdue_removals else None,
        stops=[
            Stopped(kind=each.kind, name=each.name, since=each.since)
            for each in await list_kill_switches(connection)
        ],
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(app_state: AppStateDep) -> Response:
    """Return the Prometheus metrics."""
    try:
        figures = await run_read(app_state.database, partial(load_backlog, include_in_flight=True))
    except Outage:
        figures = None
    page = app_state.metrics.render(figures, app_state.batcher.queued_events)
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")
