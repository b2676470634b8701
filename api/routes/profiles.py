"""Profiles: the unified record of a person, and its messages, decisions and runs."""

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.dependencies import (
    NOT_FOUND_RESPONSE,
    AppStateDep,
    CursorParam,
    IdentifierTypeParam,
    IdentifierValueParam,
    LimitParam,
    profile_id_or_404,
    require_admin_key,
)
from api.http.outage import run_read
from api.routes.run_schemas import Runs
from api.why.answer import ToldDecision, create_explainer
from policy.hours.time_zones import resolve_zone
from profiles.db import pagination
from profiles.views import decision_evidence, history, profile
from profiles.views.profile import ProfileView, RunView

router = APIRouter(
    prefix="/v1/profiles/{type}",
    tags=["People"],
    dependencies=[Depends(require_admin_key)],
    responses=NOT_FOUND_RESPONSE,
)


class Messages(BaseModel):
    """Messages, the newest first."""

    messages: list[history.MessageView]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")


class Decisions(BaseModel):
    """Verdicts of the gate, the newest first."""

    decisions: list[ToldDecision]
    next_cursor: str | None = None


@router.get("/{value:path}/messages")
async def read_messages(
    kind: IdentifierTypeParam,
    value: IdentifierValueParam,
    app_state: AppStateDep,
    after: CursorParam,
    limit: LimitParam = 50,
) -> Messages:
    """List the messages of a profile, sent or not."""

    async def read(connection: Any) -> pagination.Page[history.MessageView]:
        profile_id = await profile_id_or_404(connection, app_state, kind, value)
        return await history.list_messages(connection, profile_id=profile_id, limit=limit, after=after)

    page = await run_read(app_state.database, read)
    return Messages(messages=page.rows, next_cursor=page.next_cursor)


@router.get("/{value:path}/decisions")
async def read_decisions(
    kind: IdentifierTypeParam,
    value: IdentifierValueParam,
    app_state: AppStateDep,
    after: CursorParam,
    limit: LimitParam = 50,
) -> Decisions:
    """List the gate's decisions about a profile, each with a sentence that explains it, and its checks."""

    async def read(connection: Any) -> Decisions:
        profile_id = await profile_id_or_404(connection, app_state, kind, value)
        page = await history.list_decisions(connection, profile_id=profile_id, limit=limit, after=after)
        evidence = (
            await decision_evidence.load_decision_evidence(connection, profile_id) if page.rows else None
        )
        if evidence is None:
            return Decisions(decisions=[])
        explainer = create_explainer(evidence, app_state.limits, app_state.settings.default_timezone)
        return Decisions(
            decisions=[explainer.explain(decision) for decision in page.rows], next_cursor=page.next_cursor
        )

    return await run_read(app_state.database, read)


@router.get("/{value:path}/runs")
async def read_runs(
    kind: IdentifierTypeParam,
    value: IdentifierValueParam,
    app_state: AppStateDep,
    after: CursorParam,
    limit: LimitParam = 50,
) -> Runs:
    """List the runs of a profile."""

    async def read(connection: Any) -> pagination.Page[RunView]:
        profile_id = await profile_id_or_404(connection, app_state, kind, value)
        return await history.list_runs(connection, profile_id=profile_id, limit=limit, after=after)

    page = await run_read(app_state.database, read)
    return Runs(runs=page.rows, next_cursor=page.next_cursor)


@router.get("/{value:path}")
async def read_profile(
    kind: IdentifierTypeParam, value: IdentifierValueParam, app_state: AppStateDep
) -> ProfileView:
    """Return the unified record of a person.

    Identifiers, traits with their origins, computed traits, zone and locale with their sources, consents,
    carts, purchases, suppressions, runs.
    """

    def zone(named: str | None, context: str | None, phone: str | None) -> tuple[str, str]:
        resolved = resolve_zone(named, context, phone, app_state.settings.default_timezone)
        return resolved.zone, resolved.source

    async def read(connection: Any) -> ProfileView:
        return await profile.load_profile(
            connection, await profile_id_or_404(connection, app_state, kind, value), zone
        )

    return await run_read(app_state.database, read)
